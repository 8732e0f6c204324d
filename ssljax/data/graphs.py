"""Graphs from files: citation graphs as they are published, and tables of edges and nodes.

    graph:PATH    a folder with ind.NAME.x and its kin (`ssljax.data.planetoid`); or with a table
                  of edges, *edges.{csv,tsv,parquet}, and maybe tables of nodes: *target*.{csv,...}
                  with a class, and *features*.{json,csv,parquet}

An edge is the first two columns of its row; another may say by what relation. Nodes are numbered as
the edges name them; a column `new_id`, `id` or `node` of the other tables says whose row it is.
Features as JSON are {"node": [which of the features it has, ...]}.
"""

import dataclasses
import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ssljax.data.announced_tables import read_table
from ssljax.data.dataset import Rows, Spec
from ssljax.data.graph import GraphData
from ssljax.data.planetoid import read_planetoid
from ssljax.data.split_names import SPLITS, normal

log = logging.getLogger("ssljax")
_IDS = ("new_id", "id", "node")


@dataclass(frozen=True, kw_only=True)
class Graphs:
    """How a graph becomes data; every split is the whole graph, with other labels hidden."""

    plain_name: ClassVar[str] = "features"
    fanout: tuple[int, ...] = (10, 5)
    """Neighbours that are drawn for each node, by hop, where a batch is smaller than the graph."""
    normalize: bool = True
    """Whether the features of a node sum to 1, as is usual for bags of words."""
    undirected: bool = True
    """Whether an edge of a table goes both ways; citation graphs always do."""
    relation: str | None = None
    """Column of a table of edges that says by what two nodes are linked, for an `RGCN`; edges back
    have relations of their own. None: edges are all alike."""
    target: str | None = None
    """Column of the classes in the table of nodes; None: the only one that there is."""
    train: Literal["public", "rest"] = "public"
    """Which labels of a citation graph the training split shows: 20 of each class, as published, or
    those of all nodes outside of validation and test."""
    test_fraction: float = 0.2
    """Share of the labelled nodes that is held out for testing, for tables without a split."""
    links: float = 0.0
    """Share of the links between nodes that no split holds, to ask a method for them afterwards;
    twice as many of them for a test, which the evaluation reads, as for choosing settings
    (`held_out_links`)."""
    seed: int = 0
    """Draws these shares."""

    def __post_init__(self) -> None:
        if not 0 < self.test_fraction < 1 or not 0 <= self.links < 1:
            raise ValueError(
                f"test_fraction {self.test_fraction} must be between 0 and 1, links {self.links} "
                "at least 0 and below 1"
            )

    def prepared(self, spec: str, folder: Path | None = None) -> "Graphs":
        """Itself: nothing is learnt from the data."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """Train, validation and test of a citation graph, else train and test."""
        return SPLITS if _citations(_folder(spec)) else ("train", "test")

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> GraphData:
        """The graph with the labels of a split. Raises: ValueError, FileNotFoundError."""
        del in_memory_bytes, workers
        folder, part = _folder(spec), normal(split)
        if part not in self.splits(spec):
            raise ValueError(f"{spec} has no split {split!r}: {', '.join(self.splits(spec))}")
        if _citations(folder):
            found = read_planetoid(folder)
            shown = getattr(found, part)
            if part == "train" and self.train == "rest":
                others = np.concatenate([found.validation, found.test])
                shown = np.setdiff1d(np.arange(len(found.label)), others)
            label = np.full(len(found.label), -1, np.int32)
            label[shown] = found.label[shown]
            classes = tuple(map(str, range(int(found.label.max()) + 1)))
            return self._data(folder, found.features, found.edges, label, classes, None)
        return self._tables(folder, part)

    def held_out_links(self, spec: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{"validation", "test"}: (links int [P, 2] that are in no split, as many pairs of nodes
        that are not linked).

        Raises: ValueError where nothing was held out.
        """
        if not self.links:
            raise ValueError("no links are held out: set Graphs(links=0.15)")
        whole = dataclasses.replace(self, links=0.0).load(spec)
        held = self._held(whole.edges)
        linked = {(int(a), int(b)) for a, b in whole.edges[:, :2]}
        rng, others = np.random.default_rng([self.seed, 59]), []
        while len(others) < len(held):
            a, b = (int(i) for i in rng.integers(0, len(whole), 2))
            if a != b and (a, b) not in linked:
                others.append((a, b))
                linked |= {(a, b), (b, a)}
        pairs, cut = np.array(others), len(held) // 3
        return {
            "validation": (held[:cut], pairs[:cut]),
            "test": (held[cut:], pairs[cut:]),
        }

    def _held(self, edges: np.ndarray) -> np.ndarray:
        """The links to hold out, int [P, 2], each once."""
        pairs = np.unique(np.sort(edges[:, :2], axis=1), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        order = np.random.default_rng([self.seed, 53]).permutation(len(pairs))
        return pairs[order[: round(self.links * len(pairs))]]

    def shapes(self) -> Spec | None:
        """None: the number of features is in the data."""
        return None

    def plain(self, rows: Rows) -> np.ndarray:
        """The features [B, D] of the nodes themselves."""
        return np.asarray(rows["features"], np.float32)

    def _data(
        self,
        folder: Path,
        features: np.ndarray,
        edges: np.ndarray,
        label: np.ndarray | None,
        classes: tuple[str, ...] | None,
        names: list[str] | None,
    ) -> GraphData:
        if self.links:
            low, high = self._held(edges).T
            gone = np.isin(
                np.sort(edges[:, :2], axis=1) @ [len(features), 1], low * len(features) + high
            )
            edges = edges[~gone]
        if self.normalize:
            total = features.sum(axis=1, keepdims=True)
            features = features / np.where(total == 0, 1, total)
        tested = partial(self._tested, folder) if self.links else None
        options = {"label": label, "classes": classes, "names": names, "fanout": self.fanout}
        return GraphData(features, edges, held_out=tested, **options)

    def _tested(self, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        return self.held_out_links(f"graph:{folder}")["test"]

    def _tables(self, folder: Path, part: str) -> GraphData:
        file = _one(folder, "edges")
        if file is None:
            raise FileNotFoundError(
                f"{folder} holds no graph: it needs ind.NAME.x and its kin, or a table of edges "
                "such as edges.csv"
            )
        table = _table(file)
        if table.num_columns < 2:
            raise ValueError(f"{file}: an edge needs two columns, and there is {table.num_columns}")
        ends = [_names(table.column(i), file) for i in (0, 1)]
        nodes = _one(folder, "target")
        listed = [] if nodes is None else _names(_ids(_table(nodes), nodes), nodes)
        names = _ordered([*listed, *ends[0], *ends[1]])
        place = {name: i for i, name in enumerate(names)}
        edges = np.array([[place[a] for a in end] for end in ends], np.int64).T
        edges = np.c_[edges, self._relations(table, file)]
        if self.undirected:
            back = edges[:, [1, 0, *range(2, edges.shape[1])]]
            back[:, 2:] += edges[:, 2:].max(initial=-1) + 1
            edges = np.unique(np.concatenate([edges, back]), axis=0)
        label, classes = None, None
        if nodes is not None:
            label, classes = self._labels(_table(nodes), nodes, [place[n] for n in listed], names)
            label = self._shown(label, part)
        return self._data(folder, _features(folder, place), edges, label, classes, names)

    def _relations(self, table: pa.Table, file: Path) -> np.ndarray:
        """By which relation each edge links, int [E, 1], [E, 0] where they are all alike."""
        if self.relation is None:
            return np.zeros((table.num_rows, 0), np.int64)
        if self.relation not in table.column_names[2:]:
            raise ValueError(
                f"{file}: no column {self.relation!r} behind the two of nodes: there are "
                f"{', '.join(table.column_names)}"
            )
        said = _names(table.column(self.relation), file, "relation")
        names = _ordered(said)
        both = f", {2 * len(names)} with those back" if self.undirected else ""
        log.info("%s: %d relations%s", file, len(names), both)
        number = {name: i for i, name in enumerate(names)}
        return np.array([[number[name]] for name in said], np.int64).reshape(-1, 1)

    def _labels(
        self, table: pa.Table, file: Path, rows: list[int], names: list[str]
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        offered = [c for c in table.column_names if c not in _IDS]
        column = self.target
        if column is None and len(offered) == 1:
            column = offered[0]
        if column not in offered:
            raise ValueError(
                f"{file} has the columns {', '.join(offered)}: say which holds the classes with "
                "Graphs(target=...), on the command line --reader.target"
            )
        values = [None if v is None else str(v) for v in table.column(column).to_pylist()]
        classes = tuple(_ordered([v for v in values if v is not None]))
        if len(classes) > max(2, len(values) // 2):
            raise ValueError(f"{file}: {column} has {len(classes)} values, too many for classes")
        number = {name: i for i, name in enumerate(classes)}
        label = np.full(len(names), -1, np.int32)
        label[rows] = [-1 if v is None else number[v] for v in values]
        return label, classes

    def _shown(self, label: np.ndarray, part: str) -> np.ndarray:
        """The labels of the training or of the test nodes, the others hidden."""
        known = np.flatnonzero(label >= 0)
        order = np.random.default_rng([self.seed, 47]).permutation(known)
        count = max(1, round(self.test_fraction * len(known)))
        shown = order[:count] if part == "test" else order[count:]
        found = np.full_like(label, -1)
        found[shown] = label[shown]
        return found


def _folder(spec: str) -> Path:
    kind, _, place = spec.partition(":")
    if kind != "graph" or not place:
        raise ValueError(f"data {spec!r}: graphs are graph:PATH")
    folder = Path(place)
    if not folder.is_dir():
        raise FileNotFoundError(f"{spec}: there is no such folder")
    return folder


def _citations(folder: Path) -> bool:
    return any(folder.glob("ind.*.x"))


def _one(folder: Path, word: str) -> Path | None:
    """The table whose name holds `word`, or None. Raises: ValueError where there are several."""
    kinds = (".csv", ".tsv", ".parquet", ".json")
    found = sorted(p for p in folder.iterdir() if word in p.stem.lower() and p.suffix in kinds)
    if len(found) > 1:
        raise ValueError(
            f"{folder} has several tables of {word}: {', '.join(p.name for p in found)}"
        )
    return found[0] if found else None


def _table(file: Path) -> pa.Table:
    try:
        if file.suffix == ".parquet":
            return read_table(file)
        options = pyarrow.csv.ParseOptions(delimiter="\t" if file.suffix == ".tsv" else ",")
        return pyarrow.csv.read_csv(file, parse_options=options)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file} cannot be read: {error}") from error


def _ids(table: pa.Table, file: Path) -> pa.ChunkedArray:
    for name in _IDS:
        if name in table.column_names:
            return table.column(name)
    raise ValueError(f"{file}: no column says whose row it is: name one {' or '.join(_IDS)}")


def _names(column: pa.ChunkedArray, file: Path, what: str = "node") -> list[str]:
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(f"{file}: row {row + 1} names no {what}")
    return [str(v) for v in column.to_pylist()]


def _ordered(names: list[str]) -> list[str]:
    """Each name once, numbers by value and words by letter."""
    found = set(names)
    if all(n.isdigit() for n in found):
        return sorted(found, key=int)
    return sorted(found)


def _features(folder: Path, place: dict[str, int]) -> np.ndarray:
    """float32 [N, D] of the table of features; without one, each node is a feature of its own."""
    file = _one(folder, "features")
    if file is None:
        return np.eye(len(place), dtype=np.float32)
    if file.suffix == ".json":
        rows = json.loads(file.read_text())
        unknown = sorted(set(rows) - set(place))
        if unknown:
            raise ValueError(f"{file} names {unknown[0]!r}, which is no node of the edges")
        width = 1 + max((max(v, default=-1) for v in rows.values()), default=-1)
        found = np.zeros((len(place), width), np.float32)
        for name, held in rows.items():
            found[place[name], held] = 1
        return found
    table = _table(file)
    names = _names(_ids(table, file), file)
    columns = [c for c in table.column_names if c not in _IDS]
    values = np.stack([pc.cast(table.column(c), pa.float32()).to_numpy() for c in columns], axis=1)
    found = np.zeros((len(place), len(columns)), np.float32)
    for name, row in zip(names, values, strict=True):
        if name not in place:
            raise ValueError(f"{file} names {name!r}, which is no node of the edges")
        found[place[name]] = row
    return found
