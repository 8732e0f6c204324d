"""StableHLO: the encoder as one function that any process with JAX runs, without ssljax.

The file holds weights and normalisation, takes any batch size, and runs on CPU, CUDA and TPU:

    import jax.export
    import numpy as np

    with open("encoder.stablehlo", "rb") as file:
        encoder = jax.export.deserialize(bytearray(file.read()))
    images = np.zeros((8, 32, 32, 3), np.float32)  # [b, H, W, C] in [0, 1], not normalised
    features = encoder.call(images)  # [b, D] float32

Support for old files ends some day, so keep a safetensors file beside it for longer storage.
Reading and writing need the small package `flatbuffers`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from ssljax.files import atomically
from ssljax.mesh import ANY, within

PLATFORMS = ("cpu", "cuda", "tpu")


def export_stablehlo(
    fn: Callable[[Any, jax.Array], jax.Array],
    params: Any,
    *,
    image_size: int,
    channels: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    out: Path,
) -> Path:
    """Writes x -> fn(params, (x - mean) / std) for images x `[b, H, W, C]` in [0, 1], any b.

    Args:
      fn: (params, normalised images float32 `[b, H, W, C]`) -> features `[b, D]`.
      params: a pytree of arrays, stored in the file.
      image_size: side of the images in pixels.
      channels: their channels.
      mean, std: one number a channel, or one for all.
      out: the file.
    Raises: ImportError where `flatbuffers` is missing.
    """
    center, spread = jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)

    @within(ANY)
    def features(x: jax.Array) -> jax.Array:
        return fn(params, (x - center) / spread)

    shape = jax.export.symbolic_shape(f"b, {image_size}, {image_size}, {channels}")
    spec = jax.ShapeDtypeStruct(shape, jnp.float32)
    exported = jax.export.export(jax.jit(features), platforms=PLATFORMS)(spec)
    content = exported.serialize()
    atomically(out, lambda fresh: fresh.write_bytes(content))
    return out
