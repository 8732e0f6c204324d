"""Transcripts from frames (connectionist temporal classification): decoding, and errors of letters.

    p(y | x) = sum of prod_t p_t(pi_t) over the paths pi that give y without repeats, then blanks

Graves, Fernandez, Gomez, Schmidhuber 2006; the loss -log p is `optax.ctc_loss`. The best path is
not the best transcript: `beam_search` sums the paths of a transcript as it goes (Graves, Jaitly
2014; Hannun et al. 2014, arXiv:1408.2873). Letters are numbered from 1, and 0 is the blank.
"""

import math

import chex
import jax
import jax.numpy as jnp

_NEVER = -1e4


def silence(logits: jax.Array, length: jax.Array) -> jax.Array:
    """Logits [B, T, K] that say blank for certain from frame `length` [B] on.

    Such frames change neither the loss nor what is decoded, so the rest needs no lengths.
    """
    real = jnp.arange(logits.shape[1]) < length[:, None]
    blank = jnp.where(jnp.arange(logits.shape[2]) == 0, 0.0, _NEVER)
    return jnp.where(real[..., None], logits.astype(jnp.float32), blank)


def greedy(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The transcript of the best path of logits [B, T, K]: (int32 [B, T], 0 at the end; its
    log-probability [B], of the path alone).
    """
    chex.assert_rank(logits, 3)
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    path = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    before = jnp.pad(path[:, :-1], ((0, 0), (1, 0)))
    kept = (path > 0) & (path != before)
    order = jnp.argsort(~kept, axis=1, stable=True)
    letters = jnp.take_along_axis(jnp.where(kept, path, 0), order, axis=1)
    return letters, jnp.sum(jnp.max(log_p, axis=-1), axis=1)


def beam_search(logits: jax.Array, *, beam: int = 16) -> list[tuple[tuple[int, ...], float]]:
    """The likeliest transcripts of one row of logits [T, K], the best first, with log p of each.

    Runs on the host. `beam` transcripts are kept after each frame; where none was dropped, log p is
    exact, else it is a lower bound.
    """
    chex.assert_rank(logits, 2)
    frames = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1).tolist()
    # Of each prefix: log p of the paths that end in a blank, and of those that end in its letter.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for frame in frames:
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(prefix: tuple[int, ...], blank: float, letter: float, grown: dict = grown) -> None:
            a, b = grown.get(prefix, (-math.inf, -math.inf))
            grown[prefix] = (_log_add(a, blank), _log_add(b, letter))

        for prefix, (blank, letter) in beams.items():
            both = _log_add(blank, letter)
            add(prefix, both + frame[0], -math.inf)
            for k, p in enumerate(frame[1:], start=1):
                if prefix and k == prefix[-1]:
                    add(prefix, -math.inf, letter + p)  # the same letter goes on
                    add((*prefix, k), -math.inf, blank + p)  # a second one needs a blank between
                else:
                    add((*prefix, k), -math.inf, both + p)
        possible = [item for item in grown.items() if _log_add(*item[1]) > -math.inf]
        ranked = sorted(possible, key=lambda item: -_log_add(*item[1]))
        beams = dict(ranked[:beam])
    return [(prefix, _log_add(*ends)) for prefix, ends in beams.items()]


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def edit_distance(a: jax.Array, b: jax.Array) -> jax.Array:
    """Letters to insert, drop or change (Levenshtein 1966): int [B, N], int [B, M] -> int32 [B].

    Rows end with their first 0.
    """
    chex.assert_rank((a, b), 2)
    chex.assert_equal_shape_prefix((a, b), 1)
    return jax.vmap(_distance)(a, b)


def _distance(a: jax.Array, b: jax.Array) -> jax.Array:
    at = jnp.arange(b.shape[0] + 1)

    def row(before: jax.Array, letter: jax.Array) -> tuple[jax.Array, jax.Array]:
        changed = before[:-1] + (b != letter)
        best = jnp.minimum(before + 1, jnp.concatenate([before[:1] + 1, changed]))
        # Insertions run along the row: the minimum of best_k + (j - k) over k <= j.
        best = jax.lax.cummin(best - at) + at
        return best, best

    _, rows = jax.lax.scan(row, at, a)
    table = jnp.concatenate([at[None], rows])
    ends = [jnp.sum(jnp.cumprod(x != 0)) for x in (a, b)]
    return table[ends[0], ends[1]].astype(jnp.int32)
