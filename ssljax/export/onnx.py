"""ONNX: the encoder as a graph for onnxruntime and its kin, which need neither JAX nor Python.

The file holds weights and normalisation and takes any batch size:

    import onnxruntime

    session = onnxruntime.InferenceSession("encoder.onnx")
    (features,) = session.run(None, {"image": images})  # float32 [b, H, W, C] in [0, 1] -> [b, D]

The converter is jax2onnx, the extra `ssljax[onnx]`; what it makes is compared with JAX on random
images before it is kept.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import jax
import numpy as np

from ssljax.files import atomically

_CLOSE = 1e-4  # of the largest feature; measured: below 1e-5


def export_onnx(
    features: Callable[[jax.Array], jax.Array], shape: tuple[int, int, int], out: Path
) -> Path:
    """Writes a function of images as `export_stablehlo` does, as ONNX, and compares what it gives.

    Raises: ValueError without `ssljax[onnx]`, and where the graph cannot be written or run, or
    gives other numbers.
    """
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]: an extra

        with _quiet():
            from jax2onnx import to_onnx  # pyright: ignore[reportMissingImports]: an extra
    except ImportError as error:
        raise ValueError(
            f"--format onnx needs more packages: pip install 'ssljax[onnx]' ({error})"
        ) from error
    with _one_line("the converter cannot write this encoder"):
        with _quiet():
            model = to_onnx(features, [("B", *shape)], model_name="encoder", input_names=["image"])
        content = model.SerializeToString()
    images = np.random.default_rng(0).uniform(size=(3, *shape)).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        expected = np.asarray(jax.jit(features)(images))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: that it finds other shapes than announced is no news
    for count in (1, 3):
        with _one_line("onnxruntime cannot run what the converter makes of this encoder"):
            session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            found = np.asarray(session.run(None, {"image": images[:count]})[0])
        if found.shape != expected[:count].shape:
            raise ValueError(
                f"the converter makes another function of this encoder: features {found.shape} in "
                f"place of {expected[:count].shape}. Use --format stablehlo"
            )
        off = float(np.abs(found - expected[:count]).max() / max(np.abs(expected).max(), 1e-30))
        if not off <= _CLOSE:
            raise ValueError(
                "the converter makes another function of this encoder: features differ by "
                f"{off:.1e} of the largest. Use --format stablehlo"
            )
    atomically(out, lambda fresh: fresh.write_bytes(content))
    return out


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what jax2onnx tells of all that it does, and of what it does not find in this JAX."""
    says, level = logging.getLogger("jax2onnx"), logging.getLogger("jax2onnx").level
    says.setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            yield
    finally:
        says.setLevel(level)


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turns what fails inside of the two libraries, which name no class for it, into one line."""
    try:
        yield
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{what} ({reason}). Use --format stablehlo") from error
