"""Self-distillation, prototypes and SIGReg, small."""

from laws import NET, VIEW, Case, Jitter, images

from ssljax.methods import DINO, IBOT, MSN, DINOv2, LeJEPA, SwAV
from ssljax.nets import MLP, DINOHead, ViT
from ssljax.views import MultiCrop

_CROPS = MultiCrop(views=(VIEW, VIEW), local=Jitter(size=4), local_crops=2)
_VIT = ViT(patch=2, width=16, depth=1, heads=2, positions="sincos", mask_token=True)
_HEAD = DINOHead(prototypes=6, hidden=8, bottleneck=4)
_MLP = MLP(widths=(8, 6))
_EARLY = {"warmup": 4, "freeze": 0}

CASES = {
    "swav": Case(SwAV(encoder=NET, projector=_MLP, crops=_CROPS, prototypes=5, freeze=0), images),
    "swav_queue": Case(
        SwAV(
            encoder=NET,
            projector=_MLP,
            crops=MultiCrop(views=(VIEW, VIEW)),
            prototypes=5,
            freeze=0,
            queue=32,
            queue_start=1,
        ),
        images,
    ),
    "dino": Case(DINO(encoder=NET, head=_HEAD, crops=_CROPS, **_EARLY), images),
    "dino_sinkhorn": Case(
        DINO(
            encoder=NET,
            head=_HEAD.clone(norm=True),
            crops=_CROPS,
            targets="sinkhorn",
            **_EARLY,
        ),
        images,
    ),
    "ibot": Case(IBOT(encoder=_VIT, head=_HEAD, crops=_CROPS, smallest=2, **_EARLY), images),
    "dinov2": Case(DINOv2(encoder=_VIT, head=_HEAD, crops=_CROPS, smallest=2, **_EARLY), images),
    "msn": Case(
        MSN(
            encoder=_VIT.clone(mask_token=False),
            projector=_MLP.clone(activation="gelu"),
            crops=_CROPS,
            prototypes=5,
        ),
        images,
    ),
    "lejepa": Case(LeJEPA(encoder=NET, projector=_MLP, crops=_CROPS, slices=16), images),
}
