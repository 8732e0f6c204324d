"""Melodies for training and for the eye: other keys, and piano rolls.

A melody is int [B, T]: 0 where what sounds goes on, 1 where it ends, 2 and more where a note
begins, the higher the number the higher the note.
"""

import jax
import jax.numpy as jnp

_KEYS, _FIRST, _SIDE = 88, 2, 96


def transpose(key: jax.Array, melody: jax.Array, *, most: int, keys: int = _KEYS) -> jax.Array:
    """Each melody [B, T] higher or lower by up to `most` semitones, drawn evenly; one that would
    leave the keyboard stays as it is.
    """
    shift = jax.random.randint(key, (len(melody), 1), -most, most + 1)
    note = melody >= _FIRST
    moved = jnp.where(note, melody + shift, melody)
    fits = jnp.all(~note | ((moved >= _FIRST) & (moved < keys + _FIRST)), axis=1, keepdims=True)
    return jnp.where(fits, moved, melody)


def piano_rolls(melody: jax.Array) -> jax.Array:
    """Pictures [..., S, S, 3] in [0, 1] of melodies [..., T]: time to the right, a row a key, the
    lowest at the bottom; where a note begins it is darker.
    """
    steps = melody.shape[-1]
    wide = max(1, round(_SIDE / steps))
    side = max(_SIDE, wide * steps)
    at = jnp.arange(steps)
    last = jax.lax.cummax(jnp.where(melody == 0, -1, at), axis=melody.ndim - 1)
    event = jnp.take_along_axis(melody, jnp.maximum(last, 0), axis=-1)
    key = jnp.where(last < 0, 0, event) - _FIRST
    sounds = key[..., None, :] == jnp.arange(_KEYS)[::-1, None]
    begins = sounds & (last == at)[..., None, :]
    dark = jnp.where(begins, 1.0, jnp.where(sounds, 0.6, 0.0))
    octaves = jnp.where((jnp.arange(_KEYS)[::-1, None] % 12) == 3, 0.1, 0.0)  # a line at each C
    dark = jnp.repeat(jnp.maximum(dark, octaves), wide, axis=-1)
    room = [(0, 0)] * (dark.ndim - 2)
    above = (side - _KEYS) // 2
    tall, right = (above, side - _KEYS - above), (0, side - wide * steps)
    dark = jnp.pad(dark, [*room, tall, right])
    return 1 - dark[..., None] * jnp.array([0.9, 0.7, 0.3])
