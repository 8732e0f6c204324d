"""Wide residual networks as semi-supervised learning has them: WRN-28-2 for 32x32 images.

Zagoruyko, Komodakis, "Wide Residual Networks", 2016, arXiv:1605.07146; details as in the code of
Oliver et al. 2018, arXiv:1804.09170, which MixMatch, FixMatch and their successors share.

    h <- s(h) + conv(act(bn(conv(act(bn(h))))))

Batch norm and activation come first. s is the identity, or a 1x1 convolution where the shape
changes; the very first block activates what goes into s as well. The activation is a leaky ReLU of
slope 0.1; batch norm has an epsilon of 0.001 and a running average with decay 0.999.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images
from ssljax.nets.resnet import _conv


class WideResNet(nn.Module):
    """Images `[B, H, W, C]` -> features `[B, 64 * widen]` float32. Raises ValueError for others."""

    depth: int = 28
    """6 n + 4 layers."""
    widen: int = 2
    """Channels in units of 16, 32, 64."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.maps(x, train).mean((1, 2))

    @nn.compact
    def maps(self, x: jax.Array, train: bool = False) -> jax.Array:
        """What is pooled into the features: `[B, h, w, D]` float32."""
        check_images(x, "WideResNet")
        if self.depth < 10 or (self.depth - 4) % 6 or self.widen < 1:
            raise ValueError(
                f"WideResNet has no depth {self.depth} with widen {self.widen}: depths are 10, 16, "
                "22, 28, ..."
            )

        def act(x: jax.Array, name: str) -> jax.Array:
            norm = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.999,
                epsilon=1e-3,
                dtype=jnp.dtype(self.dtype),
                name=name,
            )
            return nn.leaky_relu(norm(x), 0.1)

        x = _conv(16, 3, dtype=self.dtype, name="conv1")(x)
        for stage in range(3):
            width = 16 * self.widen * 2**stage
            for i in range((self.depth - 4) // 6):
                name, stride = f"layer{stage + 1}_{i}", 2 if stage > 0 and i == 0 else 1
                h = act(x, f"{name}_bn1")
                if x.shape[-1] != width or stride > 1:
                    start = h if stage == i == 0 else x
                    x = _conv(width, 1, stride=stride, dtype=self.dtype, name=f"{name}_skip")(start)
                h = _conv(width, 3, stride=stride, dtype=self.dtype, name=f"{name}_conv1")(h)
                h = act(h, f"{name}_bn2")
                x = x + _conv(width, 3, dtype=self.dtype, name=f"{name}_conv2")(h)
        return act(x, "bn").astype(jnp.float32)
