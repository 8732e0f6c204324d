"""What one published family of networks is: names, settings, and what of it is not carried over.

The settings of a family are rows (theirs, ours, default): a key of config.json, the field of our
network, and what holds where a file does not say it. They are read in both directions, as the names
of `ssljax.export.names` are.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from ssljax import nets
from ssljax.export.names import Row
from ssljax.export.torch_names import flatten

Networks = Mapping[str, Any]
Config = Mapping[str, Any]
Setting = tuple[str, str, Any]
Flat = dict[str, Any]
_LARGEST = 10**7  # of any number in config.json that a network has

# Theirs -> ours; the first of equal ones is written.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
}


@dataclass(frozen=True, kw_only=True)
class Family:
    """A published family; the functions take networks by name, the encoder being "encoder"."""

    rows: tuple[Row, ...]
    """Names of ours and theirs."""
    model: Callable[[Networks], str]
    """The class that reads all of these networks."""
    config: Callable[..., dict[str, Any]]
    """(networks, arrays by path, image_size, pad) -> config.json without model type and class."""
    networks: Callable[[Config], dict[str, Any]]
    """config.json -> all networks that such a file may hold. Raises: ValueError."""
    shapes: Callable[[Networks, Config], Flat]
    """(networks, config.json) -> shapes of our arrays, by path."""
    prefix: str = ""
    """Of the names of the encoder, which files of the encoder alone lack."""
    tied: Mapping[str, str] = field(default_factory=dict)
    """Names that repeat another array where a file has them."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Other spellings that published files have: pattern -> what it stands for."""
    dropped: tuple[str, ...] = ()
    """Patterns of names that are no part of pretraining here: buffers, classifiers."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Keys of config.json that a method decides: the name of its field."""
    ready: Callable[..., tuple[dict[str, Any], Flat]] | None = None
    """(networks, arrays, image_size, pad) -> networks and arrays as the family has them."""
    done: Callable[..., tuple[dict[str, Any], Flat]] | None = None
    """(networks, tensors) -> networks and tensors, before these are read."""


def write(settings: Sequence[Setting], net: Any) -> dict[str, Any]:
    """Keys of config.json for the fields of a network."""
    found = {theirs: getattr(net, ours) for theirs, ours, _ in settings}
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    acts = {theirs for theirs, ours, _ in settings if ours == "activation"}
    return {k: names[v] if k in acts else v for k, v in found.items()}


def read(settings: Sequence[Setting], config: Config) -> dict[str, Any]:
    """Fields of a network for the keys of config.json.

    Raises: ValueError that names a key whose value is of another kind or beyond sense, or an
    activation that our networks lack.
    """
    found = {}
    for theirs, ours, default in settings:
        value = config.get(theirs, default)
        if ours == "activation":
            if not isinstance(value, str) or value not in ACTIVATIONS:
                raise ValueError(
                    f"config.json has {theirs} {value!r}, an activation that ssljax has not: "
                    f"{', '.join(ACTIVATIONS)} can be read"
                )
            value = ACTIVATIONS[value]
        elif isinstance(default, float) and isinstance(value, int) and value is not True:
            value = float(value)
        if type(value) is not type(default):
            raise ValueError(f"config.json has {theirs} {value!r}, not {type(default).__name__}")
        check_number(theirs, value)
        found[ours] = value
    return found


def check_number(key: str, value: Any) -> None:
    """Raises ValueError for a number in config.json that no network has."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least = 0 if isinstance(value, float) or key.endswith("_token_id") else 1
    if not least <= value <= _LARGEST:
        raise ValueError(f"config.json has {key} {value!r}, which no network has")


def check_depth(networks: Networks, arrays: int) -> None:
    """Raises ValueError where a network has more layers than a file has arrays."""
    for name, net in networks.items():
        layers = max(getattr(net, "depth", 0), len(getattr(net, "convs", ())))
        if layers > arrays:
            raise ValueError(
                f"config.json says that {name} has {layers:,} layers, and the file holds "
                f"{arrays:,} arrays"
            )


def demand(config: Config, **wanted: Any) -> None:
    """Raises ValueError where config.json says anything else than `wanted`; it may say nothing."""
    for key, value in wanted.items():
        if key in config and config[key] != value:
            raise ValueError(
                f"config.json has {key} {config[key]!r}, and this network of ssljax is only that "
                f"with {value!r}"
            )


def shapes_of(name: str, module: Any, x: Any, **inputs: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of a network, by path, for such inputs (shapes and dtypes)."""
    params, _ = jax.eval_shape(lambda key: nets.init(module, key, x, **inputs), jax.random.key(0))
    return {f"{name}/{path}": leaf.shape for path, leaf in flatten(params).items()}


def spec(*shape: int, dtype: Any = np.float32) -> jax.ShapeDtypeStruct:
    """An input of such a shape."""
    return jax.ShapeDtypeStruct(shape, dtype)


def matches(patterns: Sequence[str], name: str) -> bool:
    """Whether a name is that of one of the patterns as a whole."""
    return any(re.fullmatch(pattern, name) for pattern in patterns)
