"""Rotation, jigsaw, relative patches and colourisation, small."""

from laws import NET, VIEW, Case, images

from ssljax.methods import Colorization, Jigsaw, RelativePatch, Rotation
from ssljax.nets import MLP

_JIGSAW = {"projector": MLP(widths=(6,)), "hidden": 8, "grid": 2, "tile": 3}
_PATCH = {"head": MLP(widths=(8, 8)), "patch": 2, "gap": 0, "jitter": 1}
_COLOUR = {"widths": (8,), "grid": 40, "neighbors": 3, "sigma": 20.0}

CASES = {
    "rotation": Case(Rotation(encoder=NET, view=VIEW), images),
    "jigsaw": Case(Jigsaw(encoder=NET, view=VIEW, count=6, **_JIGSAW), images),
    "relative_patch": Case(RelativePatch(encoder=NET, view=VIEW, **_PATCH), images),
    "relative_patch_project": Case(
        RelativePatch(encoder=NET, view=VIEW, colour="project", **_PATCH), images
    ),
    "colorization": Case(Colorization(encoder=NET, view=VIEW, **_COLOUR), images),
    "colorization_regression": Case(
        Colorization(encoder=NET, view=VIEW, form="regression", **_COLOUR), images
    ),
}
