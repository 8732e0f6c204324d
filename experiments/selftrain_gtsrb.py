"""German traffic signs (43 classes, imbalanced) with 5 or 10 labels of each, split by track.

    ssljax selftrain experiments/selftrain_gtsrb.py --data parquet:path/to/gtsrb
    ssljax selftrain experiments/selftrain_gtsrb.py --data parquet:path/to/gtsrb --few 10

The data must be split by track, as its test split is: the 30 frames of a track are nearly the same
image. In the pool a few labels do lie in tracks whose other frames are labelled by them, which is
how a driver would label too; test tracks are never seen. Images are reduced to 32x32.

Networks see histograms of oriented gradients in place of pixels, and start from SimCLR on the same
pool without labels. In each round the labels spread over the graph of nearest neighbours in the
features of the last network, and another quarter of the pool is learnt.
"""

import dataclasses

from ssljax import Cadence, Experiment, Optimizer, SelfTraining
from ssljax.data import Images
from ssljax.methods import SimCLR
from ssljax.nets import HOG, MLP, ConvEncoder
from ssljax.probes import KNN, Evaluation, FewShot
from ssljax.pseudolabels.generate import Neighbors
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Percentile
from ssljax.selftraining.learners import Network
from ssljax.tasks import ImageInput, OneOf, Task
from ssljax.views import ImageView

# What a sign says depends on where its edges stand: the grid is kept, not averaged. The network
# on pixels learns from a few labels what light they were taken in.
_ENCODER = HOG(body=ConvEncoder(widths=(64,), norm=True))
# Signs must not be mirrored: left and right are classes.
_VIEW = ImageView(
    size=32,
    scale=(0.9, 1.0),
    flip=0.0,
    brightness=0.4,
    contrast=0.4,
    saturation=0.0,
    hue=0.0,
    grayscale=0.0,
    blur=0.0,
    mean=(0.35, 0.32, 0.33),
    std=(0.27, 0.26, 0.27),
)

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=ImageInput(view=_VIEW),
            encoder=_ENCODER,
            target=OneOf(classes=43),
            dropout=0.2,
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=2e-3, per_batch=None, warmup=30, weight_decay=1e-3
        ),
        steps=1000,
        batch=64,
        share=0.5,
    ),
    data="parquet:gtsrb",
    reader=Images(size=32),
    few=5,
    rounds=Rounds(
        count=4,
        generate=Neighbors(rule="spreading", features="teacher"),
        select=Percentile(step=25.0),
    ),
    pretrain=Experiment(
        method=SimCLR(
            encoder=_ENCODER,
            projector=MLP(widths=(128, 64)),
            view=dataclasses.replace(_VIEW, scale=(0.7, 1.0), degrees=8.0, translate=0.08),
            temperature=0.2,
        ),
        data="parquet:gtsrb",
        optimizer=Optimizer(
            name="adamw", learning_rate=2e-3, per_batch=None, warmup=50, weight_decay=1e-4
        ),
        steps=1000,
        batch=128,
        cadence=Cadence(log=100, save=500, monitor=0),
        evaluation=Evaluation(
            knn=KNN(protocols=("knn20_t0.07",)), few_shot=FewShot(shots=(5, 10), draws=3),
            max_examples=10_000, compared=1_000, clustering=None, retrieval=None, lidar=None,
        ),
    ),
)  # fmt: skip
