"""Losses of rankings, and how good the first of a ranking are.

Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
"""

import jax
import jax.numpy as jnp


def bpr(positive: jax.Array, negative: jax.Array) -> jax.Array:
    """The mean of -log sigmoid(s+ - s-), scalar.

    Args: positive: scores [B]. negative: scores [B, K] of what should stand below.
    """
    return jnp.mean(jax.nn.softplus(negative - positive[:, None]))


def first_k(
    scores: jax.Array, wanted: jax.Array, seen: jax.Array, *, k: int
) -> dict[str, jax.Array]:
    """How good the k highest of all items are, a number for each user [B].

        recall_k     share of the wanted items that are among them
        precision_k  share of them that is wanted        hit_k  whether any is
        ndcg_k       sum over wanted ones at rank r of 1 / log2(1 + r), over the best that it can be
        mrr_k        1 / rank of the first wanted one, 0 where there is none

    As RecBole has it. A score that is no number stands last; of equal ones the first item is first.

    Args:
      scores: [B, N]. k: at most N.
      wanted: int [B, W], at least one; seen: int [B, A], left out of the ranking; -1 for none.
    """
    users, items = scores.shape
    here = jnp.arange(users)[:, None]

    def marked(which: jax.Array) -> jax.Array:
        slots = jnp.where(which >= 0, which, items)
        return jnp.zeros(scores.shape, bool).at[here, slots].set(True, mode="drop")

    scores = jnp.where(marked(seen) | jnp.isnan(scores), -jnp.inf, scores)
    right = jnp.take_along_axis(marked(wanted), jax.lax.top_k(scores, k)[1], axis=1)
    count = jnp.sum(wanted >= 0, axis=1)
    gain = 1 / jnp.log2(jnp.arange(k) + 2.0)
    best = jnp.cumsum(gain)[jnp.clip(count, 1, k) - 1]
    found = jnp.sum(right, axis=1)
    return {
        f"recall_{k}": found / jnp.maximum(count, 1),
        f"precision_{k}": found / k,
        f"hit_{k}": (found > 0).astype(jnp.float32),
        f"ndcg_{k}": jnp.sum(right * gain, axis=1) / best,
        f"mrr_{k}": jnp.max(right / (jnp.arange(k) + 1.0), axis=1),
    }


def same_of_two(one: jax.Array, two: jax.Array, ids: jax.Array, *, temperature: float) -> jax.Array:
    """InfoNCE between two views of users or items of which a batch may hold some several times.

        mean over different ids i of -log exp(<a_i, b_i> / t) / sum over different ids j of
        exp(<a_i, b_j> / t), of unit vectors

    Args: one, two: views [B, D]; those of one id are the same. ids: int [B].
    """
    a, b = (x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (one, two))
    weight = 1 / jnp.sum(ids[:, None] == ids, axis=1)  # so that each id counts once
    logits = a @ b.T / temperature
    below = jax.nn.logsumexp(logits, axis=1, b=weight)
    return jnp.sum(weight * (below - jnp.diagonal(logits))) / jnp.sum(weight)
