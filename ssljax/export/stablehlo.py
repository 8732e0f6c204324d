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

import jax
import jax.export
import jax.numpy as jnp

from ssljax.files import atomically

PLATFORMS = ("cpu", "cuda", "tpu")


def export_stablehlo(
    features: Callable[[jax.Array], jax.Array], shape: tuple[int, int, int], out: Path
) -> Path:
    """Writes a function of images float32 `[b, H, W, C]`, for any b; its weights are in the file.

    Args:
      features: images -> features `[b, D]`.
      shape: H, W, C.
      out: the file.
    Raises: ImportError where `flatbuffers` is missing.
    """
    symbolic = jax.export.symbolic_shape(f"b, {', '.join(map(str, shape))}")
    spec = jax.ShapeDtypeStruct(symbolic, jnp.float32)
    exported = jax.export.export(jax.jit(features), platforms=PLATFORMS)(spec)
    content = exported.serialize()
    atomically(out, lambda fresh: fresh.write_bytes(content))
    return out
