"""What pseudo-labels look like in a training step: shares in [0, 1], for the log and nothing else.

What the pool's labels really are, where the data knows, is only compared with here.
"""

import chex
import jax
import jax.numpy as jnp


def label_metrics(
    p: jax.Array, weight: jax.Array, truth: jax.Array | None = None
) -> dict[str, jax.Array]:
    """Scalars float32 about predictions p [B, K] that are used with weight [B].

    Args:
      truth: int [...] with B elements, the true classes; -1 where unknown, None for no such data.
    Returns:
      utilisation: share with a weight above 0; mean_weight; confidence: mean of max p.
      label_entropy: of the classes among those used, 1 where even; largest_share: of one class;
        both 0 where none is used.
      With truth pseudo_accuracy (of all), pseudo_precision (of those used, each by its weight) and
        pseudo_recall (right and used, of all); 0 where there is none.
    """
    chex.assert_shape(weight, (len(p),))
    p, weight = jax.lax.stop_gradient((p, weight))
    classes, used = p.shape[1], (weight > 0).astype(jnp.float32)
    guess = jnp.argmax(p, axis=1)
    shares = jnp.zeros(classes).at[guess].add(used) / jnp.maximum(jnp.sum(used), 1.0)
    entropy = -jnp.sum(shares * jnp.log(jnp.maximum(shares, 1e-12)))
    found = {
        "utilisation": jnp.mean(used),
        "mean_weight": jnp.mean(weight),
        "confidence": jnp.mean(jnp.max(p, axis=1)),
        "label_entropy": entropy / jnp.log(float(max(classes, 2))),
        "largest_share": jnp.max(shares),
    }
    if truth is None:
        return found
    truth = truth.reshape(-1)
    known = (truth >= 0).astype(jnp.float32)
    right = known * (guess == truth)
    total, weighted = jnp.sum(known), jnp.sum(known * weight)
    return found | {
        "pseudo_accuracy": jnp.sum(right) / jnp.maximum(total, 1.0),
        "pseudo_precision": jnp.sum(right * weight) / jnp.where(weighted > 0, weighted, 1.0),
        "pseudo_recall": jnp.sum(right * used) / jnp.maximum(total, 1.0),
    }
