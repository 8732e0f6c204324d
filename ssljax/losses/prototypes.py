"""Prototypes: predict from one view which of K prototypes another view of the image belongs to.

SwAV (Caron et al. 2020, arXiv:2006.09882), equation 1 and appendix A: targets by Sinkhorn-Knopp,
for each of the first two crops by itself,

    Q_v = sinkhorn(scores_v / eps),
    L = mean_v mean_{u != v} -sum_k Q_vk log softmax(scores_u / T)_k

MSN (Assran et al. 2022, arXiv:2204.07141), equations 1 and 2, with p the anchors' and p+ the
targets' softmax over prototypes:

    L = mean -sum_k p+_k log p_k + w (ln K - H(mean p)),    p+ = sinkhorn(p+^(1/s) / sum)
"""

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.distillation import cross_view
from ssljax.losses.normalize import l2_normalize
from ssljax.losses.sinkhorn import sinkhorn


def swav(
    scores: jax.Array,
    queued: jax.Array | None = None,
    full: jax.Array | None = None,
    *,
    epsilon: float,
    temperature: float,
    iterations: int = 3,
) -> jax.Array:
    """SwAV's loss, a scalar float32; ln K where the prototypes say nothing.

    Args:
      scores: [B, V, K], cosines of each crop and each prototype; the first two crops are assigned.
      queued: [2, Q, K], cosines of earlier embeddings of either crop and the present prototypes;
        they take part in Sinkhorn, so that a small batch is still spread over many prototypes.
      full: bool scalar, whether the queued rows count yet.
      epsilon: smoothness of the assignments. temperature: of the predictions.
      iterations: of Sinkhorn.
    """
    chex.assert_rank(scores, 3)
    b = len(scores)
    targets = []
    for v in range(2):
        rows, mask = scores[:, v], None
        if queued is not None:
            assert full is not None, "queued scores need `full`, whether they count yet"
            chex.assert_rank((queued, full), (3, 0))
            old = queued.shape[1]
            rows = jnp.concatenate([queued[v], rows])
            mask = jnp.concatenate([jnp.broadcast_to(full, (old,)), jnp.ones((b,), bool)])
        targets.append(sinkhorn(rows / epsilon, iterations=iterations, mask=mask)[-b:])
    return cross_view(scores, jnp.stack(targets, axis=1), temperature=temperature)


def msn(
    anchors: jax.Array,
    targets: jax.Array,
    prototypes: jax.Array,
    *,
    temperature: float,
    sharpening: float,
    weight: float,
    iterations: int = 3,
) -> tuple[jax.Array, jax.Array]:
    """MSN's loss; the gradient reaches anchors and prototypes, but neither through the targets.

    Args:
      anchors: [B, A, D], A views of each image from the online network.
      targets: [B, D], one other view of it from the target network.
      prototypes: [K, D].
      temperature: of both softmaxes. sharpening: s, the targets are raised to the power 1 / s.
      weight: of the regulariser. iterations: of Sinkhorn.
    Returns: (loss, regulariser ln K - H(mean p)), scalars float32. The regulariser is 0 where the
      anchors use all prototypes alike and ln K where they all sit on one.
    """
    chex.assert_rank((anchors, targets, prototypes), (3, 2, 2))
    chex.assert_equal_shape(
        (anchors, targets),
        dims=(0, -1),
    )
    exact = jax.lax.Precision.HIGHEST
    w = l2_normalize(prototypes)
    logits = jnp.einsum("bad,kd->bak", l2_normalize(anchors), w, precision=exact) / temperature
    log_p = jax.nn.log_softmax(logits, axis=-1)
    teacher = jnp.dot(l2_normalize(targets), w.T, precision=exact) / temperature
    # softmax(x)^(1/s), renormalised, is softmax(x / s).
    sharp = jax.nn.log_softmax(jax.lax.stop_gradient(teacher) / sharpening, axis=-1)
    q = sinkhorn(sharp, iterations=iterations)
    entropy = -jnp.einsum("bk,bak->", q, log_p, precision=exact) / (log_p.shape[0] * log_p.shape[1])
    mean = jnp.mean(jnp.exp(log_p), axis=(0, 1))
    regulariser = jnp.log(float(len(mean))) - jnp.sum(jax.scipy.special.entr(mean))
    return entropy + weight * regulariser, regulariser
