"""SimCLR: do more negatives help? The batch size at a fixed number of examples, on MNIST.

    ssljax sweep experiments/ablations/simclr_batch.py --data parquet:path/to/mnist

The paper (arXiv:2002.05709, section 5.2, figure 9) finds that large batches win clearly in short
training and that the difference shrinks with longer training. Here every run sees 76,800 examples,
in fewer steps with a larger batch; the learning rate grows with the root of the batch, as suits
Adam. The setting is that of `experiments/vision_small.py`, for two CPU cores.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.methods import SimCLR
from ssljax.nets import MLP
from ssljax.runs.record import load_file

SMALL = load_file(Path(__file__).parents[1] / "vision_small.py")
AXIS = "batch"
EXAMPLES = 76_800
METHOD = SimCLR(
    encoder=SMALL.CONV, projector=MLP(widths=(128, 64)), view=SMALL.VIEW, temperature=0.2
)


def batch_of(size: int):
    """One run: the same examples in batches of `size`."""
    steps = EXAMPLES // size
    base = SMALL.small(METHOD, learning_rate=2e-3 * (size / 128) ** 0.5)
    return replace(
        base,
        batch=size,
        steps=steps,
        optimizer=replace(base.optimizer, warmup=steps // 12),
        cadence=replace(base.cadence, log=steps // 15, monitor=steps // 5, save=steps),
    )


SWEEP = {f"b{size}": batch_of(size) for size in (16, 32, 64, 128, 256, 512)}
