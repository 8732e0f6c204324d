"""Joint embedding: contrastive, siamese and redundancy-reduction methods, small."""

from laws import NET, VIEW, Case, images

from ssljax.methods import (
    DCL,
    NNCLR,
    WMSE,
    BarlowTwins,
    MoCoV2,
    MoCoV3,
    SimSiam,
    SupCon,
    TiCo,
    VICReg,
)
from ssljax.methods.moco_v3 import VIT_PREDICTOR, VIT_PROJECTOR
from ssljax.nets import MLP, ViT

_HEAD = MLP(widths=(8, 6))
_BARE = MLP(widths=(8, 6), norm=False)
_TWO = {"encoder": NET, "projector": _HEAD, "views": (VIEW, VIEW)}
_ONE = {"encoder": NET, "projector": _HEAD, "view": VIEW}
_VIT = ViT(patch=4, width=16, depth=1, heads=2, positions="sincos")

CASES = {
    "dcl": Case(DCL(**_ONE), images),
    "dclw": Case(DCL(**_ONE, sigma=0.5), images),
    "supcon": Case(SupCon(**_ONE), images),
    "moco_v2": Case(MoCoV2(encoder=NET, projector=_BARE, view=VIEW, queue=32, groups=4), images),
    "moco_v3": Case(MoCoV3(**_TWO, predictor=_HEAD), images),
    "moco_v3_vit": Case(
        MoCoV3(
            encoder=_VIT,
            projector=VIT_PROJECTOR.clone(widths=(8, 8, 6)),
            predictor=VIT_PREDICTOR.clone(widths=(8, 6)),
            views=(VIEW, VIEW),
            temperature=0.2,
            freeze_patches=True,
        ),
        images,
    ),
    "nnclr": Case(NNCLR(**_TWO, predictor=_HEAD, queue=32), images),
    "simsiam": Case(SimSiam(**_ONE, predictor=_HEAD), images),
    "barlow_twins": Case(BarlowTwins(**_TWO), images),
    "vicreg": Case(VICReg(**_TWO), images),
    "wmse": Case(
        WMSE(encoder=NET, projector=MLP(widths=(8, 3)), view=VIEW, samples=3, size=8), images
    ),
    "tico": Case(TiCo(**_TWO), images),
}
