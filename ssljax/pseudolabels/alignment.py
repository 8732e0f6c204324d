"""Distribution alignment: predictions that are, on average, distributed as classes should be.

    p <- norm(p (target + 1e-6) / (model + 1e-6))

Berthelot et al. 2020 (ReMixMatch), arXiv:1911.09785, section 3.1. `model` is a moving average of
the mean prediction on unlabelled data that starts at the mean of the first batch, `target` is
uniform, a known prior, or a moving average of the mean prediction on labelled data that starts at
one of these (AdaMatch). Both starts are those of USB. Uniform alignment of imbalanced classes is a
bias.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

_SMALL = 1e-6


class Alignment(NamedTuple):
    """model, target: [K] float32, sums to one; seen: int32, the number of batches so far."""

    model: jax.Array
    target: jax.Array
    seen: jax.Array


def alignment_start(classes: int, *, prior: np.ndarray | None = None) -> Alignment:
    """The state of an alignment.

    Args:
      prior: shares of the classes [K] where they are known; None: uniform. Where `align` is given
        labelled predictions, the target moves from here.
    Raises: ValueError for shares that are negative or do not sum to one.
    """
    even = np.full(classes, 1 / classes)
    target = even if prior is None else np.asarray(prior, np.float64)
    if target.shape != (classes,) or target.min() < 0 or abs(target.sum() - 1) > 1e-4:
        raise ValueError(f"a prior of {classes} classes is {classes} shares that sum to one")
    return Alignment(jnp.asarray(even, jnp.float32), jnp.asarray(target, jnp.float32), jnp.int32(0))


def align(
    p: jax.Array | np.ndarray,
    state: Alignment,
    *,
    labelled: jax.Array | None = None,
    decay: float = 0.999,
) -> tuple[jax.Array, Alignment]:
    """Counts this batch, then aligns it.

    Args:
      p: predictions on unlabelled examples [B, K]. labelled: those on labelled examples [L, K],
        towards whose mean the target moves; None: it stays.
      decay: of the moving averages.
    Returns: (aligned predictions [B, K] float32 without gradient, new state).
    """
    chex.assert_rank(p, 2)
    p = jax.lax.stop_gradient(jnp.asarray(p, jnp.float32))
    first = jnp.where(state.seen == 0, 0.0, decay)  # the model has no start of its own

    def moved(old: jax.Array, rows: jax.Array, keep: jax.Array | float) -> jax.Array:
        return keep * old + (1 - keep) * jnp.mean(rows, axis=0)

    target = state.target
    if labelled is not None:
        labelled = jax.lax.stop_gradient(labelled.astype(jnp.float32))
        target = moved(target, labelled, decay)
    state = Alignment(moved(state.model, p, first), target, state.seen + 1)
    p = p * (state.target + _SMALL) / (state.model + _SMALL)
    return p / jnp.sum(p, axis=1, keepdims=True), state
