"""Random views of an image: a frozen dataclass of hyperparameters, called with (key, image).

The order is that of the papers: (affine,) crop, flip, jitter, grayscale, blur, solarize, normalise.
Operations switched off by their hyperparameters are not in the compiled program.

SimCLR: Chen et al. 2020, appendix A. BYOL: Grill et al. 2020, table 6. Multi-crop: Caron et al.
2020 (SwAV), 2021 (DINO). The presets differ from the papers' code in the blur's border (see
`apply_blur`) and in that nothing is rounded to 8 bits between operations.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.views import color, geometry

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RATIO = (3 / 4, 4 / 3)
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True, kw_only=True)
class ImageView:
    """One random view: (key, image [H, W, C]) -> float32 [size, size, C]; by default SimCLR's.

    size: side of the view in pixels.
    scale, ratio: area (fraction) and width / height of the crop; scale (1, 1) means no random crop.
    degrees, translate, zoom: affine warp before the crop, see `sample_affine`; off by default.
    flip, jitter, grayscale, blur, solarize: probabilities.
    brightness, contrast, saturation, hue: strengths of the jitter.
    mean, std: per channel, or one value for all channels.
    """

    size: int = 224
    scale: tuple[float, float] = (0.08, 1.0)
    """Smallest and largest area of the crop, as a share of the image; (1, 1): no random crop."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest width / height of the crop."""
    degrees: float = 0.0
    translate: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    """Smallest and largest random magnification, with `degrees` and `translate` before the crop."""
    flip: float = 0.5
    jitter: float = 0.8
    """Probability that brightness, contrast, saturation and hue are changed."""
    brightness: float = 0.8
    """Largest change of the brightness, as a share of it."""
    contrast: float = 0.8
    """Largest change of the contrast, as a share of it."""
    saturation: float = 0.8
    """Largest change of the saturation, as a share of it."""
    hue: float = 0.2
    """Largest turn of the hue, at most 0.5, half of the circle of colours."""
    grayscale: float = 0.2
    """Probability that the colours are taken away."""
    blur: float = 0.5
    """Probability of a Gaussian blur."""
    solarize: float = 0.0
    """Probability that bright values are inverted."""
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for field in fields(self):  # a view read back from JSON equals the one that was written
            if isinstance(getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        if self.size < 1:
            raise ValueError(f"size must be at least 1 pixel, got {self.size}")
        for name in ("flip", "jitter", "grayscale", "blur", "solarize"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, in [0, 1]; got {getattr(self, name)}")
        for name in ("scale", "ratio", "zoom"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(
                    f"{name} must be (low, high) with 0 < low <= high; got {low, high}"
                )
        if self.scale[1] > 1:
            raise ValueError(
                f"scale is a fraction of the image's area, at most 1; got {self.scale}"
            )
        if min(self.brightness, self.contrast, self.saturation, self.hue) < 0 or self.hue > 0.5:
            raise ValueError("brightness, contrast, saturation and hue must be >= 0, hue <= 0.5")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """One random view of uint8 or float [H, W, C] -> float32 [size, size, C]."""
        if image.ndim != 3 or image.shape[-1] not in (1, 3):
            raise ValueError(
                f"a view takes one image [H, W, C] with 1 or 3 channels, got shape {image.shape}; "
                "for a batch use ssljax.views.view_batch"
            )
        keys = jax.random.split(key, 7)
        if self.degrees or self.translate or self.zoom != (1.0, 1.0):
            image = geometry.random_affine(
                keys[0], image, degrees=self.degrees, translate=self.translate, scale=self.zoom
            )
        if self.scale == (1.0, 1.0):
            image = self._central(image, self.ratio)
        else:
            image = geometry.random_resized_crop(
                keys[1], image, size=self.size, scale=self.scale, ratio=self.ratio
            )
        image = geometry.random_flip(keys[2], image, p=self.flip)
        image = color.color_jitter(
            keys[3],
            image,
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            p=self.jitter,
        )
        image = color.random_grayscale(keys[4], image, p=self.grayscale)
        image = geometry.gaussian_blur(keys[5], image, p=self.blur)
        image = color.solarize(keys[6], image, p=self.solarize)
        return color.normalize(image, mean=self.mean, std=self.std)

    @property
    def weak(self) -> "ImageView":
        """This without changes of colour, blur or crops of less than half the image."""
        low, high = self.scale
        return replace(
            self,
            scale=(min(max(low, 0.5), high), high),
            jitter=0.0,
            grayscale=0.0,
            blur=0.0,
            solarize=0.0,
        )

    def transform(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """How the view that the same key draws moves an image of `shape` [H, W, C].

        Returns: float32 [2, 3]: the place (x, y, 1) of a pixel of the view times this is its place
          in the image, in pixels, whose centres are at .5.
        """
        keys = jax.random.split(key, 7)
        mirrored = jax.random.bernoulli(keys[2], self.flip)
        if self.scale == (1.0, 1.0):
            box = geometry.centre_box(shape, ratio=self.ratio)
        else:
            box = geometry.sample_crop(keys[1], shape, scale=self.scale, ratio=self.ratio)
        top, left, height, width = (jnp.asarray(side, jnp.float32) for side in box)
        step, x0 = width / self.size, jnp.where(mirrored, left + width, left)
        zero = jnp.zeros(())
        cut = jnp.array([[jnp.where(mirrored, -step, step), zero, x0],
                         [zero, height / self.size, top]])  # fmt: skip
        if not (self.degrees or self.translate or self.zoom != (1.0, 1.0)):
            return cut
        turn = geometry.sample_affine(
            keys[0], shape, degrees=self.degrees, translate=self.translate, scale=self.zoom
        )
        centre = jnp.array([shape[1] / 2, shape[0] / 2])
        # turn @ (cut(p) - centre, 1) + centre
        moved = turn[:, :2] @ cut
        return moved.at[:, 2].add(turn[:, 2] - turn[:, :2] @ centre + centre)

    def plain(self, image: jax.Array) -> jax.Array:
        """The view for evaluation, nothing random: [..., H, W, C] -> float32 [..., size, size, C].

        The largest central square, resized (unless it has the size already) and normalised.
        """
        return color.normalize(self._central(image, (1.0, 1.0)), mean=self.mean, std=self.std)

    def denormalize(self, images: jax.Array) -> jax.Array:
        """Undoes the normalisation of views [..., C], for pictures; values in [0, 1]."""
        mean, std = jnp.asarray(self.mean, jnp.float32), jnp.asarray(self.std, jnp.float32)
        return jnp.clip(images * std + mean, 0.0, 1.0)

    def _central(self, image: jax.Array, ratio: tuple[float, float]) -> jax.Array:
        top, left, height, width = geometry.centre_box(image.shape[-3:], ratio=ratio)
        cut = image[..., top : top + height, left : left + width, :]
        return geometry.resize(cut, size=self.size)


def view_batch(view: Any, key: jax.Array, images: jax.Array) -> Any:
    """A view of each of [B, H, W, C] -> [B, size, size, C].

    Example i gets fold_in(key, i), so its view depends on (key, i, image) and not on B. A
    `MultiCrop` gives globals [B, 2, size, size, C] and locals [B, n, s, s, C].
    """

    def one(index: jax.Array, image: jax.Array) -> Any:
        return view(jax.random.fold_in(key, index), image)

    return jax.vmap(one)(jnp.arange(images.shape[0]), images)


def view_pair(
    views: tuple[Any, Any], key: jax.Array, images: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One view of each image from each of two distributions: [B, H, W, C] -> two [B, s, s, C]."""
    k1, k2 = jax.random.split(key)
    return view_batch(views[0], k1, images), view_batch(views[1], k2, images)


def show_pair(views: tuple[Any, Any], key: jax.Array, images: jax.Array) -> dict[str, jax.Array]:
    """Pictures for the report: {"views": [B, 2, H, W, C]} in [0, 1]."""
    pair = view_pair(views, key, images)
    shown = [view.denormalize(x) for view, x in zip(views, pair, strict=True)]
    return {"views": jnp.stack(shown, axis=1)}


@dataclass(frozen=True, kw_only=True)
class MultiCrop:
    """Two global views and `local_crops` small ones of an image (see `multi_crop`).

    Without `local` there are only the two, and `local_crops` must be 0.
    """

    views: tuple[ImageView, ImageView]
    """The two large crops."""
    local: ImageView | None = None
    """A small crop; None: there are none."""
    local_crops: int = 0
    """How many small crops there are."""

    def __post_init__(self) -> None:
        if len(self.views) != 2 or self.views[0].size != self.views[1].size:
            raise ValueError("views must be two global views of one size, for they are stacked")
        if self.local_crops < 0 or (self.local_crops > 0) != (self.local is not None):
            raise ValueError(
                "local_crops must be at least 1 with a local view and 0 without one; got "
                f"{self.local_crops}"
            )

    def __call__(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[H, W, C] -> globals [2, size, size, C] and locals [local_crops, s, s, C]."""
        keys = jax.random.split(key, 2 + self.local_crops)
        first, second = (view(k, image) for view, k in zip(self.views, keys[:2], strict=True))
        if self.local is None:
            return jnp.stack([first, second]), jnp.zeros((0, *first.shape), first.dtype)
        return jnp.stack([first, second]), jax.vmap(self.local, (0, None))(keys[2:], image)

    def plain(self, image: jax.Array) -> jax.Array:
        """The global view for evaluation: [..., H, W, C] -> [..., size, size, C]."""
        return self.views[0].plain(image)


def show_crops(crops: MultiCrop, key: jax.Array, images: jax.Array) -> dict[str, jax.Array]:
    """Pictures for the report: {"views": [B, 2 + n, H, W, C]}, local crops enlarged."""
    wide, small = view_batch(crops, key, images)
    shown = [view.denormalize(wide[:, i])[:, None] for i, view in enumerate(crops.views)]
    if crops.local is not None:
        size = crops.views[0].size
        shown.append(geometry.resize(crops.local.denormalize(small), size=size))
    return {"views": jnp.concatenate(shown, axis=1)}
