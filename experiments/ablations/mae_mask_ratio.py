"""MAE: how much of an image should be hidden? The mask ratio, on MNIST.

    ssljax sweep experiments/ablations/mae_mask_ratio.py --data parquet:path/to/mnist

The paper (arXiv:2111.06377, section 4.1, figure 5) finds 75 % best for linear probing, with a steep
fall to either side, and a broad optimum for fine-tuning (`ssljax probe RUN --finetune` asks that of
each run here). Digits are simpler than photographs: expect another optimum. The transformer is that
of `experiments/vision_small.py`, with 49 patches, for two CPU cores.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.methods import MAE
from ssljax.nets import Decoder, ViT
from ssljax.runs.record import load_file
from ssljax.views import crop_and_flip

SMALL = load_file(Path(__file__).parents[1] / "vision_small.py")
AXIS = "method.ratio"
METHOD = MAE(
    encoder=ViT(patch=4, width=64, depth=3, heads=4, positions="sincos"),
    decoder=Decoder(width=32, depth=1, heads=4),
    view=crop_and_flip(size=28, scale=(0.5, 1.0), flip=0.0, mean=(0.1307,), std=(0.3081,)),
)

SWEEP = {
    f"ratio{ratio:g}": SMALL.small(replace(METHOD, ratio=ratio))
    for ratio in (0.1, 0.25, 0.5, 0.75, 0.9)
}
