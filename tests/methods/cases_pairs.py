"""Pairs, small: images of 8 x 8 beside texts of 7 tokens, some of them padding."""

import numpy as np
from laws import NET, VIEW, Case, images

from ssljax.methods import CLIP, JointMasked, SigLIP
from ssljax.nets import MLP, ImageTower, JointViT, TextTower

VOCAB, END = 20, 3
TOWER = {"width": 12, "depth": 1, "heads": 2, "hidden": 16}
IMAGE = ImageTower(patch=4, **TOWER)
TEXT = TextTower(vocabulary=VOCAB, length=7, eot=END, **TOWER)
SIG_IMAGE = ImageTower(patch=4, pool="attention", activation="gelu_tanh", eps=1e-6, **TOWER)
SIG_TEXT = TextTower(
    vocabulary=VOCAB, length=7, causal=False, pool="last", activation="gelu_tanh", eps=1e-6, **TOWER
)
JOINT = JointViT(patch=4, vocab=VOCAB, length=7, **TOWER)
HEAD = MLP(widths=(6,), norm=False, output_bias=False)


def captioned(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    ends = rng.integers(3, 8, (size, 1))
    at = np.arange(7)
    tokens = rng.integers(5, VOCAB, (size, 7)).astype(np.int32)
    tokens = np.where(at < ends - 1, tokens, np.where(at == ends - 1, END, 0)).astype(np.int32)
    return images(size) | {"tokens": tokens, "segments": (at < ends).astype(np.int32)}


CASES = {
    "clip": Case(
        CLIP(encoder=NET, partner=TEXT, projector=HEAD, partner_projector=HEAD, view=VIEW),
        captioned,
    ),
    "siglip": Case(
        SigLIP(
            encoder=SIG_IMAGE,
            partner=SIG_TEXT,
            partner_projector=MLP(widths=(12,), norm=False),
            view=VIEW,
        ),
        captioned,
    ),
    "joint_masked": Case(JointMasked(encoder=JOINT, view=VIEW), captioned),
}
