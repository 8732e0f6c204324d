"""Thresholds and weights that adapt while training: pure functions with an explicit state.

With m = max p and c = argmax p of a batch of predictions p [B, K] on unlabelled examples:

    fixed      w = [m >= t]
    FlexMatch  w = [m >= t b_c / (2 - b_c)],  b_k = count(selected = k) / largest count
    FreeMatch  w = [m >= t_e q_c / max q],    t_e = EMA(mean m),  q = EMA(mean p)
    SoftMatch  w = exp(-min(m - u, 0)^2 / (2 v / n^2)),  u, v = EMA of mean and variance of m
    AdaMatch   w = [m >= t mean_i max p_labelled,i]

FixMatch: Sohn et al. 2020, arXiv:2001.07685. FlexMatch: Zhang et al. 2021, arXiv:2110.08263, eq. 5
to 7 and 11. FreeMatch: Wang et al. 2023, arXiv:2205.07246, eq. 4 to 8. SoftMatch: Chen et al. 2023,
arXiv:2301.10921, eq. 5 to 9. AdaMatch: Berthelot et al. 2022, arXiv:2106.04732, eq. 4.

A state is a pytree for `State.extra`. FreeMatch and SoftMatch count the batch before they judge it;
FlexMatch judges first. No gradient flows through any of them. A loss is the sum of w times the loss
of each example over B, not over the sum of w: dividing by that makes few as loud as many.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

DECAY = 0.999
Array = jax.Array | np.ndarray


def confident(p: Array) -> tuple[jax.Array, jax.Array]:
    """(largest probability [B] float32, its class [B] int32) of p [B, K], without gradient."""
    chex.assert_rank(p, 2)
    p = jax.lax.stop_gradient(p.astype(jnp.float32))
    return jnp.max(p, axis=1), jnp.argmax(p, axis=1).astype(jnp.int32)


def fixed(p: jax.Array, *, threshold: float = 0.95) -> jax.Array:
    """Weights [B] in {0, 1} of p [B, K]: sure by at least `threshold`."""
    return (confident(p)[0] >= threshold).astype(jnp.float32)


def flexmatch_start(examples: int) -> jax.Array:
    """The state of FlexMatch, int32 [N]: the class under which each unlabelled example was selected
    last, -1 for never.
    """
    return jnp.full((examples,), -1, jnp.int32)


def flexmatch(
    p: Array,
    index: Array,
    selected: jax.Array,
    *,
    threshold: float = 0.95,
    warmup: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """Curriculum thresholds: a class that was selected rarely so far needs less confidence.

    Args:
      p: [B, K]. index: int [B], which of the N unlabelled examples these are.
      selected: the state, int32 [N]. threshold: t; the state always uses the full one.
      warmup: count examples that were never selected when the largest count is taken, so that all
        thresholds start near 0. As long as nothing is selected they are 0: every example counts.
    Returns: (weights [B] in {0, 1}, new state).
    """
    chex.assert_shape(index, (len(p),))
    m, c = confident(p)
    counts = jnp.sum(jax.nn.one_hot(selected, p.shape[1]), axis=0)
    largest = jnp.max(counts)
    if warmup:
        largest = jnp.maximum(largest, jnp.sum(selected < 0))
    beta = counts / jnp.maximum(largest, 1)
    weight = m >= threshold * (beta / (2 - beta))[c]
    # An example that is not sure keeps what it had.
    new = selected.at[index].set(jnp.where(m >= threshold, c, selected[index]))
    return weight.astype(jnp.float32), new


class FreeMatchState(NamedTuple):
    """threshold: scalar, t_e. prior: [K], q. histogram: [K], EMA of the shares of the classes."""

    threshold: jax.Array
    prior: jax.Array
    histogram: jax.Array


def freematch_start(classes: int) -> FreeMatchState:
    """The state of FreeMatch: everything at 1/K."""
    even = jnp.full((classes,), 1 / classes, jnp.float32)
    return FreeMatchState(even[0], even, even)


def freematch(
    p: Array, state: FreeMatchState, *, decay: float = DECAY
) -> tuple[jax.Array, FreeMatchState]:
    """Self-adaptive thresholds: a global one, times how usual the class is.

    Args:
      p: [B, K]. state: see `freematch_start`. decay: of the moving averages.
    Returns: (weights [B] in {0, 1}, new state); the new state is the one they were tested with.
    """
    m, c = confident(p)
    shares = jnp.mean(jax.nn.one_hot(c, p.shape[1]), axis=0)
    prior = jnp.mean(jax.lax.stop_gradient(p.astype(jnp.float32)), axis=0)
    seen = FreeMatchState(jnp.mean(m), prior, shares)
    state = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, state, seen)
    weight = m >= state.threshold * (state.prior / jnp.max(state.prior))[c]
    return weight.astype(jnp.float32), state


class SoftMatchState(NamedTuple):
    """mean, variance: scalars, moving averages of those of the confidence in a batch."""

    mean: jax.Array
    variance: jax.Array


def softmatch_start(classes: int) -> SoftMatchState:
    """The state of SoftMatch: mean 1/K, variance 1."""
    return SoftMatchState(jnp.float32(1 / classes), jnp.float32(1))


def softmatch(
    p: jax.Array, state: SoftMatchState, *, decay: float = DECAY, sigmas: float = 2.0
) -> tuple[jax.Array, SoftMatchState]:
    """A truncated Gaussian: full weight above the mean confidence, falling off below it.

    Args:
      p: [B, K], B at least 2, usually aligned (`alignment.py`): for the weight only, the label is
        that of the unaligned prediction. state: see `softmatch_start`.
      sigmas: n; larger is stricter.
    Returns: (weights [B] in (0, 1], new state); the new state is the one they were computed with.
    """
    m, _ = confident(p)
    if len(m) < 2:
        raise ValueError("SoftMatch needs the variance of a batch: two unlabelled examples or more")
    seen = SoftMatchState(jnp.mean(m), jnp.var(m, ddof=1))
    state = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, state, seen)
    return gaussian(m, state.mean, state.variance, sigmas=sigmas), state


def gaussian(confidence: Array, mean: Array, variance: Array, *, sigmas: float = 2.0) -> jax.Array:
    """exp(-min(m - mean, 0)^2 / (2 variance / n^2)), the weight of SoftMatch, for m [B]."""
    below = jnp.minimum(confidence - mean, 0)
    # Without variance all are at the mean, but for rounding.
    return jnp.exp(-(below**2) / (2 * jnp.maximum(variance, 1e-12) / sigmas**2))


def adamatch(p: jax.Array, labelled: jax.Array, *, threshold: float = 0.95) -> jax.Array:
    """A threshold relative to the confidence on labelled examples.

    Args:
      p: [B, K]. labelled: predictions on the labelled examples of the step, [L, K].
    Returns: weights [B] in {0, 1}.
    """
    limit = threshold * jnp.mean(confident(labelled)[0])
    return (confident(p)[0] >= limit).astype(jnp.float32)
