"""Contrast within a batch: two views of an image attract, the views of other images repel.

With z = n([z1; z2]) [2B, D] and s = z z^T / T, means over 2B anchors i whose partner is p(i):

    NT-Xent  logsumexp_{j != i} s_ij - s_ip              Chen et al. 2020 (SimCLR), arXiv:2002.05709
    DCL      logsumexp_{j != i, p} s_ij - w_i s_ip       Yeh et al. 2021, arXiv:2110.06848
    SupCon   logsumexp_{j != i} s_ij - mean_{j in P(i)} s_ij
                                                         Khosla et al. 2020, arXiv:2004.11362

NT-Xent keeps the partner among its 2B - 1 terms; DCL drops it, so that no term of the gradient
vanishes where the partner is close already. P(i) are all other views of the class of i. An anchor
never meets itself. The mean over 2B anchors is half of what the authors of SimCLR return (they add
the means of both views). Arrays are global: under jit over several devices the negatives come from
all of them.
"""

from functools import partial

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.normalize import l2_normalize


def nt_xent(z1: jax.Array, z2: jax.Array, *, temperature: float) -> jax.Array:
    """NT-Xent over the whole batch, holding the similarity matrix [2B, 2B].

    Args:
      z1, z2: projections [B, D] of two views; row i of each comes from the same example.
      temperature: T > 0.
    Returns: scalar float32; ln(2B - 1) where all rows are equal.
    Raises: ValueError for a temperature that is not positive.
    """
    z = _stack(z1, z2, temperature)
    return jnp.mean(_spread(z, jnp.arange(len(z)), z, temperature) - _attraction(z, temperature))


def nt_xent_chunked(z1: jax.Array, z2: jax.Array, *, temperature: float, chunk: int) -> jax.Array:
    """The same value and gradient, holding [chunk, 2B] similarities at a time.

    Rows are recomputed in the backward pass, so memory grows with B and not with its square.

    Args:
      z1, z2, temperature: as in `nt_xent`.
      chunk: anchors at a time; must divide 2B.
    Raises: ValueError where it does not.
    """
    z = _stack(z1, z2, temperature)
    if chunk < 1 or len(z) % chunk:
        raise ValueError(
            f"chunk {chunk} does not divide the {len(z)} anchors of the batch: choose one that does"
        )

    # A scan runs its body as written, so no barrier is needed against merging the two passes.
    @partial(jax.checkpoint, prevent_cse=False)
    def block(total: jax.Array, rows: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        anchors, index = rows
        return total + jnp.sum(_spread(anchors, index, z, temperature)), None

    rows = (z.reshape(-1, chunk, z.shape[1]), jnp.arange(len(z)).reshape(-1, chunk))
    total, _ = jax.lax.scan(block, jnp.zeros(()), rows)
    return total / len(z) - jnp.mean(_attraction(z, temperature))


def dcl(
    z1: jax.Array, z2: jax.Array, *, temperature: float, sigma: float | None = None
) -> jax.Array:
    """Decoupled contrastive loss, over the 2B - 2 views of other images; it may be negative.

    Args:
      z1, z2, temperature: as in `nt_xent`.
      sigma: None for DCL (w = 1). DCLW weighs partners that are far apart more,
        w_i = 2 - B softmax_i(z1_i z2_i / sigma), without gradient; the mean of w is one.
    Returns: scalar float32.
    Raises: ValueError for a single example, which has no negatives.
    """
    z = _stack(z1, z2, temperature)
    if len(z) < 4:
        raise ValueError("DCL needs a batch of at least 2: a single example has no negatives")
    positive = _attraction(z, temperature)
    if sigma is not None:
        half = jax.lax.stop_gradient(positive[: len(z1)]) * temperature
        weight = 2.0 - len(z1) * jax.nn.softmax(half / sigma)
        positive = jnp.tile(weight, 2) * positive
    index = jnp.arange(len(z)) % len(z1)
    s = _similarity(z, z, temperature)
    s = jnp.where(index[:, None] == index, -jnp.inf, s)
    return jnp.mean(jax.nn.logsumexp(s, axis=-1) - positive)


def supcon(z1: jax.Array, z2: jax.Array, labels: jax.Array, *, temperature: float) -> jax.Array:
    """Supervised contrastive loss ("out"): the views of a class attract each other.

    Args:
      z1, z2, temperature: as in `nt_xent`.
      labels: int [B]. A negative label means unknown: such a view has only its partner.
    Returns: scalar float32. The authors' code multiplies it by temperature / 0.07.
    """
    chex.assert_shape(labels, (len(z1),))
    z = _stack(z1, z2, temperature)
    n = len(z)
    index, label = jnp.arange(n), jnp.tile(labels, 2)
    same = (label[:, None] == label) & (label >= 0)
    same = same | (index[:, None] == jnp.roll(index, n // 2))
    same = same & (index[:, None] != index)
    s = _similarity(z, z, temperature)
    attraction = jnp.sum(jnp.where(same, s, 0.0), axis=-1) / jnp.sum(same, axis=-1)
    return jnp.mean(_spread(z, index, z, temperature) - attraction)


def _stack(z1: jax.Array, z2: jax.Array, temperature: float) -> jax.Array:
    """Unit vectors of both views [2B, D] in float32; anchor i and i + B are partners."""
    chex.assert_equal_shape((z1, z2))
    chex.assert_rank(z1, 2)
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} must be above 0; 0.1 to 0.5 are usual")
    return jnp.concatenate([l2_normalize(z1), l2_normalize(z2)])


def _spread(anchors: jax.Array, index: jax.Array, z: jax.Array, temperature: float) -> jax.Array:
    """Log-sum-exp [R] over all of z [2B, D] but oneself; the anchors are rows `index` of z."""
    s = _similarity(anchors, z, temperature)
    s = jnp.where(index[:, None] == jnp.arange(len(z)), -jnp.inf, s)
    return jax.nn.logsumexp(s, axis=-1)


def _similarity(a: jax.Array, b: jax.Array, temperature: float) -> jax.Array:
    """All products [R, N] of rows of a [R, D] and b [N, D], over the temperature."""
    # Full float32: half precision would shift s by several hundredths at a temperature of 0.1.
    return jnp.dot(a, b.T, precision=jax.lax.Precision.HIGHEST) / temperature


def _attraction(z: jax.Array, temperature: float) -> jax.Array:
    """Similarity of each anchor to its partner, [2B]."""
    return jnp.sum(z * jnp.roll(z, len(z) // 2, axis=0), axis=-1) / temperature
