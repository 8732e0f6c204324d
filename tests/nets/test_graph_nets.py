"""Graph networks against PyTorch Geometric, and against loops over edges where it is absent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.data import pack_edges
from ssljax.nets import GAT, GCN, GIN, RGCN, GraphSAGE
from ssljax.nets.graph import permuted

# Isolated nodes, loops of a node onto itself, the same edge twice, both directions and one.
EDGES = np.array(
    [[0, 1], [1, 0], [1, 2], [2, 3], [2, 3], [4, 4], [4, 5], [5, 4], [0, 5], [3, 1], [7, 8]]
)
NODES, WIDE = 11, 6


def graph(rows: int = NODES, edges: np.ndarray = EDGES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(NODES, WIDE)).astype(np.float32)
    features = np.zeros((rows, WIDE), np.float32)
    features[:NODES] = x
    order = rng.permutation(len(edges))
    node = np.arange(rows) < NODES
    return {"features": features, "edges": pack_edges(edges[order], rows), "node": node}


def run(net, x, key=0):
    params, stats = nets.init(net, jax.random.key(key), x)
    # Every parameter away from 0 and 1, so that none can be forgotten.
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    params = jax.tree.unflatten(
        tree, [0.4 * jax.random.normal(k, p.shape) for k, p in zip(keys, leaves, strict=True)]
    )
    return params, np.asarray(nets.apply(net, params, stats, x, train=False)[0])


def torch_layer(kind, params):
    torch = pytest.importorskip("torch")
    geometric = pytest.importorskip("torch_geometric.nn")
    p = jax.tree.map(lambda a: torch.tensor(np.asarray(a)), params["convs_0"])
    if kind == "gcn":
        layer = geometric.GCNConv(WIDE, 8)
        names = {"lin.weight": p["lin"]["kernel"].T, "bias": p["bias"]}
    elif kind == "gat":
        layer = geometric.GATConv(WIDE, 2, heads=4)
        names = {k: p[k] for k in ("att_src", "att_dst", "bias")}
        names |= {"lin.weight": p["lin"]["kernel"].T}
    elif kind.startswith("sage"):
        layer = geometric.SAGEConv(WIDE, len(p["lin_l"]["bias"]))
        names = {"lin_l.weight": p["lin_l"]["kernel"].T, "lin_l.bias": p["lin_l"]["bias"]}
        names |= {"lin_r.weight": p["lin_r"]["kernel"].T}
    elif kind == "gin":
        mlp = torch.nn.Sequential(torch.nn.Linear(WIDE, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8))
        layer = geometric.GINConv(mlp, train_eps=True)
        names = {"eps": p["eps"]}
        for ours, theirs in (("lins_0", "nn.0"), ("lins_1", "nn.2")):
            names |= {f"{theirs}.weight": p[ours]["kernel"].T, f"{theirs}.bias": p[ours]["bias"]}
    else:
        bases = 2 if kind == "rgcn_bases" else None
        layer = geometric.RGCNConv(WIDE, len(p["bias"]), num_relations=3, num_bases=bases)
        names = {k: p[k] for k in ("weight", "root", "bias")}
        names |= {"comp": p["comp"]} if bases else {}
    layer.load_state_dict(names)
    return torch, layer


KINDS = {
    "gcn": GCN(widths=(8,), last=False),
    "gat": GAT(widths=(8,), last=False),
    "sage": GraphSAGE(widths=(8,), last=False),
    "sage_narrow": GraphSAGE(widths=(4,), last=False),
    "gin": GIN(widths=(8,), last=False),
    "rgcn": RGCN(widths=(8,), last=False, relations=3),
    "rgcn_bases": RGCN(widths=(8,), last=False, relations=3, bases=2),
    "rgcn_narrow": RGCN(widths=(4,), last=False, relations=3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_layers_equal_pytorch_geometric(kind):
    relation = np.arange(len(EDGES)) % 3
    edges = np.c_[EDGES, relation] if kind.startswith("rgcn") else EDGES
    x = graph(edges=edges)
    params, ours = run(KINDS[kind], x)
    torch, layer = torch_layer(kind, params)
    more = [torch.tensor(relation)] if kind.startswith("rgcn") else []
    with torch.no_grad():
        theirs = layer(torch.tensor(x["features"]), torch.tensor(EDGES.T), *more).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_relation_that_is_not_known_is_no_number():
    edges = np.c_[EDGES, np.arange(len(EDGES)) % 4]
    net, x = KINDS["rgcn"], graph(edges=edges)
    params, stats = nets.init(net, jax.random.key(0), x)
    assert np.isnan(nets.apply(net, params, stats, x, train=False)[0]).all()


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_rows_that_fill_up_change_nothing(kind):
    """Neither rows without a node nor the place of an edge among the rows."""
    x = graph()
    params, plain = run(KINDS[kind], x)
    wide = graph(rows=16)
    padded, _ = nets.apply(KINDS[kind], params, {}, wide, train=False)
    np.testing.assert_allclose(padded[:NODES], plain, rtol=1e-5, atol=1e-6)


def test_gcn_is_the_loop_over_edges():
    """D^-1/2 (A + I) D^-1/2 X W + b in float64."""
    x = graph()
    params, ours = run(KINDS["gcn"], x)
    p = jax.tree.map(np.float64, params["convs_0"])
    a = np.eye(NODES)
    for s, t in EDGES:
        a[t, s] += s != t
    d = a.sum(1)
    whole = (a / np.sqrt(d[:, None] * d[None, :])) @ x["features"] @ p["lin"]["kernel"] + p["bias"]
    np.testing.assert_allclose(ours, whole, rtol=1e-5, atol=1e-5)


def test_permuted_moves_nodes_and_nothing_else():
    node = jnp.array([True, False, True, True, False, True])
    found = np.asarray(
        jax.vmap(lambda k: permuted(k, node))(jax.random.split(jax.random.key(0), 50))
    )
    assert (found[:, [1, 4]] == [1, 4]).all()
    assert (np.sort(found, axis=1) == np.arange(6)).all()
    assert len(np.unique(found, axis=0)) > 15


def test_what_is_no_graph_is_refused():
    with pytest.raises(ValueError, match="GCN takes a graph"):
        nets.init(KINDS["gcn"], jax.random.key(0), np.zeros((3, 4), np.float32))
