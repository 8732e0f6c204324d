"""DeepCluster v2, SCAN and its self-labelling, small."""

from laws import NET, VIEW, Case, Jitter, images

from ssljax.methods import SCAN, DeepCluster, SelfLabel
from ssljax.nets import MLP
from ssljax.views import MultiCrop

_CROPS = MultiCrop(views=(VIEW, VIEW), local=Jitter(size=4), local_crops=1)


def neighbors(size=16):
    rows = images(size)
    return rows | {"neighbor": rows["image"][::-1]}


CASES = {
    "deepcluster": Case(
        DeepCluster(
            examples=40,
            encoder=NET,
            projector=MLP(widths=(8, 6)),
            crops=_CROPS,
            prototypes=(3, 4),
            iterations=3,
        ),
        images,
    ),
    "scan": Case(SCAN(encoder=NET, classes=4, heads=2, view=VIEW, standardize=True), neighbors),
    "self_label": Case(SelfLabel(encoder=NET, classes=4, view=VIEW, threshold=0.26), images),
}
