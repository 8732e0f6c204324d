"""A target that is a number: the network says which, and how sure it is of it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssljax.losses.supervised import LOG_VAR, gaussian_nll


@dataclass(frozen=True, kw_only=True)
class Value:
    """Outputs are mean and log variance [B, 2] of the standardised value; a target is float [B].

    Confidence is 1 / (1 + variance): 1 where the network is certain, 1/2 where it knows no more
    than the spread of the targets.
    """

    mean: float = 0.0
    """Of the targets in training."""
    std: float = 1.0
    """Spread of the targets in training."""

    def __post_init__(self) -> None:
        if self.std <= 0:
            raise ValueError(f"the spread of the targets must be above 0, not {self.std}")

    @property
    def width(self) -> int:
        """Numbers that the network gives for an example."""
        return 2

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted."""
        return weight * gaussian_nll(outputs[:, 0], outputs[:, 1], (target - self.mean) / self.std)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(values float32 [B], confidence [B])."""
        variance = jnp.exp(jnp.clip(outputs[:, 1].astype(jnp.float32), -LOG_VAR, LOG_VAR))
        value = outputs[:, 0].astype(jnp.float32) * self.std + self.mean
        return value, 1 / (1 + variance)

    def probabilities(self, outputs: jax.Array) -> None:
        """None: there are no classes."""

    def average(self, outputs: jax.Array) -> jax.Array:
        """Mean and variance of the mixture of several [E, B, 2]: unsure where they disagree."""
        outputs = outputs.astype(jnp.float32)
        means, variances = outputs[..., 0], jnp.exp(jnp.clip(outputs[..., 1], -LOG_VAR, LOG_VAR))
        variance = jnp.mean(variances, axis=0) + jnp.var(means, axis=0)
        return jnp.stack([jnp.mean(means, axis=0), jnp.log(variance)], axis=-1)

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """Of each example, [B]: "absolute_error" and "squared_error", in units of the target."""
        error = self.pseudo(outputs)[0] - target.astype(jnp.float32)
        return {"absolute_error": jnp.abs(error), "squared_error": error**2}
