"""Texts from a network that says what may come next: by draws, by the likeliest token, by beams.

A network is given as `step(tokens int [R, 1], cache) -> (logits [R, V], cache)`, and all of it runs
on the device, in one loop that ends as soon as every text has. Beam search keeps the K likeliest
beginnings of each text; what has ended is ranked by

    log p(y) / |y|^penalty

|y| counting the end, and a text is done when none of its beginnings could still win. Draws are from
the distribution as temperature, top-k (Fan et al. 2018, arXiv:1805.04833) and top-p (Holtzman et
al. 2019, arXiv:1904.09751) leave it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Cache = dict[str, Any]
Step = Callable[[jax.Array, Cache], tuple[jax.Array, Cache]]
_NEVER = -1e9  # of a text that there is not


class Written(NamedTuple):
    """tokens: int32 [B, N], the end among them and 0 behind it; a text that found no end within N
    has none. log_p: [B] float32, of all of them by the network itself, whatever was left out."""

    tokens: jax.Array
    log_p: jax.Array


def filter_logits(logits: jax.Array, *, top_k: int = 0, top_p: float = 1.0) -> jax.Array:
    """Logits [V] with -inf for tokens that must not come; 0 and 1.0 leave all.

    The likeliest token always stays. With both, top-p looks at what top-k left.
    """
    if top_k:
        least = jax.lax.top_k(logits, min(top_k, logits.shape[-1]))[0][-1]
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    if top_p < 1:
        order = jnp.argsort(-logits)
        p = jax.nn.softmax(logits[order])
        kept = jnp.cumsum(p) - p < top_p  # what comes before it is not enough yet
        kept = jnp.zeros_like(kept).at[order].set(kept.at[0].set(True))
        logits = jnp.where(kept, logits, -jnp.inf)
    return logits


def write(
    step: Step,
    cache: Cache,
    choose: Callable[[jax.Array, jax.Array], jax.Array],
    *,
    rows: int,
    length: int,
    end: int,
    allowed: jax.Array,
    first: jax.Array | None = None,
) -> Written:
    """One text a row, token by token.

    Args:
      choose: (log probabilities [R, V] with -inf for what must not come, which token it is) -> int
        [R]: `likeliest`, or `draws`.
      rows: texts, R. length: tokens of a text at most, N. end: the token that ends it.
      allowed: bool [V], which tokens may come. first: int [R], what stands before; None: 0.
    """

    def one(state: tuple[Any, ...]) -> tuple[Any, ...]:
        at, last, tokens, log_p, ended, cache = state
        logits, cache = step(last[:, None], cache)
        each = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
        token = choose(jnp.where(allowed, each, -jnp.inf), at).astype(jnp.int32)
        picked = jnp.take_along_axis(each, token[:, None], axis=1)[:, 0]
        log_p = log_p + jnp.where(ended, 0.0, picked)
        token = jnp.where(ended, 0, token)
        tokens = tokens.at[:, at].set(token)
        return at + 1, token, tokens, log_p, ended | (token == end), cache

    start = jnp.zeros(rows, jnp.int32) if first is None else first.astype(jnp.int32)
    ended = jnp.zeros(rows, bool)
    state = (0, start, jnp.zeros((rows, length), jnp.int32), jnp.zeros(rows), ended, cache)
    _, _, tokens, log_p, _, _ = jax.lax.while_loop(
        lambda state: (state[0] < length) & ~jnp.all(state[4]), one, state
    )
    return Written(tokens, log_p)


def likeliest(log_p: jax.Array, at: jax.Array) -> jax.Array:
    """The likeliest token of each row, for `write`."""
    del at
    return jnp.argmax(log_p, axis=-1)


def draws(
    keys: jax.Array, *, temperature: float, top_k: int = 0, top_p: float = 1.0
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Tokens at random, for `write`: a text depends on its own key [R] and on no other row."""

    def one(key: jax.Array, log_p: jax.Array, at: jax.Array) -> jax.Array:
        kept = filter_logits(log_p / temperature, top_k=top_k, top_p=top_p)
        return jax.random.categorical(jax.random.fold_in(key, at), kept)

    return lambda log_p, at: jax.vmap(one, in_axes=(0, 0, None))(keys, log_p, at)


class _Beams(NamedTuple):
    """Beginnings and ended texts int32 [B, K, N], by log p and by score [B, K], the best first.
    open: bool [B], whether a beginning could still win."""

    at: Any
    begun: jax.Array
    log_p: jax.Array
    ended: jax.Array
    score: jax.Array
    open: jax.Array
    cache: Cache


def beam_search(
    step: Step,
    cache: Cache,
    moved: Callable[[Cache, jax.Array], Cache],
    *,
    rows: int,
    beams: int,
    length: int,
    end: int,
    allowed: jax.Array,
    penalty: float = 1.0,
) -> Written:
    """The text with the highest score of each row.

    Args:
      cache: of B K rows, those of a text side by side. moved: (cache, int [B K]) -> the cache whose
        row i is what row number i of these was.
      rows: texts, B. beams: beginnings of each, K. penalty: 0 ranks by log p, which favours short
        texts; 1 by its mean a token. The others as in `write`.
    """
    first = jnp.arange(2 * beams) < beams  # what ends further back in the list is not kept
    begin = jnp.where(jnp.arange(beams) == 0, 0.0, _NEVER)  # else all would be the same

    def one(s: _Beams) -> _Beams:
        last = jnp.where(s.at == 0, 0, s.begun[:, :, s.at - 1])
        logits, cache = step(last.reshape(-1, 1), s.cache)
        each = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
        each = jnp.where(allowed, each, -jnp.inf).reshape(rows, beams, -1)
        several = (s.log_p[:, :, None] + each).reshape(rows, -1)
        log_p, which = jax.lax.top_k(several, 2 * beams)
        beam, token = which // each.shape[-1], (which % each.shape[-1]).astype(jnp.int32)
        texts = _picked(s.begun, beam).at[:, :, s.at].set(token)
        size = (s.at + 1).astype(jnp.float32) ** penalty
        ends = (token == end) | (s.at + 1 == length)
        on, order = jax.lax.top_k(jnp.where(ends, _NEVER, log_p), beams)
        from_row = _picked(beam, order) + beams * jnp.arange(rows)[:, None]
        score = jnp.where(ends & first & s.open[:, None], log_p / size, _NEVER)
        score, best = jax.lax.top_k(jnp.concatenate([s.score, score], axis=1), beams)
        ended = _picked(jnp.concatenate([s.ended, texts], axis=1), best)
        still = s.open & (on[:, 0] / size > score[:, -1])
        cache = moved(cache, from_row.reshape(-1))
        return _Beams(s.at + 1, _picked(texts, order), on, ended, score, still, cache)

    none = jnp.zeros((rows, beams, length), jnp.int32)
    log_p, score = jnp.tile(begin, (rows, 1)), jnp.full((rows, beams), _NEVER)
    start = _Beams(jnp.int32(0), none, log_p, none, score, jnp.ones(rows, bool), cache)
    s = jax.lax.while_loop(lambda s: (s.at < length) & jnp.any(s.open), one, start)
    tokens = s.ended[:, 0]
    return Written(tokens, s.score[:, 0] * jnp.sum(tokens > 0, axis=1) ** penalty)


def _picked(x: jax.Array, which: jax.Array) -> jax.Array:
    """x [B, K, ...] in the order of which [B, M]."""
    return jax.vmap(lambda one, rows: one[rows])(x, which)
