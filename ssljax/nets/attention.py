"""Scaled dot-product attention by the best kernel that the device has.

    y_i = sum_j softmax_j(q_i . k_j / sqrt(d) + bias_ij) v_j

over the j that i may see: those of its own segment, and with `causal` none that come later. On a
TPU Pallas's splash attention computes it, on an NVIDIA GPU in half precision cuDNN, neither of
which ever holds an [L, L] matrix of a long row in memory; everywhere else XLA does, and wherever
the kernel does not take the shapes. XLA cannot split such a kernel over several devices: each
device is given its rows of the batch and its heads (`shard_map`), which need nothing of each other.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from ssljax.mesh import Devices, devices


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
    scale = float(q.shape[-1] ** -0.5) if scale is None else scale
    if dropout > 0:
        if key is None:
            raise ValueError("attention with dropout draws what it drops: give it a key")
        mask = _mask(q, k, causal, segments, seen)
        return plain_attention(q, k, v, mask=mask, bias=bias, scale=scale, dropout=(dropout, key))
    here = devices()
    # cuDNN takes a bias, but releases of JAX gave none of its gradient: XLA has it.
    if bias is None and _splits(q, here):
        if here.platform == "tpu" and seen is None and _splash_fits(q, k):
            kernel = partial(_splash, causal=causal, scale=scale)
            return _on_each_device(kernel, here, q, k, v, segments)
        # A mask would be written out in full: without one cuDNN skips what is above the diagonal.
        mask = _mask(q, k, False, segments, seen)
        if here.platform == "gpu" and _cudnn_fits(q, k, mask):
            kernel = partial(_cudnn, causal=causal, scale=scale)
            return _on_each_device(kernel, here, q, k, v, mask)
    return jax.nn.dot_product_attention(
        q,
        k,
        v,
        bias=bias,
        mask=_mask(q, k, False, segments, seen),
        scale=scale,
        is_causal=causal,
        implementation="xla",
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


def _splits(q: jax.Array, here: Devices) -> bool:
    """Whether a kernel can be given to each device: it is alone, or its rows are known."""
    if here.mesh is None:
        return here.count == 1
    return q.shape[0] % here.mesh.shape["data"] == 0


def _on_each_device(
    kernel: Callable[..., jax.Array],
    here: Devices,
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None,
) -> jax.Array:
    """kernel(q, k, v, mask) of the rows of each device, and of its heads where they divide.

    mask: [B, ...], the same for all heads.
    """
    if here.mesh is None:
        return kernel(q, k, v, mask)
    heads = "model" if q.shape[2] % here.mesh.shape["model"] == 0 else None
    split = P("data", None, heads)
    # The kernels say nothing of what they leave replicated; here all is split as it came.
    return jax.shard_map(
        kernel,
        mesh=here.mesh,
        in_specs=(split, split, split, P("data")),
        out_specs=split,
        check_vma=False,
    )(q, k, v, mask)


def _cudnn_fits(q: jax.Array, k: jax.Array, mask: jax.Array | None) -> bool:
    """Whether cuDNN takes these arrays: half precision, heads of up to 128 in steps of 8, under a
    mask an even length; since Ampere (compute capability 8)."""
    half = q.dtype in (jnp.bfloat16, jnp.float16)
    fits = mask is None or (q.shape[1] % 2 == 0 and k.shape[1] % 2 == 0)
    return half and fits and q.shape[-1] % 8 == 0 and q.shape[-1] <= 128 and _capability() >= 8


def _capability() -> float:
    """Compute capability of the NVIDIA GPU that is here; 0 of any other device."""
    said = getattr(jax.local_devices()[0], "compute_capability", "0")
    return float(said) if said.replace(".", "").isdigit() else 0.0  # AMD says gfx942


def _cudnn(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None,
    *,
    causal: bool,
    scale: float,
) -> jax.Array:
    """Flash attention of cuDNN; mask: bool [B, 1, 1 or T, S], true where a key is seen."""
    (batch, rows), columns = q.shape[:2], k.shape[1]
    options = {}
    if mask is not None:  # it takes only whole ones, though JAX offers others
        options["mask"] = jnp.broadcast_to(mask, (batch, 1, rows, columns))
    elif rows % 2 or columns % 2:  # in training only even lengths: one more that nothing sees
        options["query_seq_lengths"] = jnp.full(batch, rows, jnp.int32)
        options["key_value_seq_lengths"] = jnp.full(batch, columns, jnp.int32)
        q, k, v = (jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, 0), (0, 0))) for x in (q, k, v))
    y = jax.nn.dot_product_attention(
        q, k, v, scale=scale, is_causal=causal, implementation="cudnn", **options
    )
    return y[:, :rows]


def _splash_fits(q: jax.Array, k: jax.Array) -> bool:
    """Whether splash attention takes these arrays: its blocks are multiples of 128."""
    return q.shape[1] == k.shape[1] and q.shape[1] % 128 == 0 and q.shape[-1] % 64 == 0


def _splash(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array | None,
    *,
    causal: bool,
    scale: float,
    interpret: bool = False,
) -> jax.Array:
    """Splash attention, a Pallas kernel for TPUs; `interpret` runs it anywhere, slowly.

    segments: int [B, T], as in `attend`. There is no other mask: where a query sees nothing, the
    gradient of this kernel is wrong, and here it always sees itself.
    """
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
    assert isinstance(y, jax.Array)  # a pair only of kernels that keep what their gradient needs
    return jnp.swapaxes(y, 1, 2)
