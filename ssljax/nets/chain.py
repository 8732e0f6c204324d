"""Networks one after the other under their names, such as encoder, projector and predictor.

A chain is a dict of modules in the order in which they run; `params` and `stats` have the same
keys, so `params["encoder"]` is the backbone whatever follows it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import apply, init

PyTree = Any
Chain = Mapping[str, nn.Module]


def init_chain(chain: Chain, key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
    """Fresh (params, stats) of all networks, each made for the output of the one before.

    Args:
      chain: name -> network. key: random key. x: an input `[B, ...]` of the first network; only
        shapes and dtypes are read.
    """
    params: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    for (name, module), k in zip(chain.items(), jax.random.split(key, len(chain)), strict=True):
        params[name], stats[name] = init(module, k, x)
        x = jax.eval_shape(
            lambda p, s, x, module=module: apply(module, p, s, x, train=False)[0],
            params[name],
            stats[name],
            x,
        )
    return params, stats


def apply_chain(
    chain: Chain, params: PyTree, stats: PyTree, x: PyTree, *, train: bool
) -> tuple[jax.Array, PyTree]:
    """Runs all networks of `chain` on x `[B, ...]`.

    Returns: (output of the last, new stats); entries of `stats` that are not in `chain` stay.
    """
    stats = dict(stats)
    for name, module in chain.items():
        x, stats[name] = apply(module, params[name], stats[name], x, train=train)
    return x, stats


def apply_each(
    chain: Chain, params: PyTree, stats: PyTree, views: Sequence[PyTree], *, train: bool
) -> tuple[list[jax.Array], PyTree]:
    """Runs a chain on each of several views `[B, ...]`, so that batch norm never mixes them.

    Returns: (an output for each view, new stats).
    """
    outputs = []
    for x in views:
        y, stats = apply_chain(chain, params, stats, x, train=train)
        outputs.append(y)
    return outputs, stats


def apply_groups(
    chain: Chain, params: PyTree, stats: PyTree, x: jax.Array, *, groups: int
) -> tuple[jax.Array, PyTree]:
    """Runs a chain in training mode with a batch norm for each of `groups` parts of the batch.

    As on that many devices whose batch norm is not synchronised; the running statistics are the
    mean over the groups. Example i belongs to group i // (B / groups).
    Raises: ValueError unless groups divides B.
    """
    if groups < 1 or len(x) % groups:
        raise ValueError(f"a batch of {len(x)} cannot be divided into {groups} groups")
    own = {name: stats[name] for name in chain}
    parts = x.reshape(groups, -1, *x.shape[1:])
    y, moved = jax.vmap(lambda x: apply_chain(chain, params, own, x, train=True))(parts)
    moved = jax.tree.map(lambda s: s.mean(0), moved)
    return y.reshape(len(x), *y.shape[2:]), stats | moved


def apply_crops(
    chain: Chain, params: PyTree, stats: PyTree, crops: Sequence[jax.Array], *, train: bool
) -> tuple[jax.Array, PyTree]:
    """Runs a chain on several crops of each image: the first network once for every size.

    What follows the first network sees the crops of all sizes together, so its batch norm, if it
    has any, averages over all of them, as the authors of SwAV and DINO have it.

    Args:
      crops: `[B, n, s, s, C]` for each size s; n may be 0.
    Returns: (output of the last `[B, V, D]`, V the number of all crops, in order; new stats).
    """
    (name, encoder), *rest = chain.items()
    stats, features = dict(stats), []
    for x in crops:
        b, n = x.shape[:2]
        if n:
            x = x.reshape(b * n, *x.shape[2:])
            y, stats[name] = apply(encoder, params[name], stats[name], x, train=train)
            features.append(y.reshape(b, n, -1))
    return apply_chain(dict(rest), params, stats, jnp.concatenate(features, axis=1), train=train)
