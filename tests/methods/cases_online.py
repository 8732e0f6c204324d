"""Methods that learn from few labels and a pool without, small."""

import numpy as np
from laws import NET, VIEW, Case, Jitter, images

from ssljax.methods import (
    UDA,
    AdaMatch,
    FixMatch,
    FlexMatch,
    FreeMatch,
    MeanTeacher,
    PseudoLabel,
    SoftMatch,
    Supervised,
)

STRONG = Jitter(noise=0.6)
RATIO = 2
_SMALL = {"encoder": NET, "classes": 4, "weak": VIEW, "decay": 0.9}
_PAIR = _SMALL | {"strong": STRONG}


def few(size=16):
    """Labelled images and a pool of as many examples, RATIO of them in each row."""
    rows = images(size)
    number = np.arange(size * RATIO, dtype=np.int32).reshape(size, RATIO)  # none twice
    index = number % size
    pool = rows["image"][index] // 2 + 60 + number[..., None, None, None].astype(np.uint8) // size
    return rows | {
        "pool": pool,
        "pool_index": number,
        "pool_label": rows["label"][index],
    }


CASES = {
    "supervised": Case(Supervised(**_SMALL), few),
    "pseudo_label": Case(PseudoLabel(**_SMALL, threshold=0.3), few),
    "mean_teacher": Case(MeanTeacher(**_SMALL), few),
    "uda": Case(UDA(**_PAIR, threshold=0.3, annealing="linear"), few),
    "fixmatch": Case(FixMatch(**_PAIR, threshold=0.3), few),
    "flexmatch": Case(FlexMatch(**_PAIR, threshold=0.3, examples=80), few),
    "freematch": Case(FreeMatch(**_PAIR, threshold_decay=0.8), few),
    "softmatch": Case(SoftMatch(**_PAIR, threshold_decay=0.8), few),
    "adamatch": Case(AdaMatch(**_PAIR), few),
}
