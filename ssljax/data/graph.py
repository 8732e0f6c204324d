"""A graph as data: an example is a node, and a batch a piece of the graph with its own edges.

A batch has one row for each node in it, and its edges lie spread over these rows, in no order:

    features  float32 [B, D]       edges  int32 [B, K, 2], source and target by row, -1 for none
    node      bool [B], False where a row only fills up the batch
    seed      bool [B], whether the loss of this node counts
    label     int32 [B], -1 where it is not known, hidden, or not a seed's
    index     int32 [B], the node

With a batch of at least as many rows as there are nodes, every batch is the whole graph. A smaller
one holds some nodes, the seeds, and neighbours that are drawn for them hop by hop (Hamilton et al.
2017, arXiv:1706.02216): row numbers follow from seed and step alone, so a run resumes exactly.
"""

import copy
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from ssljax.data.dataset import Rows, Spec
from ssljax.data.order import Once, Shuffled


def pack_edges(edges: np.ndarray, rows: int, *, slots: int | None = None) -> np.ndarray:
    """Edges int [E, C] spread over rows: int32 [rows, K, C], filled up with -1.

    slots: K; None: as few as they need. Raises: ValueError where they do not fit.
    """
    need = -(-len(edges) // rows)
    slots = max(1, need) if slots is None else slots
    if need > slots:
        raise ValueError(f"{len(edges)} edges do not fit into {rows} rows of {slots} slots")
    packed = np.full((rows * slots, edges.shape[1]), -1, np.int32)
    packed[: len(edges)] = edges
    return packed.reshape(rows, slots, edges.shape[1])


class GraphData:
    """One graph with features and maybe labels of its nodes.

    `classes`, `labelled`, `labels`, `names`, `spec`, `batches`, `once`, `take` as in `Arrays`.
    """

    readable = prompts = vocabulary = None

    def __init__(
        self,
        features: np.ndarray,
        edges: np.ndarray,
        *,
        label: np.ndarray | None = None,
        classes: tuple[str, ...] | None = None,
        names: Sequence[str] | None = None,
        fanout: tuple[int, ...] = (10, 5),
        held_out: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        """Args:
          features: [N, D]. edges: int [E, 2], source and target; a friendship is two edges. Or
            [E, 3], with a relation.
          label: int [N], -1 where there is none. classes: their names. names: of the nodes.
          fanout: neighbours that are drawn for each node in a batch smaller than the graph, by hop.
          held_out: gives links that were taken out of `edges` for a test, and as many other pairs.
        Raises: ValueError where shapes or node numbers do not fit.
        """
        features = np.asarray(features, np.float32)
        edges = np.asarray(edges)
        if features.ndim != 2 or not len(features):
            raise ValueError(f"features must be [nodes, D], not {features.shape}")
        if edges.ndim != 2 or edges.shape[1] not in (2, 3) or edges.dtype.kind not in "iu":
            raise ValueError(f"edges must be whole numbers [E, 2], not {edges.dtype} {edges.shape}")
        if len(edges) and not 0 <= edges[:, :2].min() <= edges[:, :2].max() < len(features):
            wrong = int(np.flatnonzero(((edges < 0) | (edges >= len(features)))[:, :2].any(1))[0])
            raise ValueError(
                f"edge {wrong} is {edges[wrong, 0]} -> {edges[wrong, 1]}, and there are nodes 0 to "
                f"{len(features) - 1}"
            )
        if not fanout or min(fanout) < 1:
            raise ValueError(f"fanout {fanout}: draw at least one neighbour a hop")
        self.features, self.edges, self.fanout = features, edges.astype(np.int32), fanout
        self.classes, self.names, self.skipped = classes, names, []
        self._held_out = held_out
        self._label = None if label is None else np.asarray(label, np.int32)
        if self._label is not None and self._label.shape != (len(features),):
            raise ValueError(f"labels must be [{len(features)}], not {self._label.shape}")
        self.labelled = self._label is not None and bool((self._label >= 0).any())
        self.origin = np.arange(len(features), dtype=np.int64)  # the nodes that are examples
        # By target: what flows into a node lies together.
        order = np.argsort(self.edges[:, 1], kind="stable")
        self._into = self.edges[order]
        self._start = np.searchsorted(self._into[:, 1], np.arange(len(features) + 1))
        self._columns = edges.shape[1]

    def __len__(self) -> int:
        return len(self.origin)

    def part(self, index: np.ndarray) -> "GraphData":
        """The same graph, of which only some of the nodes are examples, in the order of nodes."""
        found = copy.copy(self)
        found.origin = self.origin[np.unique(index)]
        found.names = None if self.names is None else [self.names[i] for i in np.unique(index)]
        return found

    def without(self, leaves: Collection[str], *, classes: Sequence[str] | None) -> "GraphData":
        """The same nodes, their labels hidden if "label" is among the leaves."""
        found = copy.copy(self)
        found.classes = None if classes is None else tuple(classes)
        if "label" in leaves:
            found._label, found.labelled = None, False
        return found

    def chosen(self, index: np.ndarray, learnt: Rows, **options: Any) -> Any:
        """What a student learns from: some of the nodes, as `ChosenNodes`."""
        from ssljax.data.chosen_nodes import ChosenNodes  # which is made of graphs

        return ChosenNodes(self, index, learnt, **options)

    @property
    def links(self) -> np.ndarray:
        """Edges between examples, source and target by their place, int [P, 2]; no loops."""
        pairs = self.edges[:, :2]
        kept = np.isin(pairs, self.origin).all(axis=1) & (pairs[:, 0] != pairs[:, 1])
        return np.searchsorted(self.origin, pairs[kept])

    @property
    def spec(self) -> Spec:
        """Of one node: name -> (shape, dtype). How many slots an edge has follows the batch: 1."""
        found: Spec = {
            "features": (self.features.shape[1:], self.features.dtype),
            "edges": ((1, self._columns), np.dtype(np.int32)),
            "node": ((), np.dtype(bool)),
            "seed": ((), np.dtype(bool)),
            "index": ((), np.dtype(np.int32)),
        }
        if self._label is not None:
            found["label"] = ((), np.dtype(np.int32))
        return found

    def labels(self) -> np.ndarray | None:
        """int32 [N], -1 where there is none; None without labels."""
        return None if self._label is None else self._label[self.origin]

    def take(self, index: np.ndarray) -> Rows:
        """Features and labels of examples, without edges."""
        node = self.origin[index]
        rows = {"features": self.features[node], "index": np.asarray(index, np.int32)}
        return rows if self._label is None else rows | {"label": self._label[node]}

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """Batches number start, start + 1, ... without end; leaves [batch / hosts, ...]."""
        if batch >= len(self.features):
            whole = share(self.whole(batch), host)
            return itertools.repeat(whole)
        seeds = Shuffled(len(self), self.seeds(batch), seed=seed)

        def one(i: int) -> Rows:
            rng = np.random.default_rng([seed, 41, i])
            return share(self.piece(self.origin[seeds[i][0]], batch, rng), host)

        return (one(i) for i in itertools.count(start))

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """Every node once as a seed, in order; "mask" says which rows are meant."""
        if batch >= len(self.features):
            whole = self.whole(batch)
            return iter([share(whole | {"mask": whole["seed"]}, host)])
        plan = Once(len(self), self.seeds(batch))

        def one(i: int) -> Rows:
            index, mask = plan[i]
            nodes = self.origin[index[mask]]
            piece = self.piece(nodes, batch, np.random.default_rng([43, i]))
            return share(piece | {"mask": piece["seed"]}, host)

        return (one(i) for i in range(len(plan)))

    @property
    def held_out(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(links that are not in the graph, as many pairs that are not linked), int [P, 2] each;
        None where none were taken out, and for a part of the nodes.
        """
        whole = len(self) == len(self.features)
        return self._held_out() if whole and self._held_out is not None else None

    @property
    def smallest_batch(self) -> int:
        """Rows that one node and its drawn neighbours may take, or the whole graph."""
        return min(len(self.features), 1 + int(np.cumprod(self.fanout).sum()))

    def seeds(self, batch: int) -> int:
        """Nodes whose loss counts in a batch of so many rows. Raises: ValueError below one."""
        need = self.smallest_batch
        if batch < need:
            raise ValueError(
                f"a batch of {batch} rows holds no node with {self.fanout} neighbours: use at "
                f"least {need}, or a smaller fanout"
            )
        return batch // need

    def whole(self, batch: int) -> Rows:
        """The whole graph, a row a node in order, and rows that fill up the batch."""
        return self._rows(np.arange(len(self.features)), self.edges, self.origin, batch, None)

    def piece(self, seeds: np.ndarray, batch: int, rng: np.random.Generator) -> Rows:
        """Seeds first, then their neighbours; edges lead from drawn neighbours to who drew them."""
        nodes, front, found = seeds, seeds, []
        for many in self.fanout:
            first, count = self._start[front], self._start[front + 1] - self._start[front]
            # With at most `many` all of them, else as many draws with replacement.
            draw = rng.random((len(front), many)) * count[:, None]
            slot = np.where(count[:, None] <= many, np.arange(many), draw.astype(np.int64))
            taken = slot < count[:, None]
            rows = self._into[(first[:, None] + slot)[taken]]
            found.append(rows)
            front = np.setdiff1d(rows[:, 0], nodes)
            nodes = np.concatenate([nodes, front])
        edges = np.concatenate(found) if found else np.zeros((0, self._columns), np.int32)
        # Rows by node: a table as large as the graph would be dearer than sorting the piece.
        order = np.argsort(nodes, kind="stable")
        place = order[np.searchsorted(nodes[order], edges[:, :2])].astype(np.int32)
        local = np.concatenate([place, edges[:, 2:]], axis=1)
        return self._rows(nodes, local, seeds, batch, 1)

    def _rows(
        self,
        nodes: np.ndarray,
        edges: np.ndarray,
        seeds: np.ndarray,
        batch: int,
        slots: int | None,
    ) -> Rows:
        fill = batch - len(nodes)
        index = np.concatenate([nodes, np.zeros(fill, nodes.dtype)])
        node = np.arange(batch) < len(nodes)
        seed = node & np.isin(index, seeds)
        rows = {
            "features": np.where(node[:, None], self.features[index], np.float32(0)),
            "edges": pack_edges(edges, batch, slots=slots),
            "node": node,
            "seed": seed,
            # The place of an example; of a node that is none, the place that it would have.
            "index": np.searchsorted(self.origin, index).astype(np.int32),
        }
        if self._label is not None:
            rows["label"] = np.where(seed, self._label[index], np.int32(-1))
        return rows


def share(rows: Rows, host: tuple[int, int]) -> Rows:
    """The rows of one host: each makes the whole batch, since its edges lead everywhere."""
    which, many = host
    if many == 1:
        return rows
    size = len(rows["index"]) // many
    return {k: v[which * size : (which + 1) * size] for k, v in rows.items()}
