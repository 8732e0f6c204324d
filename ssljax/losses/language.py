"""Losses on tokens, and what knowing nothing but their frequencies gives.

    L = sum_t w_t CE(logits_t, x_t) / sum_t w_t

with one ratio for the whole batch, not a mean over rows of their means: masked language models
(Devlin et al. 2018, arXiv:1810.04805, w = 1 at chosen positions), causal ones (x_t is the next
token) and T5 (Raffel et al. 2019, arXiv:1910.10683). ELECTRA's discriminator (Clark et al. 2020,
arXiv:2003.10555) asks of every real token whether it was replaced:

    L_disc = sum_t w_t BCE(logit_t, [x_t was replaced]) / sum_t w_t
"""

import chex
import jax
import jax.numpy as jnp


def token_nll(logits: jax.Array, target: jax.Array) -> jax.Array:
    """-log p(target) of each token in nats: logits [..., V], target int [...] -> [...] float32."""
    chex.assert_equal_shape_prefix((logits, target), target.ndim)
    chex.assert_rank(logits, target.ndim + 1)
    logits = logits.astype(jnp.float32)
    picked = jnp.take_along_axis(logits, target[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - picked


def weighted_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """sum(values weight) / max(sum(weight), 1), of two [...]: a scalar float32."""
    chex.assert_equal_shape((values, weight))
    weight = weight.astype(jnp.float32)
    return jnp.sum(values.astype(jnp.float32) * weight) / jnp.maximum(jnp.sum(weight), 1.0)


def row_sums(values: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(sum of weighted values, sum of weights) of each row of two [B, T]: two [B] float32."""
    chex.assert_equal_shape((values, weight))
    weight = weight.astype(jnp.float32)
    return jnp.sum(values.astype(jnp.float32) * weight, axis=1), jnp.sum(weight, axis=1)


def replaced_bce(logits: jax.Array, replaced: jax.Array, weight: jax.Array) -> jax.Array:
    """ELECTRA's discriminator loss, a scalar float32.

    Args:
      logits: [B, L], above 0 for "replaced". replaced: bool [B, L]. weight: [B, L], 0 for padding.
    """
    chex.assert_equal_shape((logits, replaced, weight))
    logits = logits.astype(jnp.float32)
    nll = jax.nn.softplus(logits) - logits * replaced.astype(jnp.float32)
    return weighted_mean(nll, weight)


def count_tokens(
    counts: jax.Array, tokens: jax.Array, weight: jax.Array, *, decay: float = 0.999
) -> jax.Array:
    """Counts of the vocabulary [V] float32 after a batch; older batches fade, so none overflows.

    Args:
      tokens: int [...]. weight: [...], 0 for what does not count.
    """
    chex.assert_equal_shape((tokens, weight))
    seen = jnp.zeros_like(counts).at[tokens.reshape(-1)].add(weight.reshape(-1).astype(jnp.float32))
    return decay * counts + seen


def unigram(counts: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The floor under a language model: what the frequencies of tokens alone predict.

    Args:
      counts: of the vocabulary [V]; a share of 1e-3 of them is spread evenly over all tokens.
      target: int [...].
    Returns: (nats [...] float32 of each target; bool [...], true for the most frequent token).
    """
    chex.assert_rank(counts, 1)
    total = jnp.sum(counts)
    known = jnp.where(total > 0, counts / jnp.maximum(total, 1e-30), 1 / len(counts))
    log_p = jnp.log(0.999 * known + 1e-3 / len(counts))
    return -log_p[target], target == jnp.argmax(counts)
