"""The citation graphs Cora, Citeseer and Pubmed as they are published (Yang et al. 2016,
arXiv:1603.08861): files ind.NAME.{x,y,tx,ty,allx,ally,graph,test.index}, most of them pickles.

A pickle can run any code, so these are read by an unpickler that knows four things, NumPy arrays,
their types, sparse matrices and dictionaries, and refuses every other name.
"""

import collections
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph")


class Planetoid(NamedTuple):
    """features float32 [N, D], edges int64 [E, 2] in both directions, label int32 [N], and the
    nodes of the public split (Yang et al.): 20 of each class, 500 and 1,000.
    """

    features: np.ndarray
    edges: np.ndarray
    label: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class _Sparse:
    """The arrays of a scipy.sparse.csr_matrix."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state[0] if isinstance(state, tuple) else state)

    def dense(self) -> np.ndarray:
        shape: tuple[int, ...] = self.__dict__["_shape" if "_shape" in self.__dict__ else "shape"]
        found = np.zeros(shape, np.float32)
        counts = np.diff(self.__dict__["indptr"])
        rows = np.repeat(np.arange(shape[0]), counts)
        np.add.at(found, (rows, self.__dict__["indices"]), self.__dict__["data"])
        return found


def _reconstruct(kind: type, shape: tuple[int, ...], code: Any) -> np.ndarray:
    del kind, code  # ndarray, and the type that __setstate__ replaces
    return np.ndarray.__new__(np.ndarray, shape, np.int8)


_KNOWN = {
    ("multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("csr", "csr_matrix"): _Sparse,
    ("_csr", "csr_matrix"): _Sparse,
    ("collections", "defaultdict"): collections.defaultdict,
    ("__builtin__", "list"): list,
    ("builtins", "list"): list,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _KNOWN.get((module.rpartition(".")[2], name))
        root = module.partition(".")[0]
        if found is None or root not in (
            "numpy",
            "scipy",
            "collections",
            "__builtin__",
            "builtins",
        ):
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no graph needs")
        return found


def read_planetoid(folder: Path) -> Planetoid:
    """The graph in a folder. Raises: FileNotFoundError or ValueError that name a file."""
    stems = sorted({p.name.split(".")[1] for p in folder.glob("ind.*.x")})
    if len(stems) != 1:
        raise FileNotFoundError(
            f"{folder} holds {'no' if not stems else 'several'} graphs as ind.NAME.x"
            + (f": {', '.join(stems)}; give each a folder" if stems else "")
        )
    part = {name: _read(folder / f"ind.{stems[0]}.{name}") for name in _PARTS}
    listed = folder / f"ind.{stems[0]}.test.index"
    test = np.array([int(line) for line in listed.read_text().split()])
    known, shown = _dense(part["allx"]), _dense(part["tx"])
    one_hot, of_test = np.asarray(part["ally"]), np.asarray(part["ty"])
    # The test nodes come last, in the order of test.index; some numbers among them may be missing
    # (isolated nodes of Citeseer), which then have neither features nor a class.
    count = max(len(known) + len(shown), int(test.max()) + 1)
    features = np.zeros((count, known.shape[1]), np.float32)
    label = np.full(count, -1, np.int32)
    features[: len(known)], features[test] = known, shown
    for where, rows in ((np.arange(len(known)), one_hot), (test, of_test)):
        label[where] = np.where(rows.any(1), rows.argmax(1), -1)
    pairs = np.array([(i, j) for i, row in part["graph"].items() for j in row], np.int64)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    edges = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    few = len(np.asarray(part["y"]))
    return Planetoid(
        features, edges, label, np.arange(few), np.arange(few, few + 500), np.sort(test)
    )


def _dense(matrix: Any) -> np.ndarray:
    return matrix.dense() if isinstance(matrix, _Sparse) else np.asarray(matrix, np.float32)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: all files of a graph lie in one folder")
    try:
        with path.open("rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no file of a citation graph: {error}") from error
