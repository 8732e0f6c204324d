"""Two towers into one space: what methods that learn from pairs share (CLIP, SigLIP).

A tower reads some leaves of a batch, sees them through a view, and runs a chain of networks: an
encoder, and maybe a projector. One leaf comes to the encoder as an array, several as a dict.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ssljax.nets.apply import apply
from ssljax.nets.chain import Chain, PyTree, init_chain

Batch = Mapping[str, jax.Array]


class Tower(NamedTuple):
    """One side of a pair."""

    chain: Chain
    """Its networks by name, in the order in which they run."""
    reads: tuple[str, ...]
    """The leaves of a batch that it reads; the first one gives it its name."""
    view: Any = None
    """What the first leaf is seen through: view(key, example) in training, and view.plain(batch)
    else. None: as it is."""
    locked: bool = False
    """Its encoder stays as it is (LiT): no gradient; no dropout, and batch norm by its running
    statistics, in all of the tower."""

    @property
    def name(self) -> str:
        """The leaf that it reads first."""
        return self.reads[0]


def two_towers(method: Any) -> tuple[Tower, Tower]:
    """The towers of a method with the fields encoder, projector, view and reads, the same with
    partner_, and locked, which names one of them or none.
    """
    first = {"encoder": method.encoder, "projector": method.projector}
    second = {"partner": method.partner, "partner_projector": method.partner_projector}
    first, second = ({k: v for k, v in c.items() if v is not None} for c in (first, second))
    return (
        Tower(first, method.reads, method.view, method.locked == "encoder"),
        Tower(second, method.partner_reads, method.partner_view, method.locked == "partner"),
    )


def tower_inputs(tower: Tower, batch: Batch) -> PyTree:
    """What the encoder of a tower reads of a batch outside training."""
    return _inputs(tower, batch, None)


def init_towers(towers: tuple[Tower, ...], key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
    """Fresh (params, stats) of the networks of all towers.

    Raises: ValueError where the batch lacks a leaf, or two towers have the same name.
    """
    names = [tower.name for tower in towers]
    if len(set(names)) < len(names):
        raise ValueError(f"both towers read {names[0]!r}: pairs are of two different leaves")
    params: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    for tower, k in zip(towers, jax.random.split(key, len(towers)), strict=True):
        missing = [leaf for leaf in tower.reads if leaf not in batch]
        if missing:
            raise ValueError(
                f"this method reads {', '.join(missing)}, and the data has only "
                f"{', '.join(sorted(batch))}: choose a reader of pairs, or what its towers read"
            )
        made = init_chain(tower.chain, k, _inputs(tower, batch, None))
        params, stats = params | made[0], stats | made[1]
    return params, stats


def run_towers(
    towers: tuple[Tower, ...],
    params: PyTree,
    stats: PyTree,
    batch: Batch,
    key: jax.Array | None = None,
) -> tuple[dict[str, jax.Array], PyTree]:
    """({name of a tower: [B, D]}, new stats); towers whose leaves are not all there are left out.

    key: draws the views of training; None: the plain view, and nothing is trained.
    """
    found: dict[str, jax.Array] = {}
    stats = dict(stats)
    keys = [None] * len(towers) if key is None else jax.random.split(key, len(towers))
    for tower, k in zip(towers, keys, strict=True):
        if not set(tower.reads) <= set(batch):
            continue
        key_view, key_net = (None, None) if k is None else jax.random.split(k)
        key_net = None if tower.locked else key_net
        y = _inputs(tower, batch, key_view)
        for i, (name, module) in enumerate(tower.chain.items()):
            own = jax.lax.stop_gradient(params[name]) if tower.locked and not i else params[name]
            rngs = None if key_net is None else {"dropout": jax.random.fold_in(key_net, i)}
            train = key_net is not None
            y, stats[name] = apply(module, own, stats[name], y, train=train, rngs=rngs)
        found[tower.name] = y
    return found, stats


def _inputs(tower: Tower, batch: Batch, key: jax.Array | None) -> PyTree:
    leaves = {leaf: batch[leaf] for leaf in tower.reads}
    first = leaves[tower.name]
    if tower.view is None:
        pass
    elif key is None:
        leaves[tower.name] = tower.view.plain(first)
    else:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(first)))
        leaves[tower.name] = jax.vmap(tower.view)(keys, first)
    return leaves if len(leaves) > 1 else leaves[tower.name]
