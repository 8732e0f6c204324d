"""State dicts of torchvision's `r3d_18`: names of the same numbers there, both ways.

A native path such as `layer2_0/conv1_0/kernel` is `layer2.0.conv1.0.weight`, and a kernel [T, H, W,
in, out] is [out, in, T, H, W] there. `num_batches_tracked` is 0 and is ignored when read; so is the
classifier (`fc`), which is no part of the encoder.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ssljax import nets
from ssljax.export.torch_names import check_names, flatten, torch_name, unflatten
from ssljax.nets import R3D

_TO, _BACK = (4, 3, 0, 1, 2), (2, 3, 4, 1, 0)
_COUNTER = "num_batches_tracked"


def r3d_to_torch(params: Any, stats: Any) -> dict[str, np.ndarray]:
    """The state dict of an `R3D` without `fc`: loads strictly once that is an `Identity`."""
    found = {}
    for path, leaf in (flatten(params) | flatten(stats)).items():
        leaf = np.asarray(leaf, np.float32)
        leaf = leaf.transpose(_TO) if path.endswith("kernel") else leaf
        found[torch_name(path)] = np.ascontiguousarray(leaf)
    means = [name for name in found if name.endswith("running_mean")]
    counters = (name.replace("running_mean", _COUNTER) for name in means)
    return found | {name: np.zeros((), np.int64) for name in counters}


def r3d_from_torch(module: R3D, tensors: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
    """(params, stats) of `module` from such a state dict.

    Raises: ValueError that lists missing and unexpected names and wrong shapes.
    """
    kept = {k: v for k, v in tensors.items() if not k.startswith("fc.") and _COUNTER not in k}
    stem = np.shape(kept.get("stem.0.weight", 0))
    clip = jax.ShapeDtypeStruct((1, 8, 16, 16, stem[1] if len(stem) == 5 else 3), np.float32)
    trees = jax.eval_shape(lambda key: nets.init(module, key, clip), jax.random.key(0))
    shapes = {path: leaf.shape for tree in trees for path, leaf in flatten(tree).items()}
    theirs = {
        torch_name(path): tuple(shape[i] for i in _TO) if path.endswith("kernel") else shape
        for path, shape in shapes.items()
    }
    check_names(kept, theirs, "these tensors are not those of this R3D")

    def ours(path: str) -> np.ndarray:
        leaf = np.asarray(kept[torch_name(path)], np.float32)
        return np.ascontiguousarray(leaf.transpose(_BACK) if path.endswith("kernel") else leaf)

    params, stats = (unflatten({path: ours(path) for path in flatten(tree)}) for tree in trees)
    return params, stats
