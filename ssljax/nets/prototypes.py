"""The head of DINO, and what methods with prototypes do to them.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021, arXiv:2104.14294,
appendix C: an MLP with GELU into a narrow bottleneck, there L2-normalised, then a linear layer with
weight normalisation (Salimans, Kingma 2016, arXiv:1602.07868) whose gain is fixed at one. So a
logit is the cosine of a bottleneck feature and a prototype.

Linear layers start with a variance of 1 / inputs, which for the authors' 2048 is their deviation of
0.02; at that deviation a narrow head would start so close to zero that its gradients explode.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

PyTree = Any


class DINOHead(nn.Module):
    """`[..., D]` -> logits `[..., prototypes]` float32.

    Raises: ValueError for fewer than one layer, or for input with fewer than two axes.
    """

    prototypes: int = 65536
    """Width of the output, K."""
    hidden: int = 2048
    """Width of the hidden layers."""
    bottleneck: int = 256
    """Width in front of the prototypes."""
    layers: int = 3
    """Linear layers up to the bottleneck."""
    norm: bool = False
    """Batch norm after each hidden layer, for convolutional encoders."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters, statistics and logits are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if self.layers < 1:
            raise ValueError("DINOHead needs at least one layer")
        if x.ndim < 2:
            raise ValueError(f"DINOHead takes features [B, D], got an array of shape {x.shape}")
        dtype = jnp.dtype(self.dtype)
        for i in range(self.layers):
            last = i == self.layers - 1
            width = self.bottleneck if last else self.hidden
            x = nn.Dense(width, dtype=dtype, name=f"linear_{i}")(x)
            if last:
                break
            if self.norm:
                x = nn.BatchNorm(
                    use_running_average=not train,
                    momentum=0.9,
                    epsilon=1e-5,
                    dtype=dtype,
                    name=f"bn_{i}",
                )(x)
            x = nn.gelu(x, approximate=False)
        return Prototypes(self.prototypes, dtype=self.dtype, name="prototypes")(x)


class Prototypes(nn.Module):
    """Cosines of features and prototypes, `[..., D]` -> `[..., count]` float32."""

    count: int
    """Number of prototypes, K."""
    dtype: str = "float32"
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        w = self.param("kernel", _rows, (x.shape[-1], self.count))
        dtype = jnp.dtype(self.dtype)
        x = _unit(x.astype(jnp.float32), axis=-1).astype(dtype)
        return (x @ _unit(w, axis=0).astype(dtype)).astype(jnp.float32)


def unit_rows(w: jax.Array) -> jax.Array:
    """Prototypes `[K, D]` of length one; a row that has it already comes back bit for bit."""
    square = jnp.sum(w * w, axis=-1, keepdims=True)
    return jnp.where(jnp.abs(square - 1) < 1e-5, w, _unit(w, axis=-1))


def freeze(tree: PyTree, frozen: jax.Array) -> PyTree:
    """`tree` as it is, but without a gradient while `frozen`, a bool scalar, is true."""
    return jax.tree.map(lambda w: jnp.where(frozen, jax.lax.stop_gradient(w), w), tree)


def _rows(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """torch's linear layer: uniform between -1 / sqrt(D) and 1 / sqrt(D)."""
    bound = shape[0] ** -0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def _unit(x: jax.Array, *, axis: int) -> jax.Array:
    square = jnp.sum(x * x, axis=axis, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, 1e-24))
