"""Values that move from `start` to `stop` over a run, as functions of the update number k.

Both are at `start` for k = 0 and at `stop` from k = updates on; where updates is 0, always.
Learning rates have schedules of their own (`ssljax.training.optimizers`); these are for decays,
temperatures and weights.
"""

import jax
import jax.numpy as jnp


def cosine(k: jax.Array, updates: int, *, start: float, stop: float) -> jax.Array:
    """Half a cosine: stop + (start - stop) (1 + cos(pi k / updates)) / 2."""
    return stop + (start - stop) * (1 + jnp.cos(jnp.pi * _done(k, updates))) / 2


def linear(k: jax.Array, updates: float, *, start: float, stop: float) -> jax.Array:
    """A straight line: start + (stop - start) k / updates."""
    return start + (stop - start) * _done(k, updates)


def _done(k: jax.Array, updates: float) -> jax.Array:
    return jnp.clip(k, 0, updates) / updates if updates > 0 else jnp.ones(())


def length(value: int | float, steps: int) -> int:
    """A length that may be given as a share of the run: a float below 1 of `steps`, else itself.

    A share is at least one step, 0 stays 0. Raises: ValueError for 1.5 and the like.
    """
    if isinstance(value, float) and 0 < value < 1:
        return max(1, round(value * steps))
    if value != int(value):
        raise ValueError(f"{value} is no number of steps: whole, or below 1 for a share of the run")
    return int(value)
