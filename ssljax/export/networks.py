"""Several networks in one safetensors file of ours, with a JSON file beside it that says what they
are: what training can begin from (`Experiment.begin`).

Names are paths, `encoder/blocks_0/norm1/scale`, or those of single numbers, `log_scale`.
"""

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.export import safetensors
from ssljax.export.torch_names import flatten, unflatten
from ssljax.nets import MLP

PyTree = Any
KIND = "networks"
# Fields that say how a network is computed or trained, not what its parameters mean.
FREE = (
    *("dtype", "pool", "any_size", "zero_init_residual", "dropout", "attention_dropout"),
    *("eot", "causal"),
)


def describe(network: Any) -> dict[str, Any]:
    """Type and fields of a module, and of those in it; Flax adds "parent" and "name", which say
    where it sits."""
    names = [f.name for f in dataclasses.fields(network) if f.name not in ("parent", "name")]

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return describe(value)
        return list(value) if isinstance(value, tuple) else value

    values = {name: plain(getattr(network, name)) for name in names}
    return {"type": type(network).__name__} | values


def check_same(path: Path, before: Mapping[str, Any], network: Any, *, name: str) -> None:
    """Catches what shapes do not show, such as another number of heads.

    before: what `describe` said of the network in the file. Raises: ValueError.
    """
    then, now = _meaning(before), _meaning(describe(network))
    wrong = [
        f"{field} is {value!r} in the file and {now.get(field)!r} here"
        for field, value in then.items()
        if value != now.get(field)
    ]
    if wrong:
        raise ValueError(f"{path} holds another {name}: " + "; ".join(wrong))


def _meaning(described: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _meaning(value) if isinstance(value, dict) else value
        for name, value in described.items()
        if name not in FREE
    }


def save_networks(path: Path, networks: Mapping[str, Any], params: PyTree) -> None:
    """Writes parameters of networks by name, and numbers beside them, to `path`."""
    tensors = {name: np.asarray(leaf) for name, leaf in flatten(params).items()}
    safetensors.write(path, tensors)
    described = {name: describe(network) for name, network in networks.items()}
    version = importlib.metadata.version("ssljax")
    safetensors.write_config(path, {"format": KIND, "version": version, "networks": described})


def load_networks(path: Path, networks: Mapping[str, Any]) -> dict[str, PyTree]:
    """Parameters by network, of those that the file and `networks` have in common; where these are
    all of the file, the numbers beside them too.

    Raises: FileNotFoundError, or ValueError where the file holds other networks under these names.
    """
    described = (safetensors.read_config(path) or {}).get("networks", {})
    params = unflatten(safetensors.read(path))
    common = [name for name in described if name in networks and name in params]
    if "encoder" not in common:
        raise ValueError(f"{path} does not hold an encoder as ssljax import writes it")
    for name in common:
        if not isinstance(networks[name], MLP):  # whose shapes show all
            check_same(path, described[name], networks[name], name=name)
    whole = set(described) <= set(networks)
    numbers = [name for name in params if name not in described] if whole else []
    return {name: params[name] for name in (*common, *numbers)}
