"""A task: what comes in, the network, and what comes out. Everything about self-training asks it.

A pseudo-label is a target with a weight, in the same form as the ground truth, so that what makes,
chooses and refines labels is written once for all tasks.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.tasks.inputs import Inputs
from ssljax.tasks.target import Target, Targets

Batch = dict[str, jax.Array]
_NETWORKS = 2**31 - 1  # number of the keys for the dropout of networks, beyond any place of a mask


@dataclass(frozen=True, kw_only=True)
class Task:
    """Inputs, a network and a kind of target."""

    inputs: Inputs
    """From a batch to what the encoder takes (`tasks.inputs`)."""
    encoder: Any
    """The network that pretraining can give: features [B, D], and what `target.reads` names."""
    target: Target
    """What the network is asked for."""
    hidden: tuple[int, ...] = ()
    """Widths of hidden layers of the head."""
    dropout: float = 0.0
    """Share of what the encoder gives that is left out in training."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must be at least 0 and below 1")
        if self.target is not None and self.dropout and not self.target.drops:
            raise ValueError(
                f"dropout of a Task would leave out parameters of {type(self.target).__name__}: "
                "set that of its networks, such as encoder.dropout"
            )
        if self.target is not None and not hasattr(self.encoder, self.target.reads):
            raise ValueError(
                f"{type(self.target).__name__} reads {self.target.reads!r} of the encoder, and "
                f"{type(self.encoder).__name__} has no such method: use another encoder"
            )

    @property
    def net(self) -> dict[str, Any]:
        """The networks, by name, in their order."""
        return {"encoder": self.encoder, "head": self.target.head(self.hidden)}

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        """Fresh (params, stats) of `net`."""
        x, (first, second) = self.inputs(batch, None), jax.random.split(key)
        params, stats = {}, {}
        params["encoder"], stats["encoder"] = nets.init(self.encoder, first, x)
        h = jax.eval_shape(lambda p, s, x: self._read(p, s, x, None)[0], params, stats, x)
        h = self.target.asked(h, batch, None)
        params["head"], stats["head"] = nets.init(self.target.head(self.hidden), second, h)
        return params, stats

    def started(self, params: Any) -> Any:
        """Networks of the task by name from those of a pretraining, or of a task: the encoder, and
        a head all of whose `networks` are there."""
        names = self.target.networks
        found = {name: params[name] for name in ("encoder", "head") if name in params}
        if names and names.keys() <= params.keys():
            found["head"] = {name: params[name] for name in names}
        return found

    def _read(
        self, params: Any, stats: Any, x: Any, key: jax.Array | None, *, train: bool = False
    ) -> tuple[Any, Any]:
        """What the head reads of the encoder, and its new stats."""
        method = self.target.reads
        own = params["encoder"], stats["encoder"]
        return nets.apply(self.encoder, *own, x, train=train, rngs=_drops(key), method=method)

    def outputs(
        self,
        params: Any,
        stats: Any,
        batch: Batch,
        *,
        key: jax.Array | None,
        train: bool,
        target: Targets | None = None,
    ) -> tuple[Any, Any]:
        """(outputs, a pytree of arrays [B, ...] float32; new stats).

        key: for random views and dropout; None: the examples as they are.
        train: whether batch norm uses the batch, and networks drop out what their fields say.
        target: what the head is told (`Target.asked`); None: it answers alone.
        """
        to_view, to_drop = (None, None) if key is None else jax.random.split(key)
        first, second = (None, None)
        if to_drop is not None:  # whose own numbers decide what is dropped of the features
            first, second = jax.random.split(jax.random.fold_in(to_drop, _NETWORKS))
        x = self.inputs(batch, to_view)
        h, encoder = self._read(params, stats, x, first, train=train)
        if to_drop is not None and self.dropout:
            h = _dropped(h, to_drop, self.dropout)
        h, head = self.target.asked(h, batch, target), self.target.head(self.hidden)
        own = params["head"], stats["head"]
        y, head_stats = nets.apply(head, *own, h, train=train, rngs=_drops(second))
        y = self.target.complete(y, batch)
        return y, stats | {"encoder": encoder, "head": head_stats}

    def moved(
        self, batch: Batch, target: Targets, weight: jax.Array, *, key: jax.Array
    ) -> tuple[Targets, jax.Array]:
        """(targets, weights) of the view that `outputs` draws with the same key."""
        if type(self.target).moved is Target.moved:
            return target, weight
        transform = self.inputs.transform(batch, jax.random.split(key)[0])
        return (
            (target, weight) if transform is None else self.target.moved(target, weight, transform)
        )

    def features(self, params: Any, stats: Any, batch: Batch) -> jax.Array:
        """[B, D] of the encoder, the examples as they are."""
        x = self.inputs(batch, None)
        h, _ = nets.apply(self.encoder, params["encoder"], stats["encoder"], x, train=False)
        return h.reshape(len(h), -1)

    def loss(self, outputs: Any, target: Targets, weight: jax.Array) -> jax.Array:
        """Of each example, [B], weighted."""
        return self.target.loss(outputs, target, weight)

    def pseudo(self, outputs: Any) -> tuple[Targets, jax.Array]:
        """(targets in the form of the ground truth, confidence in [0, 1], [B] or of the parts)."""
        return self.target.pseudo(outputs)

    def metrics(self, outputs: Any, target: Targets) -> dict[str, jax.Array]:
        """Numbers of each example, [B]."""
        return self.target.metrics(outputs, target)


def _drops(key: jax.Array | None) -> dict[str, jax.Array] | None:
    """Keys for the dropout of a network."""
    return None if key is None else {"dropout": key}


def _dropped(h: Any, key: jax.Array, share: float) -> Any:
    """Numbers left out at random; what is no float is left alone."""
    leaves, tree = jax.tree.flatten(h)
    keys = [key] if len(leaves) == 1 else jax.random.split(key, len(leaves))

    def drop(x: jax.Array, key: jax.Array) -> jax.Array:
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        return jnp.where(jax.random.bernoulli(key, 1 - share, x.shape), x / (1 - share), 0.0)

    return tree.unflatten([drop(x, k) for x, k in zip(leaves, keys, strict=True)])
