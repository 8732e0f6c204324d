"""CIE Lab, in which colours that look equally different are equally far apart.

    linear = ((v + 0.055) / 1.055)^2.4 above v = 0.04045, else v / 12.92           (IEC 61966-2-1)
    XYZ = M linear,    f(t) = t^(1/3) above (6/29)^3, else t / (3 (6/29)^2) + 4/29
    L = 116 f(Y / Yn) - 16,    a = 500 (f(X / Xn) - f(Y / Yn)),    b = 200 (f(Y / Yn) - f(Z / Zn))

White is D65 seen by the 2 degree observer, (0.95047, 1, 1.08883), as in scikit-image. L lies in
[0, 100]; a (green to red) and b (blue to yellow) are within about 110 of zero.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.views.color import normalize, to_float

_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_STEP = 6 / 29


def rgb_to_lab(image: jax.Array) -> jax.Array:
    """uint8, or float in [0, 1], [..., 3] -> Lab [..., 3]."""
    rgb = to_float(image)
    # A power has an infinite slope at zero, also in the branch that is not taken.
    high = ((jnp.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    linear = jnp.where(rgb > 0.04045, high, rgb / 12.92)
    scaled = jnp.array([[m / w for m in row] for row, w in zip(_XYZ, _WHITE, strict=True)])
    t = jnp.einsum("...c,xc->...x", linear, scaled, precision=jax.lax.Precision.HIGHEST)
    f = jnp.where(t > _STEP**3, jnp.cbrt(jnp.maximum(t, _STEP**3)), t / (3 * _STEP**2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab: jax.Array) -> jax.Array:
    """The inverse, [..., 3] -> float in [0, 1]; colours that no screen has are clipped."""
    y = (lab[..., 0] + 16) / 116
    f = jnp.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    t = jnp.where(f > _STEP, f**3, 3 * _STEP**2 * (f - 4 / 29)) * jnp.array(_WHITE)
    inverse = jnp.linalg.inv(jnp.array(_XYZ))
    linear = jnp.einsum("...x,cx->...c", t, inverse, precision=jax.lax.Precision.HIGHEST)
    linear = jnp.clip(linear, 0.0, 1.0)
    high = 1.055 * jnp.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return jnp.clip(jnp.where(linear > 0.0031308, high, 12.92 * linear), 0.0, 1.0)


@functools.cache
def ab_bins(grid: int = 10) -> tuple[tuple[float, float], ...]:
    """Centres (a, b), multiples of `grid`, of all cells that hold colours of a screen, row by row.

    In plain Python, once: the surface of the RGB cube is enough, for what lies inside has the same
    a and b as something on it. 260 cells for a grid of 10; the list of Zhang et al. has 313, with
    cells around the border that no colour falls into.
    """
    found = set()
    steps = [3 * i / 255 for i in range(86)]
    linear = [((v + 0.055) / 1.055) ** 2.4 if v > 0.04045 else v / 12.92 for v in steps]
    for (p, q), end, place in itertools.product(
        itertools.product(linear, repeat=2), (0.0, 1.0), range(3)
    ):
        rgb = (*(p, q)[:place], end, *(p, q)[place:])
        t = [
            sum(m * v for m, v in zip(row, rgb, strict=True)) / w
            for row, w in zip(_XYZ, _WHITE, strict=True)
        ]
        x, y, z = (v ** (1 / 3) if v > _STEP**3 else v / (3 * _STEP**2) + 4 / 29 for v in t)
        found.add((round(500 * (x - y) / grid), round(200 * (y - z) / grid)))
    return tuple((float(grid * a), float(grid * b)) for a, b in sorted(found))


@dataclass(frozen=True, kw_only=True)
class GreyView:
    """A view of an image, of which only the lightness is left: L / 100 in all three channels.

    It is normalised as the view inside normalises colours. Raises: ValueError for grey images.
    """

    view: Any

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """uint8 or float [H, W, 3] -> float32 [size, size, 3]."""
        return self.grey(self.colour(self.view(key, _coloured(image))))

    def plain(self, image: jax.Array) -> jax.Array:
        """The view for evaluation: [..., H, W, 3] -> float32 [..., size, size, 3]."""
        return self.grey(self.colour(self.view.plain(_coloured(image))))

    @property
    def weak(self) -> "GreyView":
        """The lightness of the weak view inside."""
        return GreyView(view=self.view.weak)

    def colour(self, x: jax.Array) -> jax.Array:
        """Lab [..., 3] of what the view inside made of an image."""
        return rgb_to_lab(self.view.denormalize(x))

    def grey(self, lab: jax.Array) -> jax.Array:
        """What an encoder sees of Lab [..., 3]: normalised lightness [..., 3]."""
        lightness = jnp.repeat(lab[..., :1] / 100, 3, axis=-1)
        return normalize(lightness, mean=self.view.mean, std=self.view.std)

    def denormalize(self, images: jax.Array) -> jax.Array:
        """For pictures: values in [0, 1]."""
        return self.view.denormalize(images)

    @property
    def size(self) -> int:
        return self.view.size

    @property
    def mean(self) -> tuple[float, ...]:
        return self.view.mean

    @property
    def std(self) -> tuple[float, ...]:
        return self.view.std


def _coloured(image: jax.Array) -> jax.Array:
    if image.shape[-1] != 3:
        raise ValueError(
            f"images with {image.shape[-1]} channel(s) have no colours: use RGB images"
        )
    return image
