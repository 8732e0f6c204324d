"""A target that is a set of classes: each of K may be in it or not."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssljax.losses.supervised import binary_cross_entropy

_SMALL = 1e-7


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """Outputs are logits [B, K]; a target is [B, K] in [0, 1], 1 for the classes in the set.

    A set is as sure as the class that one is least sure of.
    """

    classes: int

    @property
    def width(self) -> int:
        """Numbers that the network gives for an example."""
        return self.classes

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted; the mean over the classes."""
        return weight * binary_cross_entropy(outputs, target)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(0 or 1 for each class, float32 [B, K]; confidence [B] in [0.5, 1])."""
        p = jax.nn.sigmoid(outputs.astype(jnp.float32))
        return (p >= 0.5).astype(jnp.float32), jnp.min(jnp.maximum(p, 1 - p), axis=-1)

    def probabilities(self, outputs: jax.Array) -> None:
        """None: they are no distribution over K."""

    def average(self, outputs: jax.Array) -> jax.Array:
        """Outputs whose probabilities are the mean of those of several [E, B, K]."""
        p = jnp.mean(jax.nn.sigmoid(outputs.astype(jnp.float32)), axis=0)
        p = jnp.clip(p, _SMALL, 1 - _SMALL)
        return jnp.log(p) - jnp.log1p(-p)

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """Of each example, [B]: "accuracy" (the whole set is right) and "label_accuracy"."""
        right = (outputs >= 0) == (target >= 0.5)
        return {
            "accuracy": jnp.all(right, axis=-1).astype(jnp.float32),
            "label_accuracy": jnp.mean(right.astype(jnp.float32), axis=-1),
        }
