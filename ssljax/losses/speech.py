"""Losses on hidden frames of speech.

wav2vec 2.0 (Baevski, Zhou, Mohamed, Auli 2020, arXiv:2006.11477), equations 3 and 4, and the
penalty of the authors' code, for c_t the context and q_t the quantised target of hidden frame t:

    L_m = mean over hidden t of -log exp(cos(c_t, q_t) / T) / sum_{q in {q_t} + 100 others}
          exp(cos(c_t, q) / T)
    L_d = (G V - sum_g exp(H(p_g))) / (G V),   p_g = mean over hidden t of softmax(logits of g at t)
    L = L_m + 0.1 L_d + 10 mean(features^2)

The others are hidden frames of the same recording, drawn evenly; those with the code of q_t are
left out. p has neither Gumbel noise nor temperature. With even codes L_d is 0, with one code 1-1/V.

HuBERT (Hsu et al. 2021, arXiv:2106.07447), for a cluster z_t and embeddings e_k of all K clusters:

    L = mean over hidden t of -log softmax_k(cos(c_t, e_k) / 0.1)[z_t]  + 10 mean(features^2)

data2vec (Baevski et al. 2022, arXiv:2202.03555), for targets y_t of a copy of the network:

    L = mean over hidden t of |c_t - y_t|^2 / sqrt(D)

BEST-RQ (Chiu et al. 2022, arXiv:2202.01855), for a frozen random projection A and codes c_k:

    z_t = argmin_k |n(c_k) - n(A x_t)|,     n(v) = v / |v|
    L = mean over hidden t of -log softmax_k(logits_t)[z_t]

But for BEST-RQ's, hidden frames come gathered, [B, P, ...] with weight [B, P]: real ones first, 1,
then 0.
"""

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.language import token_nll, weighted_mean
from ssljax.losses.normalize import l2_normalize

_EXACT = jax.lax.Precision.HIGHEST


def draw_negatives(key: jax.Array, weight: jax.Array, count: int) -> jax.Array:
    """Places of other hidden frames of one recording, drawn evenly with replacement.

    Args:
      weight: [P], 1 for the n hidden frames, which come first.
    Returns: int32 [P, count] in 0 to n - 1, never the place itself; without meaning where n < 2.
    """
    chex.assert_rank(weight, 1)
    others = jnp.sum(weight > 0).astype(jnp.int32) - 1
    drawn = jax.random.randint(key, (len(weight), count), 0, jnp.maximum(others, 1))
    return drawn + (drawn >= jnp.arange(len(weight))[:, None])


def contrastive(
    c: jax.Array,
    q: jax.Array,
    codes: jax.Array,
    weight: jax.Array,
    negatives: jax.Array,
    *,
    temperature: float = 0.1,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Tells the right code from those of other frames: (nats, right, weight), each [B, P] float32.

    Args:
      c, q: contexts and quantised targets [B, P, D]. codes: int [B, P, G], which entries q is of.
      weight: [B, P]. negatives: int [B, P, N], of `draw_negatives` for each row.
    Returns: the weight is 0 also in rows with one hidden frame, where there is nothing to tell
      apart. "right" is 0 where all codes are the same.
    """
    chex.assert_equal_shape((c, q))
    chex.assert_equal_shape_prefix((c, codes, negatives), 2)
    chex.assert_shape(weight, c.shape[:2])
    c, q = l2_normalize(c.astype(jnp.float32)), l2_normalize(q.astype(jnp.float32))
    # All pairs by one product: far less to hold than N vectors for each frame.
    pairs = jnp.einsum("bpd,bnd->bpn", c, q, precision=_EXACT) / temperature
    same = jnp.all(codes[:, :, None] == codes[:, None], axis=-1)
    negatives = jnp.minimum(negatives, c.shape[1] - 1)
    drawn = jnp.take_along_axis(pairs, negatives, axis=2)
    alike = jnp.take_along_axis(same, negatives, axis=2)
    positive = jnp.diagonal(pairs, axis1=1, axis2=2)[..., None]
    logits = jnp.concatenate([positive, jnp.where(alike, -jnp.inf, drawn)], axis=-1)
    nll = jax.nn.logsumexp(logits, axis=-1) - positive[..., 0]
    right = jnp.all(logits[..., 1:] < positive, axis=-1) & ~jnp.all(alike, axis=-1)
    weight = weight * (jnp.sum(weight, axis=1, keepdims=True) > 1)
    return nll, right.astype(jnp.float32), weight.astype(jnp.float32)


def code_shares(logits: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean softmax over the hidden frames: logits [B, P, G, V], weight [B, P] -> [G, V] float32."""
    chex.assert_rank(logits, 4)
    chex.assert_equal_shape_prefix((logits, weight), 2)
    p = jax.nn.softmax(logits.astype(jnp.float32), axis=-1) * weight[..., None, None]
    return jnp.sum(p, axis=(0, 1)) / jnp.maximum(jnp.sum(weight), 1.0)


def perplexity(shares: jax.Array) -> jax.Array:
    """Entries in use, sum_g exp(H(p_g)): shares [G, V] -> scalar, from G up to G V."""
    entropy = -jnp.sum(shares * jnp.log(shares + 1e-7), axis=-1)
    return jnp.sum(jnp.exp(entropy))


def diversity(shares: jax.Array) -> jax.Array:
    """L_d of shares [G, V]: a scalar in [0, 1 - 1/V]."""
    return 1 - perplexity(shares) / shares.size


def feature_penalty(features: jax.Array, real: jax.Array) -> jax.Array:
    """Mean square of the features [B, T, C] of real frames, bool [B, T]: a scalar float32."""
    chex.assert_equal_shape_prefix((features, real), 2)
    square = jnp.mean(jnp.square(features.astype(jnp.float32)), axis=-1)
    return weighted_mean(square, real)


def cluster_prediction(
    c: jax.Array,
    embeddings: jax.Array,
    target: jax.Array,
    *,
    temperature: float = 0.1,
) -> tuple[jax.Array, jax.Array]:
    """HuBERT's: (nats, right), each [B, P] float32.

    Args:
      c: projected states [B, P, D]. embeddings: of the clusters [K, D]. target: int [B, P].
    """
    chex.assert_rank((c, embeddings), (3, 2))
    chex.assert_shape(target, c.shape[:2])
    c = l2_normalize(c.astype(jnp.float32))
    e = l2_normalize(embeddings.astype(jnp.float32))
    logits = jnp.einsum("bpd,kd->bpk", c, e, precision=_EXACT) / temperature
    right = jnp.argmax(logits, axis=-1) == target
    return token_nll(logits, target), right.astype(jnp.float32)


def random_codes(x: jax.Array, projection: jax.Array, codes: jax.Array) -> jax.Array:
    """BEST-RQ's labels: x [..., D], projection [D, H], codes [K, H] -> int32 [...], the code that
    is nearest in angle to the projected x, without a gradient."""
    chex.assert_equal_shape_suffix((projection, codes), 1)
    chex.assert_equal(x.shape[-1], projection.shape[0])
    x = jax.lax.stop_gradient(x.astype(jnp.float32))
    # Of vectors of length 1 the nearest has the largest product, whatever the length of x is.
    y = jnp.dot(x, projection, precision=_EXACT)
    near = jnp.dot(y, l2_normalize(codes).T, precision=_EXACT)
    return jnp.argmax(near, axis=-1).astype(jnp.int32)


def time_targets(layers: jax.Array, real: jax.Array) -> jax.Array:
    """data2vec's targets: layers [L, B, T, D], real bool [B, T] -> [B, T, D], without a gradient.

    Each channel of each layer gets mean 0 and variance 1 over the real frames (eps 1e-5), and then
    the layers their mean.
    """
    chex.assert_rank((layers, real), (4, 2))
    weight = real.astype(jnp.float32)[..., None]
    count = jnp.maximum(jnp.sum(weight, axis=1, keepdims=True), 1.0)
    x = layers.astype(jnp.float32)
    x = x - jnp.sum(x * weight, axis=2, keepdims=True) / count
    variance = jnp.sum(x * x * weight, axis=2, keepdims=True) / count
    return jax.lax.stop_gradient(jnp.mean(x * jax.lax.rsqrt(variance + 1e-5), axis=0))


def regress_frames(
    prediction: jax.Array, target: jax.Array, weight: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """(sum of squares over channels / sqrt(D), mean over frames; spreads of both): scalars float32.

    Args:
      prediction, target: [B, P, D]. weight: [B, P].
    Returns: a spread is the standard deviation over all hidden frames, mean over channels; 0 says
      that all frames are alike.
    """
    chex.assert_equal_shape((prediction, target))
    chex.assert_shape(weight, target.shape[:2])
    x, y = prediction.astype(jnp.float32), target.astype(jnp.float32)
    error = jnp.sum(jnp.square(x - y), axis=-1) / jnp.sqrt(jnp.float32(x.shape[-1]))

    def spread(z: jax.Array) -> jax.Array:
        share = (weight / jnp.maximum(jnp.sum(weight), 1.0))[..., None]
        z = z - jnp.sum(z * share, axis=(0, 1))
        return jnp.mean(jnp.sqrt(jnp.sum(z * z * share, axis=(0, 1))))

    x, y = jax.lax.stop_gradient((x, y))
    return weighted_mean(error, weight), (spread(x), spread(y))
