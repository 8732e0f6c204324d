"""Geometric augmentation and blur as small matrices: resampling is separable, out = R x K^T.

A random resized crop is two interpolation matrices, rows R [size, H] and columns K [size, W], whose
entries are plain arithmetic on the box: nothing is gathered and every shape is static, so a batch
of crops is a batched matmul on any device. For a crop of `length` pixels from `start` on,

    centre_i = start + (i + 1/2) s,  s = length / size,
    R_ij = max(0, 1 - |j + 1/2 - centre_i| / max(s, 1)) for start <= j < start + length,

each row divided by its sum. This is bilinear interpolation with half-pixel centres, antialiased
where it shrinks (what PIL does, and torch with antialias=True). Blur is the same with a Gaussian
band that reflects at the border.

The rule of the crop is torchvision's RandomResizedCrop (Szegedy et al. 2015, "Going Deeper with
Convolutions"): up to ten tries, then a central crop. It differs in that all ten are drawn at once
and the first that fits is taken, which has the same distribution, and in that results stay float.

Images are uint8 or float [H, W, C]; results are float32.
"""

import math

import jax
import jax.numpy as jnp

from ssljax.views.color import keep_or_change, to_float

Box = tuple[jax.Array | int, jax.Array | int, jax.Array | int, jax.Array | int]
TRIES = 10


def _interpolation(start: jax.Array, length: jax.Array, inputs: int, outputs: int) -> jax.Array:
    """The matrix [outputs, inputs] that resamples pixels start ... start + length - 1."""
    step = length / outputs
    centre = start + (jnp.arange(outputs, dtype=jnp.float32) + 0.5) * step
    pixel = jnp.arange(inputs, dtype=jnp.float32)
    distance = jnp.abs(pixel + 0.5 - centre[:, None]) / jnp.maximum(step, 1.0)
    inside = (pixel >= start) & (pixel < start + length)
    weight = jnp.where(inside, jnp.maximum(0.0, 1.0 - distance), 0.0)
    return weight / jnp.sum(weight, axis=1, keepdims=True)


def _separable(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """rows [h, H], image [..., H, W, C], columns [w, W] -> [..., h, w, C], in full float32."""
    exact = jax.lax.Precision.HIGHEST
    planes = jnp.moveaxis(image, -1, -3)  # pixels innermost: twice as fast as channels innermost
    planes = jnp.einsum("...hw,jw->...hj", planes, columns, precision=exact)
    planes = jnp.einsum("ih,...hj->...ij", rows, planes, precision=exact)
    return jnp.moveaxis(planes, -3, -1)


def crop_and_resize(image: jax.Array, box: Box, *, size: int) -> jax.Array:
    """The box (top, left, height, width), in pixels, of [..., H, W, C] -> [..., size, size, C]."""
    image = to_float(image)
    top, left, height, width = (jnp.asarray(side, jnp.float32) for side in box)
    rows = _interpolation(top, height, image.shape[-3], size)
    columns = _interpolation(left, width, image.shape[-2], size)
    return _separable(image, rows, columns)


def resize(image: jax.Array, *, size: int) -> jax.Array:
    """All of [..., H, W, C] -> [..., size, size, C]: bilinear, antialiased where it shrinks."""
    height, width = image.shape[-3:-1]
    if height == width == size:
        return to_float(image)
    return crop_and_resize(image, (0, 0, height, width), size=size)


def centre_box(shape: tuple[int, ...], *, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """The largest central box of an image [H, W, C] whose width / height lies in `ratio`."""
    height, width = shape[:2]
    if width < ratio[0] * height:
        w, h = width, min(height, round(width / ratio[0]))
    elif width > ratio[1] * height:
        w, h = min(width, round(height * ratio[1])), height
    else:
        w, h = width, height
    w, h = max(w, 1), max(h, 1)
    return (height - h) // 2, (width - w) // 2, h, w


def sample_crop(
    key: jax.Array,
    shape: tuple[int, ...],
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """Draws a box for an image of `shape` [H, W, C].

    The area is uniform in `scale` (fractions of the image's), the logarithm of width / height
    uniform between those of `ratio`; the first of ten candidates that fits is placed uniformly. If
    none fits it is `centre_box`.

    Returns:
      (top, left, height, width), int32 scalars.
    """
    height, width = shape[:2]
    u = jax.random.uniform(key, (2 * TRIES + 2,))
    area = height * width * (scale[0] + (scale[1] - scale[0]) * u[:TRIES])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = jnp.exp(low + (high - low) * u[TRIES:-2])
    w = jnp.round(jnp.sqrt(area * aspect)).astype(jnp.int32)
    h = jnp.round(jnp.sqrt(area / aspect)).astype(jnp.int32)
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits & (jnp.cumsum(fits) == 1)  # a mask and a sum instead of a gather
    w, h = jnp.sum(jnp.where(first, w, 0)), jnp.sum(jnp.where(first, h, 0))
    top = jnp.minimum(jnp.floor(u[-2] * (height - h + 1)).astype(jnp.int32), height - h)
    left = jnp.minimum(jnp.floor(u[-1] * (width - w + 1)).astype(jnp.int32), width - w)
    found = jnp.any(fits)
    fallback = centre_box(shape, ratio=ratio)
    box = (top, left, h, w)
    top, left, h, w = (jnp.where(found, a, b) for a, b in zip(box, fallback, strict=True))
    return top, left, h, w


def random_resized_crop(
    key: jax.Array,
    image: jax.Array,
    *,
    size: int,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> jax.Array:
    """A random box of [H, W, C], resized to [size, size, C]; see `sample_crop`."""
    box = sample_crop(key, image.shape, scale=scale, ratio=ratio)
    return crop_and_resize(image, box, size=size)


def random_flip(key: jax.Array, image: jax.Array, *, p: float = 0.5) -> jax.Array:
    """Mirrors [H, W, C] left to right with probability p."""
    image = to_float(image)
    return image if p <= 0 else keep_or_change(key, p, image, image[:, ::-1])


def _blur_matrix(sigma: jax.Array | float, length: int, radius: int) -> jax.Array:
    """The matrix [length, length] of a Gaussian cut off at `radius`, reflected at both ends."""
    j = jnp.arange(length, dtype=jnp.float32)
    i, last = j[:, None], length - 1

    def tap(offset: jax.Array) -> jax.Array:
        return jnp.where(jnp.abs(offset) <= radius, jnp.exp(-0.5 * (offset / sigma) ** 2), 0.0)

    # Pixel j is also seen at its mirror images -j and 2 last - j; border pixels are their own.
    weight = tap(j - i) + (j > 0) * tap(-j - i) + (j < last) * tap(2 * last - j - i)
    return weight / jnp.sum(weight, axis=1, keepdims=True)


def apply_blur(image: jax.Array, sigma: jax.Array | float) -> jax.Array:
    """Gaussian blur of [..., H, W, C], `sigma` in pixels, kernel about a tenth of the image wide.

    The kernel spans 2 r + 1 pixels, r = (shorter side // 10) // 2 as in SimCLR, at least 1. The
    border reflects (torchvision), where SimCLR pads with zeros and so darkens it.
    """
    image = to_float(image)
    height, width = image.shape[-3:-1]
    radius = max(1, min(height, width) // 10 // 2)
    return _separable(
        image, _blur_matrix(sigma, height, radius), _blur_matrix(sigma, width, radius)
    )


def gaussian_blur(
    key: jax.Array, image: jax.Array, *, sigma: tuple[float, float] = (0.1, 2.0), p: float
) -> jax.Array:
    """Blurs [H, W, C] with probability p by a sigma uniform in the given range of pixels."""
    image = to_float(image)
    if p <= 0:
        return image
    key_apply, key_sigma = jax.random.split(key)
    drawn = jax.random.uniform(key_sigma, (), minval=sigma[0], maxval=sigma[1])
    return keep_or_change(key_apply, p, image, apply_blur(image, drawn))


def warp(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Output at offset o from the centre = input at offset `matrix` @ (o, 1), bilinear, 0 outside.

    Costs four gathers: unlike a crop, a rotation is not separable.

    Args:
      image: [H, W, C].
      matrix: [2, 3], offsets (x, y) in pixels, x to the right and y down.
    """
    image = to_float(image)
    height, width, channels = image.shape
    y = jnp.arange(height, dtype=jnp.float32)[:, None] - (height - 1) / 2
    x = jnp.arange(width, dtype=jnp.float32)[None, :] - (width - 1) / 2
    x_in = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + (width - 1) / 2
    y_in = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + (height - 1) / 2
    left, top = jnp.floor(x_in), jnp.floor(y_in)
    pixels = image.reshape(height * width, channels)
    out = jnp.zeros_like(image)
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - jnp.abs(y_in - row)) * (1 - jnp.abs(x_in - column))
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = jnp.where(inside, row * width + column, 0).astype(jnp.int32)
            out += jnp.where(inside, weight, 0.0)[..., None] * pixels[index]
    return out


def sample_affine(
    key: jax.Array,
    shape: tuple[int, ...],
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shear: float = 0.0,
) -> jax.Array:
    """Draws the matrix [2, 3] of `warp`, output to input, for an image of `shape` [H, W, C].

    Input to output it shears by an angle in [-shear, shear] degrees along x, turns by one in
    [-degrees, degrees], zooms by a factor in `scale` and moves by up to `translate` of each side,
    all uniform; as torchvision's RandomAffine, but translations are not rounded to whole pixels.
    """
    height, width = shape[:2]
    u = jax.random.uniform(key, (5,), minval=-1.0)
    angle, slope = jnp.deg2rad(degrees * u[0]), jnp.tan(jnp.deg2rad(shear * u[1]))
    zoom = scale[0] + (scale[1] - scale[0]) * (0.5 + 0.5 * u[2])
    dx, dy = translate * width * u[3], translate * height * u[4]
    cos, sin = jnp.cos(angle) / zoom, jnp.sin(angle) / zoom
    # Inverse of zoom * rotation @ [[1, slope], [0, 1]], then of the translation that follows it.
    xx, xy, yx, yy = cos + slope * sin, sin - slope * cos, -sin, cos
    return jnp.array([[xx, xy, -(xx * dx + xy * dy)], [yx, yy, -(yx * dx + yy * dy)]])


def random_affine(
    key: jax.Array,
    image: jax.Array,
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shear: float = 0.0,
) -> jax.Array:
    """Randomly turned, moved, zoomed and sheared [H, W, C], black outside; see `sample_affine`."""
    matrix = sample_affine(
        key, image.shape, degrees=degrees, translate=translate, scale=scale, shear=shear
    )
    return warp(image, matrix)
