"""Cross-entropy with numbered classes, as pretext tasks use it."""

import chex
import jax
import jax.numpy as jnp


def classification(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy and accuracy of what has a label, two scalars float32; 0 of nothing.

    Args:
      logits: [..., K]. labels: integers [...] in 0 to K-1, or -1 for none.
    """
    chex.assert_equal_shape_prefix((logits, labels), labels.ndim)
    chex.assert_rank(logits, labels.ndim + 1)
    known = (labels >= 0).astype(jnp.float32)
    count = jnp.maximum(jnp.sum(known), 1.0)
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    picked = jnp.take_along_axis(log_p, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    right = jnp.argmax(logits, axis=-1) == labels
    return -jnp.sum(picked * known) / count, jnp.sum(right * known) / count


def spread_weight(weight: jax.Array, parts: tuple[int, ...]) -> jax.Array:
    """Weights [B], or of the parts already, as weights of all parts [B, *parts]."""
    weight = weight.reshape(weight.shape + (1,) * (1 + len(parts) - weight.ndim))
    return jnp.broadcast_to(weight, (weight.shape[0], *parts))
