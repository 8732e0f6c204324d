"""Clusters as classes: assignments of a clustering, neighbours that share a cluster, own labels.

DeepCluster v2 (Caron et al. 2020, arXiv:2006.09882, appendix D), for scores s of a crop:

    L = mean over crops of assigned images of -log softmax(s / T)_assignment

SCAN (Van Gansbeke et al. 2020, arXiv:2005.12320), equation 2, p and q softmax outputs of an image
and a neighbour of it; equation 3, the self-labelling of confident images:

    L = -mean log(p . q) - lambda H(mean p)
    L = sum_i w_i CE(strong_i, argmax weak_i) / sum_i w_i    over i with max softmax(weak_i) > tau,
        w_i = (number of these i) / (number of these i with the same label)
"""

import chex
import jax
import jax.numpy as jnp


def assigned(
    scores: jax.Array, assignments: jax.Array, *, temperature: float
) -> tuple[jax.Array, jax.Array]:
    """DeepCluster's loss for one head and its accuracy, two scalars float32.

    Args:
      scores: [B, V, K] of all crops. assignments: [B] in 0 to K-1, the cluster that every crop of
        an image should be in; -1 leaves an image out.
    """
    chex.assert_rank((scores, assignments), (3, 1))
    chex.assert_equal_shape_prefix((scores, assignments), 1)
    log_p = jax.nn.log_softmax(scores.astype(jnp.float32) / temperature, axis=-1)
    known = assignments >= 0
    target = jnp.where(known, assignments, 0)[:, None]
    picked = jnp.take_along_axis(log_p, target[..., None], axis=-1)[..., 0]
    right = jnp.argmax(scores, axis=-1) == target
    count = jnp.maximum(jnp.sum(known), 1) * scores.shape[1]
    loss = -jnp.sum(jnp.where(known[:, None], picked, 0.0)) / count
    return loss, jnp.sum(known[:, None] & right) / count


def scan(
    anchors: jax.Array, neighbors: jax.Array, *, entropy: float
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """SCAN's loss for one head: (loss, (consistency, entropy of the mean)), scalars float32.

    Args:
      anchors, neighbors: logits [B, K] of images and of one neighbour of each.
      entropy: lambda; the entropy, at most ln K, keeps all from falling into one cluster.
    """
    chex.assert_equal_shape((anchors, neighbors))
    chex.assert_rank(anchors, 2)
    log_p = jax.nn.log_softmax(anchors.astype(jnp.float32), axis=-1)
    log_q = jax.nn.log_softmax(neighbors.astype(jnp.float32), axis=-1)
    # log(p . q) without leaving the logarithm: two opposite certainties would give log 0.
    consistency = -jnp.mean(jax.nn.logsumexp(log_p + log_q, axis=-1))
    mean = jnp.mean(jnp.exp(log_p), axis=0)
    spread = -jnp.sum(mean * jnp.log(jnp.maximum(mean, 1e-8)))
    return consistency - entropy * spread, (consistency, spread)


def self_label(
    weak: jax.Array, strong: jax.Array, *, threshold: float, balanced: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Self-labelling: (loss, share of confident images), scalars float32; loss 0 where none is.

    Args:
      weak: logits [B, K] that give the labels; no gradient reaches them. strong: logits [B, K] of
        stronger views, which learn them.
      threshold: tau, strict. balanced: weigh by the inverse of a label's frequency.
    """
    chex.assert_equal_shape((weak, strong))
    chex.assert_rank(weak, 2)
    p = jax.nn.softmax(jax.lax.stop_gradient(weak.astype(jnp.float32)), axis=-1)
    label = jnp.argmax(p, axis=-1)
    sure = (jnp.max(p, axis=-1) > threshold).astype(jnp.float32)
    counts = jnp.zeros(weak.shape[-1]).at[label].add(sure)
    weight = sure
    if balanced:
        weight = sure * jnp.sum(sure) / jnp.maximum(counts[label], 1.0)
    log_p = jax.nn.log_softmax(strong.astype(jnp.float32), axis=-1)
    entropy = -jnp.take_along_axis(log_p, label[:, None], axis=-1)[:, 0]
    # Weights are at least 1 where there are any, so this divides by zero nowhere.
    return jnp.sum(weight * entropy) / jnp.maximum(jnp.sum(weight), 1.0), jnp.mean(sure)
