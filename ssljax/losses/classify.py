"""Cross-entropy with numbered classes, as pretext tasks use it."""

import chex
import jax
import jax.numpy as jnp


def classification(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy and accuracy, two scalars float32.

    Args:
      logits: [..., K]. labels: integers [...] in 0 to K-1.
    """
    chex.assert_equal_shape_prefix((logits, labels), labels.ndim)
    chex.assert_rank(logits, labels.ndim + 1)
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    picked = jnp.take_along_axis(log_p, labels[..., None], axis=-1)
    right = jnp.argmax(logits, axis=-1) == labels
    return -jnp.mean(picked), jnp.mean(right.astype(jnp.float32))
