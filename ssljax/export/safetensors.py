"""Safetensors files: plain arrays by name, with a JSON file beside them that says what they are.

Native names are paths, `encoder/conv1/kernel` for parameters and `stats/encoder/bn1/mean` for
running statistics; torch formats have the names of `torch_names`. Reading runs no code, as
unpickling does.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ssljax import nets
from ssljax.export.torch_names import check_names, flatten, unflatten
from ssljax.files import atomically

PyTree = Any
_PARAMS, _STATS = "encoder/", "stats/encoder/"


def native_names(params: PyTree, stats: PyTree) -> dict[str, np.ndarray]:
    """{"encoder/conv1/kernel": array, "stats/encoder/bn1/mean": array, ...}."""
    return {name: np.ascontiguousarray(leaf) for name, leaf in _named(params, stats).items()}


def from_native_names(encoder: Any, tensors: Mapping[str, np.ndarray]) -> tuple[PyTree, PyTree]:
    """The inverse of `native_names`: (params, stats).

    Raises: ValueError that lists what is missing, unexpected or of another shape for `encoder`. The
    size of the images cannot be seen in the names, so shapes that hang on it are taken as they are.
    """
    params = {k.removeprefix(_PARAMS): v for k, v in tensors.items() if k.startswith(_PARAMS)}
    stats = {k.removeprefix(_STATS): v for k, v in tensors.items() if k.startswith(_STATS)}
    if getattr(encoder, "any_size", False):  # which would not start with one row of patches
        encoder = encoder.clone(any_size=False)
    trees = jax.eval_shape(
        lambda key: nets.init(encoder, key, _image_for(encoder, params)), jax.random.key(0)
    )
    shapes = {name: leaf.shape for name, leaf in _named(*trees).items()}
    check_names(tensors, shapes, f"these tensors are not those of {encoder!r}")
    return unflatten(params), unflatten(stats)


def _named(params: PyTree, stats: PyTree) -> dict[str, Any]:
    named = {_PARAMS + path: leaf for path, leaf in flatten(params).items()}
    return named | {_STATS + path: leaf for path, leaf in flatten(stats).items()}


def _image_for(encoder: Any, params: Mapping[str, np.ndarray]) -> jax.ShapeDtypeStruct:
    """An image of a size that gives the shapes in `params`."""
    first = next((params[k] for k in ("conv1/kernel", "patch_embed/kernel") if k in params), None)
    channels = 3 if first is None else first.shape[-2]
    patch = getattr(encoder, "patch", 8)
    patches = params["pos_embed"].shape[1] - 1 if "pos_embed" in params else 1
    return jax.ShapeDtypeStruct((1, patch, patch * patches, channels), np.float32)


def write(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a safetensors file, the whole of it or nothing."""
    # Readers of torch files look for this entry, and older ones refuse a file without.
    metadata = {"format": "pt"}
    atomically(path, lambda fresh: save_file(dict(tensors), fresh, metadata=metadata))


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file by name.

    Raises: FileNotFoundError, or ValueError if it is not such a file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a safetensors file ({error}); a torch checkpoint is made one by "
            "safetensors.torch.save_file(state_dict, path)"
        ) from error


def write_config(path: Path, config: dict[str, Any]) -> None:
    """Writes what describes `path` to `path` + ".json"."""
    text = json.dumps(config, indent=2) + "\n"
    atomically(path.with_name(path.name + ".json"), lambda fresh: fresh.write_text(text))


def read_config(path: Path) -> dict[str, Any] | None:
    """What `write_config` wrote about `path`, None if nothing."""
    sidecar = path.with_name(path.name + ".json")
    return json.loads(sidecar.read_text()) if sidecar.is_file() else None
