"""Projector and predictor heads: linear, batch norm, ReLU, once a layer, then a last linear layer.

What the papers use, with the fields that say it (widths apart):

    SimCLR        projector   output_norm=True, output_bias=False
    BYOL          both heads  output_bias=False
    SimSiam       projector   hidden_bias=False, output_bias=False,
                              output_norm=True, output_affine=False
                  predictor   hidden_bias=False
    Barlow Twins  projector   hidden_bias=False, output_bias=False
    VICReg        expander    output_bias=False
    MoCo v2       projector   norm=False
    MSN           projector   activation="gelu"

Linear layers start as torch's, weights and biases uniform in +-1 / sqrt(inputs), which is what most
authors ran. BYOL's JAX code starts with deviations of 1 / sqrt(inputs) and biases of zero, SimCLR's
with deviations of 0.01, USB's classifiers with Xavier's. Running variances are averages of biased
ones, as in JAX and TensorFlow; torch's are unbiased, larger by the factor n / (n - 1) of n values.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.start import uniform_bias, uniform_kernel


class MLP(nn.Module):
    """`[..., D]` -> `[..., widths[-1]]` float32. Batch norm reduces over all axes but the last.

    Raises: ValueError for input with fewer than two axes, or for empty widths.
    """

    widths: tuple[int, ...]
    """Output width of each linear layer; the last is that of the head."""
    norm: bool = True
    """Batch norm after each hidden layer."""
    input_norm: bool = False
    """Batch norm before the first layer."""
    activation: Literal["relu", "gelu", "elu", "prelu"] = "relu"
    """After the batch norm of each hidden layer; GELU is the exact one, PReLU has one slope."""
    output_norm: bool = False
    """Batch norm after the last layer."""
    output_affine: bool = True
    """Whether the batch norm of the output has a scale and a bias."""
    hidden_bias: bool = True
    """Bias in the hidden linear layers."""
    output_bias: bool = True
    """Bias in the last linear layer."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if not self.widths:
            raise ValueError("MLP needs at least one layer: widths=(2048, 128)")
        if x.ndim < 2:
            raise ValueError(f"MLP takes features [B, D], got an array of shape {x.shape}")
        if self.activation not in ("relu", "gelu", "elu", "prelu"):
            raise ValueError(f"MLP has no activation {self.activation!r}: relu, gelu, elu or prelu")
        dtype = jnp.dtype(self.dtype)

        def norm(x: jax.Array, name: str, affine: bool = True) -> jax.Array:
            return nn.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                epsilon=1e-5,
                use_scale=affine,
                use_bias=affine,
                dtype=dtype,
                name=name,
            )(x)

        if self.input_norm:
            x = norm(x, "bn_input")
        for i, width in enumerate(self.widths):
            last = i == len(self.widths) - 1
            bias = self.output_bias if last else self.hidden_bias
            x = nn.Dense(
                width,
                use_bias=bias,
                kernel_init=uniform_kernel,
                bias_init=uniform_bias(x.shape[-1]),
                dtype=dtype,
                name=f"linear_{i}",
            )(x)
            if self.output_norm if last else self.norm:
                x = norm(x, f"bn_{i}", self.output_affine or not last)
            if not last:
                x = self._activate(x, f"slope_{i}")
        return x.astype(jnp.float32)

    def _activate(self, x: jax.Array, name: str) -> jax.Array:
        if self.activation == "prelu":
            slope = self.param(name, nn.initializers.constant(0.25), ())
            return jnp.where(x >= 0, x, slope.astype(x.dtype) * x)
        return (
            nn.gelu(x, approximate=False)
            if self.activation == "gelu"
            else getattr(nn, self.activation)(x)
        )
