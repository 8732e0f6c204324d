"""State dicts of PyTorch Geometric: names of the same numbers there, both ways.

`torch_geometric.nn.models` has GCN, GAT, GraphSAGE and GIN as whole networks, which take the file
strictly; they put no activation behind the last layer, which ours do where `last` is set. An RGCN
has no such model, nor has a norm behind the last layer: their layers are `convs.0`, `convs.1`.
"""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import nets
from ssljax.export import safetensors
from ssljax.export.names import ONE, from_theirs, to_theirs
from ssljax.export.networks import describe
from ssljax.export.torch_names import flatten, unflatten
from ssljax.nets import GAT, GIN, RGCN, GraphNet

_ROWS = (
    ("convs_#/lins_#/*", "convs.#.nn.lins.#.*"),
    ("convs_#/*", "convs.#.*"),
    ("norms_#/mean", "norms.#.module.running_mean"),
    ("norms_#/var", "norms.#.module.running_var"),
    ("norms_#/*", "norms.#.module.*"),
    ("slopes_0", "act.weight", ONE),
)
_COUNTER = "num_batches_tracked"


def graph_to_torch(params: Any, stats: Any) -> dict[str, np.ndarray]:
    """The state dict of a graph network.

    Raises: ValueError for several layers with PReLU, whose slopes are one number there.
    """
    if "slopes_1" in params:
        raise ValueError(
            "PyTorch Geometric has one slope of PReLU for all layers, and these have one each: "
            "train with activation='relu' or 'elu' for this format"
        )
    found = to_theirs(_ROWS, flatten(params) | flatten(stats))
    means = [name for name in found if name.endswith(".running_mean")]
    counters = {n.replace("running_mean", _COUNTER): np.zeros((), np.int64) for n in means}
    return {k: np.ascontiguousarray(v, np.float32) for k, v in found.items()} | counters


def graph_from_torch(module: GraphNet, tensors: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
    """(params, stats) of `module`: the inverse of `graph_to_torch`. How many features a node has
    shows in the first layer.

    Raises: ValueError that lists missing and unexpected names and wrong shapes.
    """
    kept = {name: x for name, x in tensors.items() if not name.endswith(_COUNTER)}
    of_nodes = {"convs.0.root": 0, "convs.0.lin.weight": 1, "convs.0.lin_l.weight": 1}
    of_nodes |= {"convs.0.nn.lins.0.weight": 1}
    first = [(kept[n].shape, axis) for n, axis in of_nodes.items() if n in kept]
    wide = next((shape[axis] for shape, axis in first if len(shape) == 2), 1)
    edges = jax.ShapeDtypeStruct((1, 1, 3 if isinstance(module, RGCN) else 2), np.int32)
    graph = {"features": jax.ShapeDtypeStruct((1, wide), np.float32), "edges": edges}
    trees = jax.eval_shape(lambda key: nets.init(module, key, graph), jax.random.key(0))
    params, stats = (flatten(tree) for tree in trees)
    found = from_theirs(
        _ROWS,
        {path: leaf.shape for path, leaf in (params | stats).items()},
        kept,
        what=f"these tensors are not those of {module!r}",
    )
    return tuple(unflatten({path: found[path] for path in own}) for own in (params, stats))


def export_graph_net(
    out: Path, *, encoder: GraphNet, params: Any, stats: Any, features: int
) -> Path:
    """Writes a graph network under PyTorch Geometric's names to `out`, and the call that makes it
    to `out` + ".json".

    features: of a node, before the first layer. Raises: as `graph_to_torch`.
    """
    params, stats = jax.device_get((params, stats))
    safetensors.write(out, graph_to_torch(params, stats))
    safetensors.write_config(
        out,
        {
            "format": "torch_geometric",
            "version": importlib.metadata.version("ssljax"),
            "encoder": describe(encoder),
            "features": encoder.widths[-1],
            "model": _call(encoder, features),
        },
    )
    return out


def _call(encoder: GraphNet, features: int) -> dict[str, Any]:
    widths, name = encoder.widths, type(encoder).__name__
    alike = len(set(widths[:-1])) <= 1 and (widths[-1] == widths[0] or not isinstance(encoder, GAT))
    if isinstance(encoder, RGCN):
        return {"note": "convs is a torch.nn.ModuleList of torch_geometric.nn.RGCNConv"}
    # Theirs has no norm behind the last layer, and GIN's lies within its layers.
    if not alike or (encoder.norm and (encoder.last or isinstance(encoder, GIN))):
        return {"note": f"torch_geometric has no such {name} as a whole: build it from its layers"}
    arguments: dict[str, Any] = {
        "in_channels": features,
        "hidden_channels": widths[0],
        "num_layers": len(widths),
        "act": encoder.activation,
    }
    if widths[-1] != widths[0]:
        arguments["out_channels"] = widths[-1]
    if encoder.norm:
        arguments["norm"] = "batch_norm"
    if isinstance(encoder, GAT):
        arguments["heads"] = encoder.heads
    note = f"behind the last layer follows {encoder.activation}" if encoder.last else ""
    call = {"call": f"torch_geometric.nn.models.{name}", "arguments": arguments}
    return call | ({"note": note} if note else {})
