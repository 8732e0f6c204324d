"""A target that is one class of K."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssljax.losses.supervised import cross_entropy


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """Outputs are logits [B, K]; a target is a class int [B], or a distribution [B, K]."""

    classes: int

    @property
    def width(self) -> int:
        """Numbers that the network gives for an example."""
        return self.classes

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted."""
        return weight * cross_entropy(outputs, target)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(classes int32 [B], the largest probability [B])."""
        p = self.probabilities(outputs)
        return jnp.argmax(p, axis=-1).astype(jnp.int32), jnp.max(p, axis=-1)

    def probabilities(self, outputs: jax.Array) -> jax.Array:
        """[B, K] float32."""
        return jax.nn.softmax(outputs.astype(jnp.float32), axis=-1)

    def average(self, outputs: jax.Array) -> jax.Array:
        """Outputs whose probabilities are the mean of those of several [E, B, K]."""
        log_p = jax.nn.log_softmax(outputs.astype(jnp.float32), axis=-1)
        return jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(outputs))

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """Of each example, [B]: "accuracy" and "cross_entropy"."""
        hard = target if target.ndim == 1 else jnp.argmax(target, axis=-1)
        right = (jnp.argmax(outputs, axis=-1) == hard).astype(jnp.float32)
        return {"accuracy": right, "cross_entropy": cross_entropy(outputs, target)}
