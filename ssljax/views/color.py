"""Colour augmentation: what SimCLR and BYOL do to pixel values, as pure functions of (key, image).

Brightness, contrast and saturation are one formula with different coefficients,

    out = clip(a * x + b * luma(x) + c * mean(luma(x)), 0, 1)

    brightness f: (f, 0, 0)     contrast f: (f, 0, 1 - f)     saturation f: (f, 1 - f, 0)

so a random order of them is a random order of coefficient triples: no branch, no gather and one hue
rotation for the whole jitter. Definitions, factor ranges and clipping after every operation are
torchvision's, on float images and without rounding to 8 bits in between.

Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", appendix
A; Grill et al. 2020, "Bootstrap Your Own Latent", appendix B.

Images are [H, W, C], C = 1 or 3, in [0, 1]; functions without a key take leading axes as well.
"""

import jax
import jax.numpy as jnp

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what PIL and torchvision call grey


def to_float(image: jax.Array) -> jax.Array:
    """uint8 in [0, 255] or float in [0, 1] -> float32 in [0, 1], any shape.

    Raises:
      ValueError: for any other dtype, whose range nobody can guess.
    """
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 255.0
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"image has dtype {image.dtype}; pass uint8, or float in [0, 1]")
    return image.astype(jnp.float32)


def normalize(image: jax.Array, *, mean: tuple[float, ...], std: tuple[float, ...]) -> jax.Array:
    """(image - mean) / std along the channels of [..., C]; a tuple of length 1 serves all channels.

    Raises:
      ValueError: if mean or std has a length other than 1 and C.
    """
    channels = image.shape[-1]
    for name, value in (("mean", mean), ("std", std)):
        if len(value) not in (1, channels):
            raise ValueError(
                f"{name} has {len(value)} values but the image has {channels} channel(s); "
                f"give 1 or {channels} values"
            )
    return (image - jnp.asarray(mean, jnp.float32)) / jnp.asarray(std, jnp.float32)


def to_grey(image: jax.Array) -> jax.Array:
    """[..., C] -> luma [..., 1]; a grey image is returned as it is."""
    if image.shape[-1] == 1:
        return image
    r, g, b = LUMA  # arithmetic, not a dot product: those round to bfloat16 on some devices
    return r * image[..., :1] + g * image[..., 1:2] + b * image[..., 2:]


def _blend(
    image: jax.Array, a: jax.Array | float, b: jax.Array | float, c: jax.Array | float
) -> jax.Array:
    """The formula of the module: clip(a x + b luma + c mean luma) of [..., H, W, C]."""
    luma = to_grey(image)
    mean = jnp.mean(luma, axis=(-3, -2), keepdims=True)
    return jnp.clip(a * image + b * luma + c * mean, 0.0, 1.0)


def adjust_brightness(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """0 is black, 1 leaves [..., H, W, C] as it is, 2 doubles it."""
    return jnp.clip(factor * image, 0.0, 1.0)


def adjust_contrast(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """0 is the image's mean grey everywhere, 1 leaves [..., H, W, C] as it is."""
    return _blend(image, factor, 0.0, 1.0 - factor)


def adjust_saturation(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """0 is grey, 1 leaves [..., H, W, C] as it is; the identity for C = 1."""
    if image.shape[-1] == 1:
        return image
    return _blend(image, factor, 1.0 - factor, 0.0)


def adjust_hue(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """Turns the hue of [..., H, W, C] by `factor` of the full circle; the identity for C = 1.

    With value v, chroma c and hue h in sixths of the circle, each channel of HSV -> RGB is
    v - c clip(min(k, 4 - k), 0, 1), k = (n + h) mod 6 and n = 5, 3, 1 for red, green, blue. Neither
    saturation nor a sector index is needed, and greys (c = 0) come out unchanged.
    """
    if image.shape[-1] == 1:
        return image
    r, g, b = image[..., 0], image[..., 1], image[..., 2]
    value = jnp.maximum(jnp.maximum(r, g), b)
    chroma = value - jnp.minimum(jnp.minimum(r, g), b)
    scale = 1.0 / jnp.where(chroma > 0, chroma, 1.0)
    hue = jnp.where(
        value == r,
        (g - b) * scale,
        jnp.where(value == g, 2.0 + (b - r) * scale, 4.0 + (r - g) * scale),
    )

    def channel(n: float) -> jax.Array:
        k = hue + (n + 6.0 * factor)
        k = k - 6.0 * jnp.floor(k / 6.0)
        return value - chroma * jnp.clip(jnp.minimum(k, 4.0 - k), 0.0, 1.0)

    return jnp.clip(jnp.stack([channel(5.0), channel(3.0), channel(1.0)], axis=-1), 0.0, 1.0)


def sample_jitter(
    key: jax.Array, *, brightness: float, contrast: float, saturation: float, hue: float
) -> tuple[tuple[jax.Array | None, ...], jax.Array]:
    """Draws the four factors and when each is applied.

    Factors are uniform in [max(0, 1 - x), 1 + x], that of the hue in [-hue, hue]; an operation of
    strength 0 gets None and is left out of the program.

    Returns:
      The factors of (brightness, contrast, saturation, hue), and turns [4], a uniformly random
      permutation: operation k is number turns[k] in line.
    """
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        raise ValueError(
            "jitter strengths must be >= 0 and hue <= 0.5 (half the circle), got "
            f"{brightness=}, {contrast=}, {saturation=}, {hue=}"
        )
    key_turns, key_factors = jax.random.split(key)
    turns = jax.random.permutation(key_turns, 4)
    u = jax.random.uniform(key_factors, (4,))
    bounds = [(max(0.0, 1.0 - x), 1.0 + x) for x in (brightness, contrast, saturation)]
    bounds.append((-hue, hue))
    strengths = (brightness, contrast, saturation, hue)
    factors = tuple(
        low + (high - low) * u[k] if strengths[k] > 0 else None
        for k, (low, high) in enumerate(bounds)
    )
    return factors, turns


def apply_jitter(
    image: jax.Array, factors: tuple[jax.Array | float | None, ...], turns: jax.Array
) -> jax.Array:
    """The four adjustments of one image [H, W, C] in the order `turns`; see `sample_jitter`.

    Every order is the same program: blends that come before the hue fill slots of a first pass, the
    others slots of a second, both in order; an empty slot holds the identity (1, 0, 0).
    """
    brightness, contrast, saturation, hue = factors
    if image.shape[-1] == 1:
        saturation = hue = None
    blends, at = [], []
    if brightness is not None:
        blends, at = [*blends, (brightness, 0.0, 0.0)], [*at, turns[0]]
    if contrast is not None:
        blends, at = [*blends, (contrast, 0.0, 1.0 - contrast)], [*at, turns[1]]
    if saturation is not None:
        blends, at = [*blends, (saturation, 1.0 - saturation, 0.0)], [*at, turns[2]]
    if not blends:
        return image if hue is None else adjust_hue(image, hue)
    rows, at = jnp.array(blends), jnp.array(at)
    rank = jnp.sum(at[:, None] > at, axis=1)
    identity = jnp.array([1.0, 0.0, 0.0])

    def run(image: jax.Array, wanted: jax.Array) -> jax.Array:
        in_slot = (rank == jnp.arange(len(blends))[:, None]) & wanted
        slots = identity + jnp.sum(jnp.where(in_slot[..., None], rows - identity, 0.0), axis=1)
        # A scan, because it keeps each result in memory: as one expression the compiler computes a
        # pixel anew for every later channel and mean that reads it (four times slower on CPU).
        return jax.lax.scan(lambda x, row: (_blend(x, *row), None), image, slots)[0]

    if hue is None:
        return run(image, jnp.ones_like(rank, bool))
    return run(adjust_hue(run(image, at < turns[3]), hue), at > turns[3])


def keep_or_change(key: jax.Array, p: float, image: jax.Array, changed: jax.Array) -> jax.Array:
    """`changed` with probability p, else `image`; a select, as vmap turns a branch into one."""
    return changed if p >= 1 else jnp.where(jax.random.bernoulli(key, p), changed, image)


def color_jitter(
    key: jax.Array,
    image: jax.Array,
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    p: float = 0.8,
) -> jax.Array:
    """With probability p adjusts all four of [H, W, C] at random, in random order."""
    image = to_float(image)
    if p <= 0 or max(brightness, contrast, saturation, hue) <= 0:
        return image
    key_apply, key_jitter = jax.random.split(key)
    factors, turns = sample_jitter(
        key_jitter, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue
    )
    return keep_or_change(key_apply, p, image, apply_jitter(image, factors, turns))


def random_grayscale(key: jax.Array, image: jax.Array, *, p: float) -> jax.Array:
    """With probability p the luma in all channels of [H, W, C]."""
    image = to_float(image)
    if p <= 0 or image.shape[-1] == 1:
        return image
    return keep_or_change(key, p, image, jnp.broadcast_to(to_grey(image), image.shape))


def solarize(key: jax.Array, image: jax.Array, *, threshold: float = 0.5, p: float) -> jax.Array:
    """With probability p inverts the values of [H, W, C] that are at or above the threshold."""
    image = to_float(image)
    if p <= 0:
        return image
    return keep_or_change(key, p, image, jnp.where(image >= threshold, 1.0 - image, image))
