"""Graph networks under the names of PyTorch Geometric: loaded there, the same numbers, and back."""

import json

import jax
import numpy as np
import pytest

from ssljax import nets
from ssljax.data import pack_edges
from ssljax.export import export_graph_net, graph_from_torch, graph_to_torch, load, safetensors
from ssljax.nets import GAT, GCN, GIN, RGCN, GraphSAGE

EDGES = np.array([[0, 1], [1, 0], [1, 2], [2, 3], [3, 3], [4, 2]])
NETS = {
    "gcn": GCN(widths=(8, 8, 4), norm=True, last=False),
    "gcn_prelu": GCN(widths=(8,), activation="prelu"),
    "gat": GAT(widths=(8, 8), heads=2, activation="elu", last=False),
    "sage": GraphSAGE(widths=(8, 4), last=False),
    "gin": GIN(widths=(8, 8), last=False),
    "rgcn": RGCN(widths=(8, 4), relations=2, bases=2, last=False),
}


def trained(name):
    """(network, a graph, params and stats none of which is where it began)."""
    net, rng = NETS[name], np.random.default_rng(0)
    edges = np.c_[EDGES, np.arange(len(EDGES)) % 2] if name == "rgcn" else EDGES
    x = {"features": rng.normal(size=(6, 5)).astype(np.float32), "edges": pack_edges(edges, 6)}
    trees = nets.init(net, jax.random.key(0), x)
    moved = jax.tree.map(lambda a: rng.uniform(0.2, 0.8, a.shape).astype(np.float32), trees)
    return net, x, *moved


@pytest.mark.parametrize("name", NETS)
def test_there_and_back(name, tmp_path):
    net, x, params, stats = trained(name)
    out = export_graph_net(
        tmp_path / "net.safetensors", encoder=net, params=params, stats=stats, features=5
    )
    for ours, theirs in zip((params, stats), load(out, net), strict=True):
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    tensors = safetensors.read(out)
    tensors.pop("convs.0.bias", None)
    with pytest.raises(ValueError, match=r"missing convs\.0\.bias|unexpected more"):
        graph_from_torch(net, tensors | {"more": np.zeros(1)})
    model = json.loads((tmp_path / "net.safetensors.json").read_text())["model"]
    if name == "rgcn":
        assert "RGCNConv" in model["note"]
        return
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torch_geometric.nn.models")
    peer = getattr(models, model["call"].rpartition(".")[2])(**model["arguments"]).eval()
    peer.load_state_dict({k: torch.tensor(v) for k, v in safetensors.read(out).items()})
    with torch.no_grad():
        theirs = peer(torch.tensor(x["features"]), torch.tensor(EDGES.T))
        theirs = peer.act(theirs) if net.last else theirs
    ours, _ = nets.apply(net, params, stats, x, train=False)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-5)


def test_slopes_of_several_layers_have_no_counterpart():
    net = GCN(widths=(4, 4), activation="prelu")
    x = {"features": np.zeros((6, 5), np.float32), "edges": pack_edges(EDGES, 6)}
    params, stats = nets.init(net, jax.random.key(0), x)
    with pytest.raises(ValueError, match="one slope of PReLU"):
        graph_to_torch(params, stats)


@pytest.mark.parametrize("net", [GAT(widths=(8, 4), heads=2), GCN(widths=(4, 4), norm=True)])
def test_what_torch_geometric_does_not_build_is_said(net, tmp_path):
    x = {"features": np.zeros((6, 5), np.float32), "edges": pack_edges(EDGES, 6)}
    params, stats = nets.init(net, jax.random.key(0), x)
    out = tmp_path / "net.safetensors"
    export_graph_net(out, encoder=net, params=params, stats=stats, features=5)
    model = json.loads((tmp_path / "net.safetensors.json").read_text())["model"]
    assert "build it from its layers" in model["note"]
