"""What language models hide of a row of tokens, as pure functions of a random key.

Each works on one row, int [L], and is meant for `jax.vmap`. Numbers of hidden tokens depend on how
many a row has, shapes do not: what a row does not need has weight 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Masked(NamedTuple):
    """A row with hidden tokens.

    tokens: int [L], what the network reads. positions: int [P], which tokens were chosen.
    weight: float32 [P], 1 for chosen ones and 0 for entries that only fill up.
    """

    tokens: jax.Array
    positions: jax.Array
    weight: jax.Array


def most_masked(length: int, ratio: float) -> int:
    """Tokens that are chosen of a row at most, P."""
    return max(1, round(ratio * length))


def mask_tokens(
    key: jax.Array,
    tokens: jax.Array,
    maskable: jax.Array,
    *,
    ratio: float = 0.15,
    split: tuple[float, float] = (0.8, 0.1),
    mask: int,
    vocab: int,
    words: jax.Array | None = None,
) -> Masked:
    """BERT's masks (Devlin et al. 2018, arXiv:1810.04805, section 3.1).

    `ratio` of the maskable tokens are chosen, at least one; of those a share split[0] becomes the
    mask token, split[1] a random token of the whole vocabulary, and the others stay as they are.

    Args:
      tokens: int [L]. maskable: bool [L], false for special tokens and padding.
      mask: number of the mask token. vocab: size of the vocabulary.
      words: int [L], numbers of words, 0 for none: then whole words are chosen, in random order up
        to the first that goes beyond the number of tokens to choose, or that one alone.
    """
    length = tokens.shape[0]
    most = most_masked(length, ratio)
    key_order, key_kind, key_random = jax.random.split(key, 3)
    able = jnp.sum(maskable)
    count = jnp.clip(jnp.round(ratio * able).astype(jnp.int32), 1, most)
    noise = jax.random.uniform(key_order, (length,))
    if words is None:
        order = jnp.argsort(jnp.where(maskable, noise, 2.0))
        chosen = jnp.arange(length) < jnp.minimum(count, able)
    else:  # a word's tokens share its noise, so they stay together
        of_word = jnp.where(maskable, noise[words % length], 2.0)
        order = jnp.lexsort((jnp.arange(length), words, of_word))
        ranked = jnp.where(maskable, words, -1)[order]
        at = jnp.arange(length)
        new = jnp.concatenate([jnp.ones(1, bool), ranked[1:] != ranked[:-1]])
        # Where the word of each place in this order ends: the next beginning, less one.
        starts = jnp.where(new, at, length)
        following = jax.lax.cummin(jnp.append(starts[1:], length), reverse=True)
        first = jax.lax.cummax(jnp.where(new, at, 0))
        fits = (following <= count) | ((first == 0) & (following <= most))
        chosen = fits & (at < able)
    positions = order[:most]
    weight = chosen[:most].astype(jnp.float32)
    kind = jax.random.uniform(key_kind, (most,))
    random = jax.random.randint(key_random, (most,), 0, vocab, tokens.dtype)
    old = tokens[positions]
    new_tokens = jnp.where(kind < split[0], mask, jnp.where(kind < sum(split), random, old))
    new_tokens = jnp.where(weight > 0, new_tokens, old).astype(tokens.dtype)
    return Masked(tokens.at[positions].set(new_tokens), positions, weight)


def moved_about(key: jax.Array, tokens: jax.Array, segments: jax.Array, *, most: int) -> jax.Array:
    """Rows int [B, L] whose tokens change places, each by at most `most` (Lample et al. 2018,
    arXiv:1711.00043, section 2.3): sorted by place + U(0, most + 1). The first and the last token
    of each row stay, and so does padding, where segments int [B, L] are 0."""
    place = jnp.arange(tokens.shape[1])
    last = jnp.sum(segments > 0, axis=1, keepdims=True) - 1
    inside = (place > 0) & (place < last)
    noise = jax.random.uniform(key, tokens.shape, maxval=most + 1.0)
    # Those inside stay between the first, at 0, and the last, behind all of them.
    at = jnp.where(inside, place + noise, jnp.where(place == 0, -1.0, place + most + 1.0))
    return jnp.take_along_axis(tokens, jnp.argsort(at, axis=1, stable=True), axis=1)


class Pair(NamedTuple):
    """[CLS] A [SEP] B [SEP]: tokens, segments (1, or 0 for padding) and types (1 in B), int [L];
    label: int, 1 where B does not follow A."""

    tokens: jax.Array
    segments: jax.Array
    types: jax.Array
    label: jax.Array


def sentence_pair(
    key: jax.Array,
    tokens: jax.Array,
    other: jax.Array,
    segments: jax.Array,
    other_segments: jax.Array,
    *,
    cls: int,
    sep: int,
    swap: bool,
) -> Pair:
    """Two parts of a text that follow each other, or do not, with even chances.

    The text of a row, without its special tokens, is cut at a random place into A and B. For what
    does not follow, B is the second part of another row (next sentence prediction, Devlin et al.
    2018), or with `swap` A and B change places (sentence order prediction, Lan et al. 2019,
    arXiv:1909.11942).

    Args:
      tokens, other: two rows, int [L]. segments, other_segments: theirs, 0 for padding. Special
        tokens in the rows are left out.
    """
    length = tokens.shape[0]
    key_cut, key_label = jax.random.split(key)
    share = jax.random.uniform(key_cut, (), minval=0.3, maxval=0.7)
    label = jax.random.bernoulli(key_label).astype(jnp.int32)

    def content(tokens: jax.Array, segments: jax.Array) -> tuple[jax.Array, jax.Array]:
        real = (segments > 0) & (tokens != cls) & (tokens != sep)
        return tokens[jnp.argsort(~real, stable=True)], jnp.sum(real)

    mine, n = content(tokens, segments)
    theirs, m = content(other, other_segments)
    room = length - 3
    n, m = jnp.minimum(n, room), jnp.minimum(m, room)
    cut = jnp.clip(jnp.round(share * n).astype(jnp.int32), 1, jnp.maximum(n - 1, 1))
    wrong = label == 1
    # (source, start, size) of A and B.
    if swap:
        a0, a = jnp.where(wrong, cut, 0), jnp.where(wrong, n - cut, cut)
        b0, b = jnp.where(wrong, 0, cut), jnp.where(wrong, cut, n - cut)
        second = mine
    else:
        start = jnp.clip(jnp.round(share * m).astype(jnp.int32), 0, m)
        a0, a = 0, cut
        b0, b = jnp.where(wrong, start, cut), jnp.where(wrong, m - start, n - cut)
        b = jnp.minimum(b, room - a)
        second = jnp.where(wrong, theirs, mine)
    at = jnp.arange(length)
    in_a, in_b = (at >= 1) & (at <= a), (at >= a + 2) & (at < a + 2 + b)
    out = jnp.where(in_a, mine[jnp.clip(at - 1 + a0, 0, length - 1)], 0)
    out = jnp.where(in_b, second[jnp.clip(at - a - 2 + b0, 0, length - 1)], out)
    out = jnp.where(at == 0, cls, out)
    out = jnp.where((at == a + 1) | (at == a + b + 2), sep, out)
    real = at <= a + b + 2
    types = (real & (at >= a + 2)).astype(jnp.int32)
    return Pair(out.astype(tokens.dtype), real.astype(jnp.int32), types, label)


class Spans(NamedTuple):
    """A row with spans cut out: what the encoder reads, and what the decoder writes.

    inputs: int [Li], target: int [Lt]; 0 beyond input_size and target_size, two ints.
    """

    inputs: jax.Array
    input_size: jax.Array
    target: jax.Array
    target_size: jax.Array


def span_sizes(length: int, *, density: float = 0.15, mean: float = 3.0) -> tuple[int, int]:
    """Lengths (Li, Lt) that hold every row of up to `length` tokens after `corrupt_spans`."""
    rows = [_span_counts(n, density, mean) for n in range(2, length + 1)]
    inputs = max(n - noise + spans for n, (noise, spans) in zip(range(2, length + 1), rows))
    return inputs + 1, max(noise + spans for noise, spans in rows) + 1


def _span_counts(n: int, density: float, mean: float) -> tuple[int, int]:
    noise = min(max(round(n * density), 1), n - 1)
    return noise, max(1, min(round(noise / mean), n - noise))


def corrupt_spans(
    key: jax.Array,
    tokens: jax.Array,
    size: jax.Array,
    *,
    density: float = 0.15,
    mean: float = 3.0,
    eos: int,
    sentinel: int,
) -> Spans:
    """T5's span corruption (Raffel et al. 2019, arXiv:1910.10683, section 3.1.4).

    round(density n) of the n tokens, in round(that / mean) spans of random lengths, are replaced by
    one sentinel each, and the target lists each sentinel with the tokens that it stands for; both
    end with `eos`. A row begins with a kept token.

    Args:
      tokens: int [L], of which the first `size` count (2 or more).
      sentinel: number of the first sentinel; the next ones count down from it.
    """
    length = tokens.shape[0]
    counts = [_span_counts(n, density, mean) for n in range(2, length + 1)]
    noise, spans = jnp.asarray(counts)[jnp.clip(size, 2, length) - 2]
    key_noise, key_kept = jax.random.split(key)
    hidden = _partition(key_noise, noise, spans, length)
    kept = _partition(key_kept, size - noise, spans, length)
    # Spans begin where the kept and hidden parts before them end.
    both = jnp.stack([kept, hidden], axis=1).reshape(-1)
    ends = jnp.cumsum(both)
    at = jnp.arange(length)
    part = jnp.searchsorted(ends, at, side="right")
    real = at < size
    is_noise = (part % 2 == 1) & real
    first = is_noise & ~jnp.concatenate([jnp.zeros(1, bool), is_noise[:-1]])
    number = sentinel - (part // 2)
    li, lt = span_sizes(length, density=density, mean=mean)

    def packed(values: jax.Array, keep: jax.Array, room: int) -> tuple[jax.Array, jax.Array]:
        """Kept values first, in order, then `eos`, then 0."""
        n = jnp.sum(keep)
        order = jnp.argsort(~keep, stable=True)[:room]
        out = jnp.pad(values[order], (0, max(0, room - values.shape[0])))
        where = jnp.arange(room)
        out = jnp.where(where < n, out, jnp.where(where == n, eos, 0))
        return out.astype(tokens.dtype), n + 1

    inputs, input_size = packed(jnp.where(first, number, tokens), real & (~is_noise | first), li)
    # Each hidden token gives one entry, and the first of a span its sentinel before it.
    pairs = jnp.stack([number, tokens], axis=1).reshape(-1)
    keep = jnp.stack([first, is_noise], axis=1).reshape(-1)
    target, target_size = packed(pairs, keep, lt)
    return Spans(inputs, input_size, target, target_size)


def _partition(key: jax.Array, items: jax.Array, parts: jax.Array, length: int) -> jax.Array:
    """`items` in `parts` random positive numbers, int [length], 0 beyond; each way as likely."""
    at = jnp.arange(length)
    noise = jnp.where((at >= 1) & (at < items), jax.random.uniform(key, (length,)), 2.0)
    rank = jnp.argsort(jnp.argsort(noise))
    begins = (rank < parts - 1) & (at >= 1) & (at < items)
    which = jnp.cumsum(begins)
    return jnp.zeros(length, jnp.int32).at[which].add((at < items).astype(jnp.int32))
