"""Sinkhorn-Knopp: soft assignments that use every prototype equally often.

Cuturi, "Sinkhorn Distances", 2013, arXiv:1306.0895; as an assignment of a batch to prototypes in
Caron et al. 2020 (SwAV), arXiv:2006.09882, appendix A.

    Q = exp(scores)  [B, K],    a few times:
    Q <- Q / (sum over samples),    Q <- Q / (sum over prototypes)

Each prototype first gets the same total weight, then each sample a total of one; the authors'
factors 1/K and 1/B cancel. It runs on logarithms, so that no exp overflows and no prototype whose
column underflows divides zero by zero. The sums are over the global batch.
"""

import chex
import jax
import jax.numpy as jnp

# In place of -inf, whose differences are NaN.
_NEVER = -1e30


def sinkhorn(scores: jax.Array, *, iterations: int = 3, mask: jax.Array | None = None) -> jax.Array:
    """Assignments [..., K] float32 of all samples together, whatever their axes; no gradient.

    Args:
      scores: [..., K], logarithms of what the paper starts from: logits / epsilon, or
        log-probabilities.
      iterations: pairs of normalisations.
      mask: bool [...], True for the samples that take part; the rows of the others are zero.
    Returns: rows that sum to one.
    """
    if scores.ndim < 2:
        raise ValueError(f"Sinkhorn needs samples and prototypes, got shape {scores.shape}")
    q = jax.lax.stop_gradient(scores.astype(jnp.float32))
    samples = tuple(range(q.ndim - 1))
    if mask is not None:
        chex.assert_shape(mask, scores.shape[:-1])
        mask = mask[..., None]
    for _ in range(iterations):
        if mask is not None:
            q = jnp.where(mask, q, _NEVER)
        q = q - jax.nn.logsumexp(q, axis=samples, keepdims=True)
        q = q - jax.nn.logsumexp(q, axis=-1, keepdims=True)
    return jnp.exp(q) if mask is None else jnp.where(mask, jnp.exp(q), 0.0)
