"""One table of names of the same numbers in two libraries, read from left to right and back.

A row (ours, theirs) such as

    ("encoder/blocks_#/mlp/*", "vit.encoder.layer.#.mlp.*")

says where our array `encoder/blocks_3/mlp/fc1/kernel` lies in a state dict of torch. `#` is a
number, `*` the rest of the path, whose slashes become dots. The leaf says how numbers lie:

    kernel     [in, out] -> weight [out, in];  [H, W, in, out] -> weight [out, in, H, W];
               [K, in, out] -> weight [out, in, K]
    scale, embedding -> weight                       everything else under its own name, as it is
    {a,b,c}    one array of ours is several of theirs, cut along the outputs

A third entry changes that: AS_IS leaves a kernel [in, out], ONE makes a number an array of one, and
TURNED treats an array of another name as a kernel.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssljax.export.torch_names import check_names

AS_IS, ONE, TURNED = "as is", "one", "turned"
Row = tuple[str, ...]
Arrays = Mapping[str, Any]

_LEAVES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}
_AXES = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1)}
_BACK = {2: (1, 0), 3: (2, 1, 0), 4: (2, 3, 1, 0)}


def find(rows: Sequence[Row], path: str) -> tuple[list[str], str]:
    """(names of theirs, how) of an array of ours. Raises: ValueError where no row fits."""
    for ours, theirs, *how in rows:
        wanted = re.escape(ours).replace(r"\#", r"(\d+)").replace(r"\*", r"(?P<rest>.+)")
        found = re.fullmatch(wanted, path)
        if found is None:
            continue
        for number in found.groups()[: ours.count("#")]:
            theirs = theirs.replace("#", number, 1)
        if "rest" in found.groupdict():
            *folders, leaf = found["rest"].split("/")
            theirs = theirs.replace("*", ".".join([*folders, _LEAVES.get(leaf, leaf)]))
        return _alternatives(theirs), how[0] if how else ""
    raise ValueError(f"there is no counterpart for {path}")


def to_theirs(rows: Sequence[Row], flat: Arrays) -> dict[str, np.ndarray]:
    """Their arrays by name, views of ours where that is possible.

    flat: ours by path. Raises: ValueError where one has no counterpart.
    """
    out = {}
    for path, leaf in flat.items():
        names, how = find(rows, path)
        leaf = _turned(path, np.asarray(leaf), how, _AXES)
        if how == ONE:
            leaf = leaf.reshape(1)
        out |= dict(zip(names, np.split(leaf, len(names)) if len(names) > 1 else [leaf]))
    return out


def from_theirs(
    rows: Sequence[Row], shapes: Mapping[str, tuple[int, ...]], tensors: Arrays, *, what: str
) -> dict[str, np.ndarray]:
    """Our arrays by path, float32: the inverse of `to_theirs`.

    Args:
      shapes: of our arrays, by path.
      tensors: theirs by name, all of them.
      what: how an error names them.
    Raises: ValueError that lists missing and unexpected names and wrong shapes.
    """
    empty = {path: np.broadcast_to(np.float32(0), shape) for path, shape in shapes.items()}
    theirs = {name: leaf.shape for name, leaf in to_theirs(rows, empty).items()}
    check_names(tensors, theirs, what)
    out = {}
    for path, shape in shapes.items():
        names, how = find(rows, path)
        parts = [np.asarray(tensors[name], np.float32) for name in names]
        leaf = np.concatenate(parts) if len(parts) > 1 else parts[0]
        leaf = leaf.reshape(shape) if how == ONE else leaf
        out[path] = np.asarray(_turned(path, leaf, how, _BACK), order="C")
    return out


def _alternatives(name: str) -> list[str]:
    found = re.search(r"\{(.*?)\}", name)
    if found is None:
        return [name]
    return [name.replace(found[0], one, 1) for one in found[1].split(",")]


def _turned(
    path: str, leaf: np.ndarray, how: str, axes: Mapping[int, tuple[int, ...]]
) -> np.ndarray:
    turn = how == TURNED or (path.endswith("kernel") and how != AS_IS)
    return leaf.transpose(axes[leaf.ndim]) if turn else leaf
