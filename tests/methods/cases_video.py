"""Clips of videos, small."""

from dataclasses import replace

import numpy as np
from laws import Case

from ssljax.methods import CVRL, VideoMAE
from ssljax.nets import MLP, R3D, Decoder, VideoViT
from ssljax.views import ClipView, ImageView

VIEW = ClipView(
    view=ImageView(
        size=8,
        scale=(1.0, 1.0),
        jitter=0.0,
        grayscale=0.0,
        blur=0.0,
        mean=(0.5,),
        std=(0.25,),
    ),
    frames=3,
)


def videos(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "clip": rng.integers(0, 256, (size, 6, 8, 8, 3), dtype=np.uint8),
        "label": np.arange(size, dtype=np.int32) % 4,
        "index": np.arange(size, dtype=np.int32),
    }


CASES = {
    "cvrl": Case(
        CVRL(encoder=R3D(depth=10, width=2), projector=MLP(widths=(8, 4)), view=VIEW), videos
    ),
    "videomae": Case(
        VideoMAE(
            encoder=VideoViT(patch=2, width=8, depth=1, heads=2),
            decoder=Decoder(width=8, depth=1, heads=2),
            view=replace(VIEW, frames=4),
            ratio=0.75,
        ),
        videos,
    ),
}
