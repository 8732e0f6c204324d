"""The blocks of a vision transformer: attention and feedforward, each behind its norm."""

from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.attention import attend
from ssljax.nets.start import Initializer

NORMAL = nn.initializers.normal(0.02)


def dense(features: int, *, dtype: str, name: str, kernel_init: Initializer = NORMAL) -> nn.Dense:
    """A linear layer of a transformer."""
    return nn.Dense(features, kernel_init=kernel_init, dtype=jnp.dtype(dtype), name=name)


def layer_norm(*, dtype: str, name: str, eps: float = 1e-6) -> nn.LayerNorm:
    """A norm of a transformer."""
    # Two passes: E[x^2] - E[x]^2 loses digits where a row is far from zero.
    return nn.LayerNorm(epsilon=eps, use_fast_variance=False, dtype=jnp.dtype(dtype), name=name)


ACTIVATIONS = {
    "gelu": partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": partial(jax.nn.gelu, approximate=True),
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "relu": jax.nn.relu,
}

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu"]


def check_activation(name: str) -> None:
    """Raises ValueError unless `name` is one of `ACTIVATIONS`."""
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation {name!r}: choose one of {', '.join(ACTIVATIONS)}")


class Attention(nn.Module):
    """Multi-head self-attention, `[B, N, D]` -> `[B, N, D]`.

    Nothing attends to tokens where `valid`, a bool `[B, N]`, is false. With `maps` the result is
    instead how much each token attends to each, `[B, heads, N, N]` float32.
    """

    heads: int
    """Attention heads."""
    dtype: str
    """Compute dtype."""
    causal: bool = False
    """Whether a token attends to itself and earlier ones only."""
    kernel_init: Initializer = NORMAL
    """How kernels start."""

    @nn.compact
    def __call__(
        self, x: jax.Array, valid: jax.Array | None = None, *, maps: bool = False
    ) -> jax.Array:
        linear = partial(dense, dtype=self.dtype, kernel_init=self.kernel_init)
        b, n, d = x.shape
        qkv = linear(3 * d, name="qkv")(x)
        q, k, v = jnp.moveaxis(qkv.reshape(b, n, 3, self.heads, d // self.heads), 2, 0)
        if maps:
            seen = jnp.tri(n, dtype=bool) if self.causal else True
            seen = seen if valid is None else seen & valid[:, None, None]
            logits = jnp.einsum("bqhd,bkhd->bhqk", q, k, preferred_element_type=jnp.float32)
            return jax.nn.softmax(logits * (d // self.heads) ** -0.5, where=seen)
        y = attend(q, k, v, causal=self.causal, seen=valid)
        return linear(d, name="proj")(y.reshape(b, n, d))


class Feedforward(nn.Module):
    """Two linear layers with an activation between, `[B, N, D]` -> `[B, N, D]`."""

    hidden: int
    """Width between the two."""
    dtype: str
    """Compute dtype."""
    activation: str = "gelu"
    """One of `ACTIVATIONS`: the exact GELU."""
    kernel_init: Initializer = NORMAL
    """How kernels start."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        linear = partial(dense, dtype=self.dtype, kernel_init=self.kernel_init)
        y = ACTIVATIONS[self.activation](linear(self.hidden, name="fc1")(x))
        return linear(x.shape[-1], name="fc2")(y)


class TransformerBlock(nn.Module):
    """Attention and feedforward, each behind a LayerNorm and beside a shortcut.

    `valid` and `maps` are those of `Attention`.
    """

    heads: int
    """Attention heads."""
    hidden: int
    """Hidden width of the feedforward part."""
    dtype: str
    """Compute dtype."""
    eps: float = 1e-6
    """Added to the variance in the norms."""
    activation: str = "gelu"
    """Of the feedforward part, one of `ACTIVATIONS`."""
    causal: bool = False
    """Whether a token attends to itself and earlier ones only."""
    kernel_init: Initializer = NORMAL
    """How kernels start."""

    @nn.compact
    def __call__(
        self, x: jax.Array, valid: jax.Array | None = None, *, maps: bool = False
    ) -> jax.Array:
        usual = {"dtype": self.dtype, "kernel_init": self.kernel_init}
        attention = Attention(heads=self.heads, causal=self.causal, name="attn", **usual)
        feedforward = Feedforward(
            hidden=self.hidden, activation=self.activation, name="mlp", **usual
        )
        y = layer_norm(dtype=self.dtype, name="norm1", eps=self.eps)(x)
        y = attention(y, valid, maps=maps)
        if maps:
            return y
        x = x + y
        return x + feedforward(layer_norm(dtype=self.dtype, name="norm2", eps=self.eps)(x))
