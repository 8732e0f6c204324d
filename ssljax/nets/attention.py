"""Scaled dot-product attention by the best kernel that the device has.

    y_i = sum_j softmax_j(q_i . k_j / sqrt(d) + bias_ij) v_j

over the j that i may see: those of its own segment, and with `causal` none that come later. On a
GPU in half precision cuDNN computes it, on a TPU Pallas's splash attention, neither of which ever
holds an [L, L] matrix of a long row in memory; everywhere else XLA does.
"""

import math

import jax
import jax.numpy as jnp


def attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    causal: bool = False,
    segments: jax.Array | None = None,
    seen: jax.Array | None = None,
    bias: jax.Array | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    key: jax.Array | None = None,
) -> jax.Array:
    """Attention, [B, T, H, d] in the dtype of q.

    Args:
      q: queries [B, T, H, d]. k, v: keys and values [B, S, H, d].
      causal: position i sees only j <= i; needs T = S.
      segments: int [B, T], needs T = S: nothing sees a position of another segment.
      seen: bool [B, S] or [B, T, S], false where a key must not be seen.
      bias: added to the logits, broadcasts to [B, H, T, S].
      scale: of the logits; 1/sqrt(d) by default.
      dropout: share of the weights that is dropped, drawn from `key`.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if dropout > 0:
        mask = _mask(q, k, causal, segments, seen)
        return plain_attention(q, k, v, mask=mask, bias=bias, scale=scale, dropout=(dropout, key))
    if bias is None and seen is None and _splash_fits(q, k):
        return _splash(q, k, v, causal=causal, segments=segments, scale=scale)
    # A mask would be written out in full: without one cuDNN skips what lies above the diagonal.
    mask = _mask(q, k, False, segments, seen)
    fits = jax.default_backend() == "gpu" and _cudnn_fits(q, k, bias, mask)
    return jax.nn.dot_product_attention(
        q,
        k,
        v,
        bias=bias,
        mask=mask,
        scale=scale,
        is_causal=causal,
        implementation="cudnn" if fits else None,
    )


def plain_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    mask: jax.Array | None = None,
    bias: jax.Array | None = None,
    scale: float,
    dropout: tuple[float, jax.Array] | None = None,
) -> jax.Array:
    """The definition, with softmax in float32: what the kernels are compared with.

    Args:
      mask: bool, broadcasts to [B, H, T, S], true where a key is seen; a query that sees none gets
        the mean of all values.
      dropout: (share of the weights that is dropped, random key); the others grow to make up.
      The rest as in `attend`.
    """
    logits = jnp.einsum("bthd,bshd->bhts", q, k, preferred_element_type=jnp.float32) * scale
    if bias is not None:
        logits = logits + bias
    if mask is not None:
        logits = jnp.where(mask, logits, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(logits, axis=-1)
    if dropout is not None:
        rate, key = dropout
        kept = jax.random.bernoulli(key, 1 - rate, weights.shape)
        weights = jnp.where(kept, weights / (1 - rate), 0.0)
    return jnp.einsum("bhts,bshd->bthd", weights.astype(v.dtype), v)


def _mask(
    q: jax.Array,
    k: jax.Array,
    causal: bool,
    segments: jax.Array | None,
    seen: jax.Array | None,
) -> jax.Array | None:
    """What is seen, bool [B or 1, 1, T or 1, S], or None where all is."""
    parts = []
    if causal:
        parts.append(jnp.tri(q.shape[1], k.shape[1], dtype=bool)[None, None])
    if segments is not None:
        parts.append((segments[:, :, None] == segments[:, None, :])[:, None])
    if seen is not None:
        parts.append(seen[:, None, None] if seen.ndim == 2 else seen[:, None])
    return math.prod(parts[1:], start=parts[0]) if parts else None


def _cudnn_fits(q: jax.Array, k: jax.Array, bias: jax.Array | None, mask: jax.Array | None) -> bool:
    """Whether cuDNN takes these arrays: half precision, and heads of up to 128 in steps of 8."""
    half = q.dtype in (jnp.bfloat16, jnp.float16)
    even = (q.shape[1] % 2 == 0 and k.shape[1] % 2 == 0) or (bias is None and mask is None)
    return half and even and q.shape[-1] % 8 == 0 and q.shape[-1] <= 128


def _splash_fits(q: jax.Array, k: jax.Array) -> bool:
    """Whether splash attention takes these arrays: its blocks are multiples of 128."""
    return (
        jax.default_backend() == "tpu"
        and q.shape[1] == k.shape[1]
        and q.shape[1] % 128 == 0
        and q.shape[-1] % 64 == 0
    )


def _splash(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    causal: bool,
    segments: jax.Array | None,
    scale: float,
    interpret: bool = False,
) -> jax.Array:
    """Splash attention, a Pallas kernel for TPUs; `interpret` runs it anywhere, slowly."""
    from jax.experimental.pallas.ops.tpu import splash_attention as splash

    length, heads = q.shape[1], q.shape[2]
    one = splash.CausalMask((length, length)) if causal else splash.FullMask((length, length))
    block = math.gcd(length, 512)
    sizes = splash.BlockSizes(
        **dict.fromkeys(("block_q", "block_kv", "block_kv_compute"), block),
        **dict.fromkeys(("block_q_dkv", "block_kv_dkv", "block_kv_dkv_compute"), block),
        **dict.fromkeys(("block_q_dq", "block_kv_dq"), block),
    )
    kernel = splash.make_splash_mha(
        splash.MultiHeadMask([one] * heads),
        block_sizes=sizes,
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )
    ids = None if segments is None else splash.SegmentIds(segments, segments)
    q, k, v = (jnp.swapaxes(x, 1, 2) for x in (q * scale, k, v))
    y = jax.vmap(kernel)(q, k, v, ids)
    return jnp.swapaxes(y, 1, 2)
