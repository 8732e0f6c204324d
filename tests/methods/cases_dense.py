"""Masks of pixels from few pictures with masks and a pool without, small."""

import numpy as np
from laws import VIEW as JITTER
from laws import Case, images

from ssljax.methods import Denoising, UniMatch
from ssljax.nets import UNetDecoder, UNetEncoder
from ssljax.tasks import ImageInput, Mask, Task
from ssljax.views import ImageView

VIEW = ImageView(
    size=8,
    scale=(1.0, 1.0),
    jitter=1.0,
    saturation=0.0,
    hue=0.0,
    grayscale=0.0,
    blur=0.0,
    mean=(0.5,),
    std=(0.25,),
)


def masks(size: int = 16) -> dict[str, np.ndarray]:
    """Pictures with masks of 3 classes, some pixels ignored, and as many without."""
    rng, rows = np.random.default_rng(1), images(size)
    target = rng.choice(np.array([0, 1, 2, 255], np.uint8), (size, 8, 8))
    pool = rng.integers(0, 256, (size, 1, 8, 8, 3), dtype=np.uint8)
    weight = np.linspace(0.5, 1, size, dtype=np.float32)
    return {k: rows[k] for k in ("image", "index")} | {
        "target": target,
        "weight": weight,
        "pool": pool,
    }


CASES = {
    "denoising_unet": Case(
        Denoising(
            encoder=UNetEncoder(widths=(4, 8), norm=True),
            decoder=UNetDecoder(classes=3, widths=(4,)),
            view=JITTER,
        ),
        images,
    ),
    "unimatch": Case(
        UniMatch(
            task=Task(
                inputs=ImageInput(view=VIEW),
                encoder=UNetEncoder(widths=(4, 8), norm=True),
                target=Mask(classes=3),
                hidden=(4,),
            ),
            threshold=0.4,
        ),
        masks,
    ),
}
