"""Blood cells found in microscope images (BCCD: red and white cells, platelets), all boxes known.

    ssljax selftrain experiments/fcos_bccd.py --data boxes:path/to/bccd.zip

The data is a folder or a zip in the layout of Pascal VOC or COCO; the splits are its own, 205
pictures for training and 72 for the test. FCOS from random weights on ResNet-18 of 16 channels,
pyramid and head of 32, pictures stretched to 160 pixels. `--few 20` takes fewer pictures.

Measured on one of two shared CPU cores, 2026-11-30, one seed (`--seeds 0`), step 400, on the 72
test pictures: AP@.5 57.5 (white cells 96.7, red cells 75.3, platelets 0.4), AP 31.4; about 200
seconds of CPU, of which 65 compile the step. Platelets, 10 x 13 pixels here, pull the mean down:
each has a place that should find it, but the right class has a probability of .14 there (red .51,
white .65), and the best box of its places an overlap of .21 (.77, .87), medians of 24 pictures. A
platelet brings one or two places to a step and a red cell many: it is not learnt in 400 steps.
"""

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import BoxedImages
from ssljax.nets import ResNet
from ssljax.pseudolabels.rounds import Rounds
from ssljax.selftraining.learners import Network
from ssljax.tasks import Boxes, ImageInput, Task
from ssljax.views import ImageView

_VIEW = ImageView(
    size=160,
    scale=(0.5, 1.0),
    flip=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.2,
    hue=0.02,
    grayscale=0.0,
    blur=0.0,
    mean=(0.7, 0.65, 0.68),
    std=(0.13, 0.15, 0.08),
)

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=ImageInput(view=_VIEW),
            encoder=ResNet(width=16),
            target=Boxes(
                classes=("Platelets", "RBC", "WBC"),
                size=160,
                width=32,
                convolutions=1,
                groups=8,
                most=40,
                candidates=200,
                sure=0.4,
            ),
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=2e-3, per_batch=None, warmup=20, weight_decay=1e-3
        ),
        steps=400,
        batch=8,
        cadence=Cadence(log=25, save=400, keep=1, monitor=0),
    ),
    data="boxes:bccd.zip",
    reader=BoxedImages(size=160),
    few=205,
    full=False,
    rounds=Rounds(count=0),
)
