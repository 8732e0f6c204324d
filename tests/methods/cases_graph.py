"""Methods on graphs, small: a graph of 16 nodes in pieces of four, so that a piece is whole."""

import numpy as np
from laws import Case

from ssljax.data import GraphData, pack_edges
from ssljax.methods import BGRL, DGI, GRACE, VGAE, GraphMAE
from ssljax.nets import GAT, GCN, MLP


def graph(size: int = 16) -> dict[str, np.ndarray]:
    """`size` nodes in a ring, each with a loop onto itself now and then."""
    rng = np.random.default_rng(0)
    node = np.arange(size)
    ring = np.stack([node, (node + 1) % size], axis=1)
    edges = np.concatenate([ring, ring[:, ::-1], np.stack([node[::5]] * 2, axis=1)])
    return {
        "features": rng.random((size, 6), np.float32),
        "edges": pack_edges(edges, size),
        "node": np.ones(size, bool),
        "seed": node < size - 2,
        "label": (node % 4).astype(np.int32),
        "index": node.astype(np.int32),
    }


def data(rows: dict[str, np.ndarray]) -> GraphData:
    edges = rows["edges"].reshape(-1, 2)
    real = edges[edges[:, 0] >= 0]
    return GraphData(
        rows["features"], real, label=rows["label"], classes=tuple("abcd"), fanout=(1,)
    )


_HEAD = MLP(widths=(5, 4), norm=False, activation="elu")

CASES = {
    "dgi": Case(DGI(encoder=GCN(widths=(4,), activation="prelu")), graph, data),
    "grace": Case(GRACE(encoder=GCN(widths=(6, 4)), projector=_HEAD), graph, data),
    "bgrl": Case(
        BGRL(
            encoder=GCN(widths=(6, 4), activation="prelu", norm=True),
            predictor=MLP(widths=(5, 4), norm=False, activation="prelu"),
        ),
        graph,
        data,
    ),
    "graphmae": Case(
        GraphMAE(encoder=GAT(widths=(4, 4), heads=2, activation="prelu", dropout=0.2)), graph, data
    ),
    "vgae": Case(VGAE(encoder=GCN(widths=(6,)), code=3), graph, data),
}
