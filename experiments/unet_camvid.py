"""Street scenes of CamVid, a class for each pixel (11, driving), all 367 training frames known.

    ssljax selftrain experiments/unet_camvid.py --data masks:path/to/camvid.zip

The data is a folder or a zip as SegNet's authors have it, and the splits are theirs: of the 233
test frames 171 are of a drive of their own, and 62 of the rest of a drive in training. A U-Net on
ResNet-18 of 16 channels from random weights, on frames stretched from 480 x 360 to a square of 64
pixels. `--few 37` takes a tenth of the frames.

Measured as "fully supervised" of selftrain_camvid.py (the same network, steps and seed): mean IoU
25.3, and 70.0% of the pixels. IoU of sky 84.2, road 71.1, building 56.4, car 33.8, tree 24.0,
pavement 8.5, and 0 of the five others, which are thin or rare: 400 steps from random weights are
too few for them.
"""

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Masks
from ssljax.nets import ResNet
from ssljax.pseudolabels.rounds import Rounds
from ssljax.selftraining.learners import Network
from ssljax.tasks import ImageInput, Mask, Task
from ssljax.views import ImageView

CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "cyclist"),
)
VIEW = ImageView(
    size=64,
    scale=(0.4, 1.0),
    flip=0.5,
    brightness=0.4,
    contrast=0.4,
    saturation=0.3,
    hue=0.03,
    grayscale=0.0,
    blur=0.0,
    mean=(0.41, 0.42, 0.43),
    std=(0.3, 0.31, 0.3),
)
TASK = Task(
    inputs=ImageInput(view=VIEW),
    encoder=ResNet(width=16),
    target=Mask(classes=len(CLASSES)),
    hidden=(64, 48, 32, 24, 16),
)

SELFTRAIN = SelfTraining(
    learner=Network(
        task=TASK,
        optimizer=Optimizer(
            name="adamw", learning_rate=3e-3, per_batch=None, warmup=30, weight_decay=1e-3
        ),
        steps=400,
        batch=8,
        cadence=Cadence(log=50, save=400, keep=1, monitor=0),
    ),
    data="masks:camvid.zip",
    reader=Masks(size=64, classes=CLASSES, ignore=11),
    few=367,
    full=False,
    rounds=Rounds(count=0),
)
