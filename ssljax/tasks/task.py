"""A task: what comes in, the network, and what comes out. Everything about self-training asks it.

A pseudo-label is a target with a weight, in the same form as the ground truth, so that what makes,
chooses and refines labels is written once for all tasks.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.nets import MLP

Batch = dict[str, jax.Array]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Inputs, a network and a kind of target."""

    inputs: Any
    """(batch, key or None) -> what the encoder takes (`tasks.inputs`)."""
    encoder: Any
    """The network up to features [B, D]."""
    target: Any
    """OneOf, AnyOf or Value: width, loss, pseudo, probabilities, average and metrics."""
    hidden: tuple[int, ...] = ()
    """Hidden layers between the features and the outputs."""
    dropout: float = 0.0
    """Share of the features that are left out in training."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must be at least 0 and below 1")

    @property
    def net(self) -> dict[str, Any]:
        """The networks, by name, in their order."""
        return {"encoder": self.encoder, "head": MLP(widths=(*self.hidden, self.target.width))}

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        """Fresh (params, stats) of `net`."""
        return nets.init_chain(self.net, key, self.inputs(batch, None))

    def outputs(
        self, params: Any, stats: Any, batch: Batch, *, key: jax.Array | None, train: bool
    ) -> tuple[jax.Array, Any]:
        """(outputs [B, width] float32, new stats).

        key: for random views and dropout; None: the examples as they are.
        train: whether batch norm uses the batch.
        """
        to_view, to_drop = (None, None) if key is None else jax.random.split(key)
        x = self.inputs(batch, to_view)
        encoder = {"encoder": self.encoder}
        h, stats = nets.apply_chain(encoder, params, stats, x, train=train)
        if to_drop is not None and self.dropout:
            kept = jax.random.bernoulli(to_drop, 1 - self.dropout, h.shape)
            h = jnp.where(kept, h / (1 - self.dropout), 0.0)
        head = {"head": self.net["head"]}
        y, stats = nets.apply_chain(head, params, stats, h, train=train)
        return y, stats

    def features(self, params: Any, stats: Any, batch: Batch) -> jax.Array:
        """[B, D] of the encoder, the examples as they are."""
        x = self.inputs(batch, None)
        h, _ = nets.apply(self.encoder, params["encoder"], stats["encoder"], x, train=False)
        return h.reshape(len(h), -1)

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """Of each example, [B], weighted."""
        return self.target.loss(outputs, target, weight)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(targets in the form of the ground truth, confidence [B] in [0, 1])."""
        return self.target.pseudo(outputs)

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """Numbers of each example, [B]."""
        return self.target.metrics(outputs, target)
