"""FCOS: a feature pyramid on a ResNet, and a head that says of each place which box it lies in.

Tian, Shen, Chen, He, "FCOS: Fully Convolutional One-Stage Object Detection", 2019,
arXiv:1904.01355; Lin et al., "Feature Pyramid Networks for Object Detection", 2017,
arXiv:1612.03144.

    P5 = out(in(C5)),  P4 = out(in(C4) + up(in(C5))),  P3 likewise,  P6 = conv(P5),
    P7 = conv(relu(P6));  head, the same on each level: (conv, group norm, ReLU) * n, twice

As torchvision's `fcos_resnet50_fpn`, whose parameters carry the same names here with _ for a point:
P6 is made of P5, the centerness lies beside the box, and distances go through a ReLU.
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

STRIDES = (8, 16, 32, 64, 128)
"""Of the levels P3 to P7, for a backbone whose stages have strides 4, 8, 16 and 32."""


_SMALL = nn.initializers.normal(0.01)
_FAN_IN = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")


def _conv(
    width: int,
    kernel: int,
    name: str,
    *,
    stride: int = 1,
    bias: float = 0.0,
    start: nn.initializers.Initializer = _SMALL,
) -> nn.Conv:
    """A convolution that pads as torch does it."""
    pad = kernel // 2
    return nn.Conv(
        width,
        (kernel, kernel),
        strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        kernel_init=start,
        bias_init=nn.initializers.constant(bias),
        name=name,
    )


class Pyramid(nn.Module):
    """[B, h, w, C] of the last three stages, fine to coarse -> five levels [B, h', w', width]."""

    width: int = 256
    """Channels of every level."""

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array]) -> list[jax.Array]:
        def conv(kernel: int, name: str, stride: int = 1) -> nn.Conv:
            return _conv(self.width, kernel, name, stride=stride, start=_FAN_IN)

        levels: list[jax.Array] = []
        above = None
        for i in reversed(range(len(maps))):
            inner = conv(1, f"inner_blocks_{i}_0")(maps[i])
            above = inner if above is None else inner + nearest(above, inner.shape[1:3])
            levels.insert(0, conv(3, f"layer_blocks_{i}_0")(above))
        levels.append(conv(3, "extra_blocks_p6", 2)(levels[-1]))
        levels.append(conv(3, "extra_blocks_p7", 2)(nn.relu(levels[-1])))
        return levels


def nearest(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """x [B, h, w, C] at [B, *shape, C], each place that which torch's "nearest" takes."""
    rows, columns = (jnp.arange(n) * old // n for n, old in zip(shape, x.shape[1:3], strict=True))
    return x[:, rows][:, :, columns]


class Tower(nn.Module):
    """Convolutions with group norm and ReLU, the same on every level."""

    width: int
    convolutions: int
    groups: int
    outputs: tuple[tuple[str, int, float], ...]
    """Name, channels and bias of what is read off the last of them."""

    @nn.compact
    def __call__(self, levels: Sequence[jax.Array]) -> list[list[jax.Array]]:
        """For each of the outputs [B, h, w, channels] by level."""
        convs = [_conv(self.width, 3, f"conv_{3 * i}") for i in range(self.convolutions)]
        norms = [
            nn.GroupNorm(num_groups=self.groups, epsilon=1e-5, name=f"conv_{3 * i + 1}")
            for i in range(self.convolutions)
        ]
        ends = [_conv(n, 3, name, bias=bias) for name, n, bias in self.outputs]
        found: list[list[jax.Array]] = [[] for _ in ends]
        for x in levels:
            for conv, norm in zip(convs, norms, strict=True):
                x = nn.relu(norm(conv(x)))
            for values, end in zip(found, ends, strict=True):
                values.append(end(x))
        return found


class FCOS(nn.Module):
    """Pyramid and head: feature maps of the last three stages -> {"logits": [B, L, K] of the
    classes, "reach": [B, L, 4], distances to left, top, right and bottom in strides, at least 0,
    "centre": [B, L], logits of the centerness}, float32.

    The L places are those of all levels, fine to coarse, row by row.
    """

    classes: int
    """How many classes there are, K."""
    width: int = 256
    """Channels of the pyramid and the head."""
    convolutions: int = 4
    """Convolutions before each of the two outputs."""
    groups: int = 32
    """Groups of the group norm; they divide the width."""
    prior: float = 0.01
    """The probability of every class at first: most places lie in no box."""

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array], train: bool = False) -> dict[str, jax.Array]:
        del train  # group norm is the same in training
        if self.width % self.groups:
            raise ValueError(
                f"FCOS of width {self.width} has {self.groups} groups, which do not divide it"
            )
        levels = Pyramid(width=self.width, name="fpn")(maps[-3:])
        shared: dict[str, Any] = dict(
            width=self.width, convolutions=self.convolutions, groups=self.groups
        )
        rare = math.log(self.prior / (1 - self.prior))
        (logits,) = Tower(
            **shared, outputs=(("cls_logits", self.classes, rare),), name="classification_head"
        )(levels)
        sides = (("bbox_reg", 4, 0.0), ("bbox_ctrness", 1, 0.0))
        reach, centre = Tower(**shared, outputs=sides, name="regression_head")(levels)
        return {
            "logits": _places(logits),
            "reach": nn.relu(_places(reach)),
            "centre": _places(centre)[..., 0],
        }


def _places(levels: Sequence[jax.Array]) -> jax.Array:
    """[B, h, w, C] by level -> [B, L, C]."""
    return jnp.concatenate([x.reshape(len(x), -1, x.shape[-1]) for x in levels], axis=1)
