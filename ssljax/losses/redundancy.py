"""Two views agree, and no dimension of their embeddings repeats another.

Barlow Twins (Zbontar et al. 2021, arXiv:2103.03230), z standardised over the batch:

    c = z1^T z2 / B,    L = sum_i (c_ii - 1)^2 + w sum_{i != j} c_ij^2

VICReg (Bardes, Ponce, LeCun 2021, arXiv:2105.04906), with C(z) the covariance, ddof 1:

    inv = mean (z1 - z2)^2,    var = 1/2 sum over views of  mean_d relu(1 - sqrt(C_dd + 1e-4)),
    cov = sum over views of  1/D sum_{i != j} C_ij^2,    L = 25 inv + 25 var + cov

TiCo (Zhu et al. 2022, arXiv:2206.10698), z of length one, C a moving average:

    C <- b C + (1 - b) z1^T z1 / B,    L = mean (1 - z1 z2) + r mean z1 C z1^T

Sums over the batch are global.
"""

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.normalize import l2_normalize

_EXACT = jax.lax.Precision.HIGHEST


def barlow_twins(z1: jax.Array, z2: jax.Array, *, weight: float) -> jax.Array:
    """The loss of embeddings [B, D], a scalar float32; a sum over D^2 entries, not a mean.

    weight: of the entries off the diagonal. Variances are those of batch norm: ddof 0, plus 1e-5.
    """
    chex.assert_rank((z1, z2), 2)
    chex.assert_equal_shape((z1, z2))
    a, b = _standardise(z1), _standardise(z2)
    c = jnp.dot(a.T, b, precision=_EXACT) / len(a)
    off = jnp.where(jnp.eye(len(c), dtype=bool), 0.0, c)
    return jnp.sum((jnp.diagonal(c) - 1.0) ** 2) + weight * jnp.sum(off**2)


def vicreg(z1: jax.Array, z2: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(invariance, variance, covariance) of embeddings [B, D], scalars float32 without weights.

    Raises: ValueError for a single row, which has no variance.
    """
    chex.assert_rank((z1, z2), 2)
    chex.assert_equal_shape((z1, z2))
    if len(z1) < 2:
        raise ValueError("VICReg needs a batch of at least 2: a single row has no variance")
    z1, z2 = z1.astype(jnp.float32), z2.astype(jnp.float32)
    variance, covariance = 0.0, 0.0
    for z in (z1, z2):
        z = z - jnp.mean(z, axis=0)
        c = jnp.dot(z.T, z, precision=_EXACT) / (len(z) - 1)
        spread = jnp.sqrt(jnp.diagonal(c) + 1e-4)
        variance += 0.5 * jnp.mean(jax.nn.relu(1.0 - spread))
        off = jnp.where(jnp.eye(len(c), dtype=bool), 0.0, c)
        covariance += jnp.sum(off**2) / len(c)
    return jnp.mean((z1 - z2) ** 2), variance, covariance


def tico(
    z1: jax.Array, z2: jax.Array, moment: jax.Array, *, beta: float, rho: float
) -> tuple[jax.Array, jax.Array]:
    """The loss and the new moment.

    Args:
      z1: embeddings [B, D] of the online network. z2: those of the target network, which no
        gradient reaches. moment: C [D, D], zeros at first; uncentred, and a constant here.
      beta: decay of C. rho: weight of the second term.
    """
    chex.assert_rank((z1, z2, moment), 2)
    chex.assert_equal_shape((z1, z2))
    a, b = l2_normalize(z1), jax.lax.stop_gradient(l2_normalize(z2))
    batch = jnp.dot(a.T, a, precision=_EXACT) / len(a)
    moment = jax.lax.stop_gradient(beta * moment + (1 - beta) * batch)
    contrast = jnp.mean(jnp.sum(jnp.dot(a, moment, precision=_EXACT) * a, axis=-1))
    return 1.0 - jnp.mean(jnp.sum(a * b, axis=-1)) + rho * contrast, moment


def _standardise(z: jax.Array) -> jax.Array:
    """Columns of [B, D] with mean zero and variance one."""
    z = z.astype(jnp.float32)
    z = z - jnp.mean(z, axis=0)
    return z * jax.lax.rsqrt(jnp.mean(z**2, axis=0) + 1e-5)
