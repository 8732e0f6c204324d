"""Self-distillation: a student's softmax follows a teacher's on another crop, or on masked patches.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers" (DINO), 2021,
arXiv:2104.14294; Zhou et al., "iBOT", 2021, arXiv:2111.07832. For logits s (student), t (teacher):

    target = softmax((t - c) / T_t),    c <- m c + (1 - m) mean t, after the target was computed
    L_cls  = mean over pairs (t, s) of crops, t != s, of  -sum_k target_k log softmax(s / T_s)_k
    L_patch = mean over images of the mean over their masked patches of the same cross-entropy

Subtracting the centre c keeps one prototype from winning everywhere, the low temperature T_t keeps
the target from becoming uniform: without either the networks collapse.
"""

import chex
import jax
import jax.numpy as jnp


def centred_softmax(logits: jax.Array, centre: jax.Array, *, temperature: jax.Array) -> jax.Array:
    """Targets [..., K] from a teacher's logits [..., K] and the centre [K]; no gradient."""
    chex.assert_equal_shape_suffix((logits, centre), 1)
    centred = logits.astype(jnp.float32) - centre
    return jax.lax.stop_gradient(jax.nn.softmax(centred / temperature, axis=-1))


def move_centre(centre: jax.Array, logits: jax.Array, *, momentum: float) -> jax.Array:
    """The centre [K] moved towards the mean of raw logits [..., K] over all but the last axis."""
    mean = jnp.mean(logits.astype(jnp.float32), axis=tuple(range(logits.ndim - 1)))
    return jax.lax.stop_gradient(momentum * centre + (1 - momentum) * mean)


def cross_view(student: jax.Array, targets: jax.Array, *, temperature: float) -> jax.Array:
    """Mean cross-entropy over all pairs of a target crop and a different student crop.

    Args:
      student: logits [B, V, K] of all crops; crop t of the targets is crop t of these.
      targets: probabilities [B, T, K] of the first T <= V crops.
      temperature: of the student.
    Returns: scalar float32, the mean over the T (V - 1) pairs and the batch.
    """
    chex.assert_rank((student, targets), 3)
    chex.assert_equal_shape((student, targets), dims=(0, 2))
    b, v, _ = student.shape
    t = targets.shape[1]
    if not 1 <= t <= v or v < 2:
        raise ValueError(f"{t} target crops need at least {max(t, 2)} student crops, got {v}")
    log_p = jax.nn.log_softmax(student.astype(jnp.float32) / temperature, axis=-1)
    targets = jax.lax.stop_gradient(targets.astype(jnp.float32))
    exact = jax.lax.Precision.HIGHEST
    pairs = -jnp.einsum("btk,bvk->tv", targets, log_p, precision=exact) / b
    return jnp.sum(jnp.where(jnp.eye(t, v, dtype=bool), 0.0, pairs)) / (t * (v - 1))


def masked_patches(
    student: jax.Array, targets: jax.Array, mask: jax.Array, *, temperature: float
) -> jax.Array:
    """iBOT's loss: each image weighs the same, however many of its patches are masked.

    Args:
      student: logits [B, N, K] of an image of which the student saw only some patches.
      targets: probabilities [B, N, K] of the teacher, which saw all of the same image.
      mask: bool [B, N], True where the patch was hidden from the student.
      temperature: of the student.
    Returns: scalar float32; an image without masked patches counts as zero, as the authors do it.
    """
    chex.assert_rank((student, targets), 3)
    chex.assert_equal_shape((student, targets))
    chex.assert_shape(mask, student.shape[:2])
    log_p = jax.nn.log_softmax(student.astype(jnp.float32) / temperature, axis=-1)
    targets = jax.lax.stop_gradient(targets.astype(jnp.float32))
    entropy = -jnp.sum(targets * log_p, axis=-1)
    weight = mask / jnp.maximum(jnp.sum(mask, axis=1, keepdims=True), 1)
    return jnp.sum(entropy * weight) / len(student)
