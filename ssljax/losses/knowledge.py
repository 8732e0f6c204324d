"""Losses of knowledge graphs, and the rank of the right answer among all.

Sun et al. 2019 (arXiv:1902.10197) for negatives that weigh themselves, Lacroix et al. 2018
(arXiv:1806.07297) for the cube of the norms.
"""

import jax
import jax.numpy as jnp


def self_adversarial(
    positive: jax.Array, negative: jax.Array, weight: jax.Array, *, temperature: float
) -> jax.Array:
    """Half of the loss of right and half of that of wrong triples, scalar.

        p_j = softmax_j(temperature s-_j), without gradient
        L = sum_i w_i [ softplus(-s+_i) + sum_j p_ij softplus(s-_ij) ] / (2 sum_i w_i)

    Args: positive: scores [B]. negative: scores [B, K]. weight: [B].
    """
    share = jax.lax.stop_gradient(jax.nn.softmax(temperature * negative, axis=1))
    wrong = jnp.sum(share * jax.nn.softplus(negative), axis=1)
    return jnp.sum(weight * (jax.nn.softplus(-positive) + wrong)) / (2 * jnp.sum(weight))


def cubed_norm(*moduli: jax.Array) -> jax.Array:
    """The mean over triples of the sum of |x|^3 over their factors [B, D]: the nuclear 3-norm."""
    return sum((jnp.sum(jnp.abs(x) ** 3) / len(x) for x in moduli), jnp.zeros(()))


def filtered_ranks(
    scores: jax.Array, answer: jax.Array, known: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """(best, worst) rank of the answer, float32 [B] each, from 1.

    The best rank counts what scores higher, the worst also what scores the same; their mean is the
    realistic rank, which a constant score cannot flatter. A score that is no number, of the answer
    or of another, counts against the answer.

    Args:
      scores: [B, N]. answer: int [B].
      known: int [B, A], other right answers, which are not counted; -1 for none.
    """
    count = scores.shape[1]
    right = jnp.take_along_axis(scores, answer[:, None], axis=1)
    slots = jnp.where(known >= 0, known, count)
    here = jnp.arange(len(scores))[:, None]
    others = jnp.ones(scores.shape, bool).at[here, slots].set(False, mode="drop")
    others = others.at[here[:, 0], answer].set(False)
    higher = jnp.sum(others & ~(scores <= right), axis=1)
    same = jnp.sum(others & (scores == right), axis=1)
    return (1 + higher).astype(jnp.float32), (1 + higher + same).astype(jnp.float32)
