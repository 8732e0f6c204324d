"""Weak and strong views of semi-supervised learning: shift and flip; RandAugment and Cutout.

Sohn et al. 2020, "FixMatch", arXiv:2001.07685, appendix D: the weak view is mirrored and moved by
up to an eighth of the image, whose border is reflected. The strong view is a weak one to which two
operations of table 12 are applied, drawn anew for each image with a strength uniform in their range
(Cubuk et al. 2019, "RandAugment", arXiv:1909.13719), and then Cutout: a grey square of up to half
the image at a random place.

The operations are those of Pillow, on whole values 0 to 255 and with its rounding, as pure
functions of [H, W, C]; a warp takes the nearest pixel and is black outside. Each image picks its
operation by `lax.switch`, which under `vmap` computes all of them: for small images that costs less
than the network. Cutout differs from the authors' code in that the square is cut at the border
around its centre, not moved.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import jax
import jax.numpy as jnp

from ssljax.views import color, geometry
from ssljax.views.image import CIFAR_MEAN, CIFAR_STD
from ssljax.views.of_papers import plain_only

_GREY = 127.0  # of the square that Cutout leaves


def autocontrast(x: jax.Array) -> jax.Array:
    """Stretches each channel of [H, W, C] to 0 ... 255."""
    low, high = jnp.min(x, axis=(0, 1)), jnp.max(x, axis=(0, 1))
    scale = 255.0 / jnp.where(high > low, high - low, 255.0)
    stretched = jnp.floor(jnp.clip((x - low) * scale + 1e-4, 0.0, 255.0))
    return jnp.where(high > low, stretched, x)


def equalize(x: jax.Array) -> jax.Array:
    """Makes the histogram of each channel of [H, W, C] as flat as a table of values can."""

    def channel(values: jax.Array) -> jax.Array:
        values = values.astype(jnp.int32)
        counts = jnp.zeros(256, jnp.int32).at[values].add(1)
        step = (values.size - counts[jnp.max(values)]) // 255
        below = jnp.cumsum(counts) - counts
        table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
        return jnp.where(step > 0, table[values], values).astype(jnp.float32)

    return jax.vmap(channel, in_axes=-1, out_axes=-1)(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def posterize(x: jax.Array, bits: jax.Array) -> jax.Array:
    """Keeps the highest `bits` of the eight."""
    step = 2.0 ** (8.0 - jnp.floor(bits))
    return jnp.floor(x / step) * step


def solarize(x: jax.Array, threshold: jax.Array) -> jax.Array:
    """Inverts values from `threshold` (0 to 256) on."""
    return jnp.where(x < threshold, x, 255.0 - x)


def brightness(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Towards black: factor 0 is black, 1 the image."""
    return _blend(jnp.zeros_like(x), x, factor)


def contrast(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Towards the mean grey of the image."""
    return _blend(jnp.floor(jnp.mean(_grey(x)) + 0.5), x, factor)


def saturation(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Towards grey ("color" in Pillow)."""
    return x if x.shape[-1] == 1 else _blend(_grey(x), x, factor)


def sharpness(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Towards a smoothed image, whose border pixels are not smoothed."""
    around = sum(
        jnp.roll(x, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    )
    smooth = jnp.floor((around + 5.0 * x) / 13.0 + 0.5)
    inner = jnp.zeros(x.shape[:2], bool).at[1:-1, 1:-1].set(True)
    return _blend(jnp.where(inner[..., None], smooth, x), x, factor)


def rotate(x: jax.Array, degrees: jax.Array) -> jax.Array:
    """Counter-clockwise about the centre."""
    height, width = x.shape[:2]
    angle = -jnp.deg2rad(degrees)
    c, s = jnp.cos(angle), jnp.sin(angle)
    left, top = width / 2, height / 2
    return _warp(x, (c, s, left - c * left - s * top), (-s, c, top + s * left - c * top))


def shear_x(x: jax.Array, slope: jax.Array) -> jax.Array:
    """Row y moves by -slope y."""
    return _warp(x, (1.0, slope, 0.0), (0.0, 1.0, 0.0))


def shear_y(x: jax.Array, slope: jax.Array) -> jax.Array:
    """Column x moves by -slope x."""
    return _warp(x, (1.0, 0.0, 0.0), (slope, 1.0, 0.0))


def translate_x(x: jax.Array, share: jax.Array) -> jax.Array:
    """To the left by a share of the width."""
    return _warp(x, (1.0, 0.0, share * x.shape[1]), (0.0, 1.0, 0.0))


def translate_y(x: jax.Array, share: jax.Array) -> jax.Array:
    """Up by a share of the height."""
    return _warp(x, (1.0, 0.0, 0.0), (0.0, 1.0, share * x.shape[0]))


def cutout(x: jax.Array, centre: jax.Array, side: jax.Array, *, value: float = _GREY) -> jax.Array:
    """A square of `side` pixels of one value around `centre` (y, x), cut at the border."""
    away = [jnp.abs(jnp.arange(n) + 0.5 - c) < side / 2 for n, c in zip(x.shape[:2], centre)]
    return jnp.where((away[0][:, None] & away[1])[..., None], value, x)


def _blend(start: jax.Array, x: jax.Array, factor: jax.Array) -> jax.Array:
    return jnp.floor(start + factor * (x - start) + 1e-4)


def _grey(x: jax.Array) -> jax.Array:
    """Pillow's luma in whole numbers, [H, W, 1]."""
    if x.shape[-1] == 1:
        return x
    r, g, b = (x[..., i : i + 1].astype(jnp.int32) for i in range(3))
    return ((19595 * r + 38470 * g + 7471 * b + 2**15) >> 16).astype(jnp.float32)


def _warp(x: jax.Array, across: tuple, down: tuple) -> jax.Array:
    """Output pixel (x, y) = the input pixel that holds the point (across . p, down . p) of
    p = (x + 1/2, y + 1/2, 1); black outside."""
    height, width, channels = x.shape
    column = jnp.arange(width, dtype=jnp.float32) + 0.5
    row = jnp.arange(height, dtype=jnp.float32)[:, None] + 0.5
    i, j = (jnp.floor(a * column + b * row + c).astype(jnp.int32) for a, b, c in (across, down))
    inside = (i >= 0) & (i < width) & (j >= 0) & (j < height)
    index = jnp.where(inside, j * width + i, 0)
    return jnp.where(inside[..., None], x.reshape(-1, channels)[index], 0.0)


OPERATIONS: dict[str, tuple[Callable[..., jax.Array], tuple[float, float] | None]] = {
    "autocontrast": (autocontrast, None),
    "brightness": (brightness, (0.05, 0.95)),
    "color": (saturation, (0.05, 0.95)),
    "contrast": (contrast, (0.05, 0.95)),
    "equalize": (equalize, None),
    "identity": (lambda x: x, None),
    "posterize": (posterize, (4.0, 8.0)),
    "rotate": (rotate, (-30.0, 30.0)),
    "sharpness": (sharpness, (0.05, 0.95)),
    "shear_x": (shear_x, (-0.3, 0.3)),
    "shear_y": (shear_y, (-0.3, 0.3)),
    "solarize": (solarize, (0.0, 256.0)),
    "translate_x": (translate_x, (-0.3, 0.3)),
    "translate_y": (translate_y, (-0.3, 0.3)),
}
"""Table 12 of FixMatch: name -> (operation, range of its strength)."""


@dataclass(frozen=True, kw_only=True)
class ShiftFlip:
    """The weak view: (key, image [H, W, C]) -> float32 [size, size, C].

    flip: probability of the mirror image. shift: largest move, a share of the side, border
    reflected. mean, std: per channel, or one value for all channels.
    """

    size: int = 32
    flip: float = 0.5
    shift: float = 0.125
    """Largest move, as a share of the side; the border is reflected."""
    mean: tuple[float, ...] = CIFAR_MEAN
    std: tuple[float, ...] = CIFAR_STD

    def __post_init__(self) -> None:
        for field in fields(self):  # a view read back from JSON equals the one that was written
            if isinstance(getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        if self.size < 1 or not 0 <= self.flip <= 1 or not 0 <= self.shift < 1:
            raise ValueError(
                f"size {self.size} must be at least 1 pixel, flip {self.flip} a probability, shift "
                f"{self.shift} in [0, 1)"
            )

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """One random view of uint8 or float [H, W, C]."""
        return color.normalize(self._moved(key, image), mean=self.mean, std=self.std)

    @property
    def weak(self) -> "ShiftFlip":
        """Itself."""
        return self

    def plain(self, image: jax.Array) -> jax.Array:
        """The view for evaluation, nothing random: [..., H, W, C] -> [..., size, size, C]."""
        return plain_only(size=self.size, mean=self.mean, std=self.std).plain(image)

    def denormalize(self, images: jax.Array) -> jax.Array:
        """Undoes the normalisation of views [..., C], for pictures; values in [0, 1]."""
        return plain_only(size=self.size, mean=self.mean, std=self.std).denormalize(images)

    def _moved(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """The central square in [0, 1], mirrored and moved."""
        flip, move = jax.random.split(key)
        x = plain_only(size=self.size).plain(image)
        x = geometry.random_flip(flip, x, p=self.flip)
        pad = int(self.shift * self.size)
        if not pad:
            return x
        y, x_ = jax.random.randint(move, (2,), 0, 2 * pad + 1)
        padded = jnp.pad(x, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        return jax.lax.dynamic_slice(padded, (y, x_, 0), x.shape)


@dataclass(frozen=True, kw_only=True)
class RandAugment(ShiftFlip):
    """The strong view: a weak one, `count` random operations, Cutout.

    operations: what is drawn from, names of `OPERATIONS`, with replacement. cutout: largest side of
    the grey square, a share of the image's; 0 leaves it out.
    """

    operations: tuple[str, ...] = tuple(OPERATIONS)
    """The operations to choose from."""
    count: int = 2
    cutout: float = 0.5
    """Largest side of the square that is cut out, as a share of the image."""

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.operations if name not in OPERATIONS]
        if unknown or not self.operations:
            raise ValueError(
                f"RandAugment has no operation {', '.join(unknown) or 'to draw from'}: choose from "
                + ", ".join(OPERATIONS)
            )
        if self.count < 0 or not 0 <= self.cutout <= 1:
            raise ValueError(f"count {self.count} must not be negative, cutout in [0, 1]")

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """One random view of uint8 or float [H, W, C]."""
        moved, cut, *keys = jax.random.split(key, 2 + self.count)
        x = jnp.round(255.0 * self._moved(moved, image))
        for k in keys:
            x = self._operation(k, x)
        if self.cutout:
            u = jax.random.uniform(cut, (3,))
            x = cutout(x, u[:2] * self.size, u[2] * self.cutout * self.size)
        return color.normalize(x / 255.0, mean=self.mean, std=self.std)

    def _operation(self, key: jax.Array, x: jax.Array) -> jax.Array:
        which, strength = jax.random.split(key)

        def branch(name: str) -> Callable[[jax.Array, jax.Array], jax.Array]:
            run, bounds = OPERATIONS[name]
            if bounds is None:
                return lambda x, u: run(x)
            return lambda x, u: run(x, bounds[0] + (bounds[1] - bounds[0]) * u)

        index = jax.random.randint(which, (), 0, len(self.operations))
        branches = [branch(name) for name in self.operations]
        return jax.lax.switch(index, branches, x, jax.random.uniform(strength))
