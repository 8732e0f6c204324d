"""LSTM over sequences of unequal length: Hochreiter, Schmidhuber, "Long Short-Term Memory", 1997.

Differs from the paper: with forget gates (Gers et al. 2000), as every library has it.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class LSTM(nn.Module):
    """(series `[B, T, C]`, steps bool `[B, T]`) -> features `[B, D]` float32, the mean of the
    states over the real steps; D is width, or twice that in both directions.

    The real steps of a row come first. Raises ValueError for other shapes.
    """

    width: int = 64
    """Numbers in a state."""
    layers: int = 1
    """LSTMs on top of each other."""
    both: bool = True
    """Read every series forwards and backwards."""

    def __call__(self, x: Any, train: bool = False) -> jax.Array:
        h, real = self.states(x, train), x[1][..., None].astype(jnp.float32)
        return jnp.sum(h * real, axis=1) / jnp.maximum(jnp.sum(real, axis=1), 1.0)

    @nn.compact
    def states(self, x: Any, train: bool = False) -> jax.Array:
        """The state after each step, `[B, T, D]` float32: one way it knows nothing later."""
        del train
        series, steps = x
        if series.ndim != 3 or steps.shape != series.shape[:2]:
            raise ValueError(
                f"LSTM takes series [B, T, C] and steps [B, T], not {series.shape} and "
                f"{steps.shape}"
            )
        lengths = jnp.sum(steps.astype(jnp.int32), axis=1)
        h = series.astype(jnp.float32)
        for i in range(self.layers):
            ways = [nn.RNN(nn.OptimizedLSTMCell(self.width), name=f"forward{i}")]
            if self.both:
                cell = nn.OptimizedLSTMCell(self.width)
                back = nn.RNN(cell, reverse=True, keep_order=True, name=f"backward{i}")
                ways.append(back)
            # An RNN gives (carry, outputs) only where it is asked for both.
            found: list[Any] = [way(h, seq_lengths=lengths) for way in ways]
            h = jnp.concatenate(found, axis=-1)
        return h
