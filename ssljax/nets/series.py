"""Convolutions over time series: three in a row (FCN), or modules of three widths (InceptionTime).

FCN: Wang, Yan, Oates, "Time Series Classification from Scratch with Deep Neural Networks", IJCNN
2017, arXiv:1611.06455. InceptionTime: Fawaz et al. 2020, arXiv:1909.04939, one network of its five.

What is padding is 0 before each convolution, counts in no mean of batch norm, and is in no feature:
a row longer than its series gives what the series alone would.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class _Conv(nn.Module):
    """A convolution over real steps, as many steps as before."""

    width: int
    kernel: int

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array) -> jax.Array:
        start = nn.initializers.he_normal()
        conv = nn.Conv(self.width, (self.kernel,), use_bias=False, kernel_init=start, name="conv")
        return conv(jnp.where(real, x, 0.0))


class _Norm(nn.Module):
    """Batch norm over the real steps of all rows."""

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array, train: bool) -> jax.Array:
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, name="norm")
        return norm(x, mask=real)


class FCN(nn.Module):
    """(series [B, T, C], steps bool [B, T]) -> features [B, widths[-1]] float32, the mean over the
    real steps. Raises: ValueError for other shapes."""

    widths: tuple[int, ...] = (128, 256, 128)
    """Channels of each convolution."""
    kernels: tuple[int, ...] = (8, 5, 3)
    """Steps that each sees."""

    def __call__(self, x: Any, train: bool = False) -> jax.Array:
        return _mean(self.states(x, train), x[1])

    @nn.compact
    def states(self, x: Any, train: bool = False) -> jax.Array:
        """What is known around each step, [B, T, D] float32."""
        h, real = _checked(x, "FCN")
        for i, (width, kernel) in enumerate(zip(self.widths, self.kernels, strict=True)):
            h = _Conv(width, kernel, name=f"conv{i}")(h, real)
            h = nn.relu(_Norm(name=f"norm{i}")(h, real, train))
        return h


class InceptionTime(nn.Module):
    """(series [B, T, C], steps bool [B, T]) -> features [B, 4 width] float32, the mean over the
    real steps. Raises: ValueError for other shapes."""

    width: int = 32
    """Channels of each of the four branches of a module, and of its bottleneck."""
    depth: int = 6
    """Modules; around each three of them is a shortcut."""
    kernels: tuple[int, ...] = (40, 20, 10)
    """Steps that the three branches see; the fourth is the largest of three steps."""

    def __call__(self, x: Any, train: bool = False) -> jax.Array:
        return _mean(self.states(x, train), x[1])

    @nn.compact
    def states(self, x: Any, train: bool = False) -> jax.Array:
        """What is known around each step, [B, T, D] float32."""
        h, real = _checked(x, "InceptionTime")
        before = h
        for i in range(self.depth):
            h = nn.relu(self._module(h, real, train, i))
            if i % 3 == 2:
                shortcut = _Conv(h.shape[-1], 1, name=f"shortcut{i}")(before, real)
                shortcut = _Norm(name=f"shortcut_norm{i}")(shortcut, real, train)
                before = h = nn.relu(h + shortcut)
        return h

    def _module(self, x: jax.Array, real: jax.Array, train: bool, i: int) -> jax.Array:
        narrow = x
        if x.shape[-1] > 1:
            narrow = _Conv(self.width, 1, name=f"bottleneck{i}")(x, real)
        parts = [
            _Conv(self.width, kernel, name=f"conv{i}_{kernel}")(narrow, real)
            for kernel in self.kernels
        ]
        # Beside a step that is not there nothing is larger: its number is the least there is.
        least = jnp.where(real, x, jnp.finfo(x.dtype).min)
        largest = nn.max_pool(least, (3,), (1,), "SAME")
        parts.append(_Conv(self.width, 1, name=f"pooled{i}")(largest, real))
        return _Norm(name=f"norm{i}")(jnp.concatenate(parts, axis=-1), real, train)


def _mean(states: jax.Array, steps: jax.Array) -> jax.Array:
    real = steps[..., None].astype(jnp.float32)
    return jnp.sum(states * real, axis=1) / jnp.maximum(jnp.sum(real, axis=1), 1.0)


def _checked(x: Any, network: str) -> tuple[jax.Array, jax.Array]:
    """(series [B, T, C] float32, steps [B, T, 1])."""
    series, steps = x
    if series.ndim != 3 or steps.shape != series.shape[:2]:
        raise ValueError(
            f"{network} takes series [B, T, C] and steps [B, T], not {series.shape} and "
            f"{steps.shape}"
        )
    return series.astype(jnp.float32), steps[..., None]
