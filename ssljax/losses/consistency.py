"""Losses on unlabelled examples: pseudo-labels with a weight, consistency, fairness, annealing.

A pseudo-label is a target with a weight w; strong are the logits of the view that learns it.

    pseudo      L = (1 / B) sum_i w_i CE(target_i, strong_i): over B, not over the sum of w
    mse         L = mean over i, k of (softmax(student) - teacher)^2                (Mean Teacher)
    fairness    L = sum_k q_k log r_k,  q = norm(prior / histogram),  r = norm(mean p / share)
                over selected examples, share that of the classes among them       (FreeMatch)
    annealed    L = sum_i [p_i(y_i) <= limit] CE_i / count                         (UDA)

FixMatch: Sohn et al. 2020, arXiv:2001.07685, eq. 4. Mean Teacher: Tarvainen, Valpola 2017,
arXiv:1703.01780. FreeMatch: Wang et al. 2023, arXiv:2205.07246, eq. 10 to 12: q and r should become
unlike, so its log has no minus sign. UDA: Xie et al. 2019, arXiv:1904.12848, section 3.3 of version
2 (training signal annealing), with the mean over what is kept, as in the authors' code.
"""

import chex
import jax
import jax.numpy as jnp


def pseudo(strong: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """Weighted cross-entropy over all examples, scalar float32.

    Args:
      strong: logits [B, K]. target: classes int [B], or probabilities [B, K]. weight: [B].
    """
    chex.assert_rank(strong, 2)
    chex.assert_shape(weight, (len(strong),))
    log_p = jax.nn.log_softmax(strong.astype(jnp.float32), axis=-1)
    if target.ndim == 1:
        picked = jnp.take_along_axis(log_p, target[:, None], axis=-1)[:, 0]
    else:
        chex.assert_equal_shape((target, strong))
        picked = jnp.sum(target * log_p, axis=-1)
    return -jnp.mean(weight * picked)


def sharpened(logits: jax.Array, *, temperature: float) -> jax.Array:
    """softmax(logits / T) of [B, K], float32 without gradient; T below 1 makes it surer."""
    return jax.nn.softmax(jax.lax.stop_gradient(logits.astype(jnp.float32)) / temperature, axis=-1)


def mse(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Mean squared distance of probabilities over examples and classes, scalar float32.

    Args:
      student, teacher: logits [B, K]; no gradient reaches the teacher.
    """
    chex.assert_equal_shape((student, teacher))
    p = jax.nn.softmax(student.astype(jnp.float32), axis=-1)
    return jnp.mean((p - sharpened(teacher, temperature=1.0)) ** 2)


def fairness(
    strong: jax.Array, weight: jax.Array, prior: jax.Array, histogram: jax.Array
) -> jax.Array:
    """FreeMatch's self-adaptive fairness, scalar float32; 0 where nothing is selected.

    Args:
      strong: logits [B, K]. weight: [B], 0 leaves an example out.
      prior, histogram: [K], moving averages of mean prediction and of the shares of the classes.
    """
    chex.assert_equal_shape((prior, histogram))
    prior, histogram = jax.lax.stop_gradient((prior, histogram))
    p = jax.nn.softmax(strong.astype(jnp.float32), axis=-1)
    chosen = (weight > 0).astype(jnp.float32)
    count = jnp.maximum(jnp.sum(chosen), 1.0)
    mean = jnp.sum(chosen[:, None] * p, axis=0) / count
    guess = jax.nn.one_hot(jnp.argmax(p, axis=-1), p.shape[-1])
    share = jnp.sum(chosen[:, None] * guess, axis=0) / count
    q, r = prior * _inverse(histogram), mean * _inverse(share)
    q, r = q / jnp.maximum(jnp.sum(q), 1e-12), r / jnp.maximum(jnp.sum(r), 1e-12)
    return jnp.where(jnp.any(weight > 0), jnp.sum(q * jnp.log(r + 1e-12)), 0.0)


def annealed(logits: jax.Array, labels: jax.Array, limit: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of labelled examples that are not yet known too well, and their share.

    Args:
      logits: [B, K]. labels: int [B]. limit: examples whose label has more probability are left
        out; 1 keeps all.
    """
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    picked = jnp.take_along_axis(log_p, labels[:, None], axis=-1)[:, 0]
    kept = (jnp.exp(jax.lax.stop_gradient(picked)) <= limit).astype(jnp.float32)
    return -jnp.sum(kept * picked) / jnp.maximum(jnp.sum(kept), 1.0), jnp.mean(kept)


def _inverse(x: jax.Array) -> jax.Array:
    """1 / x, and 0 where x is 0."""
    return jnp.where(x > 0, 1.0 / jnp.where(x > 0, x, 1.0), 0.0)
