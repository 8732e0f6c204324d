"""CVRL on clips: 725 approaches to traffic signs as videos of 16 frames, without labels.

    python experiments/gtsrb_clips.py path/to/gtsrb path/to/clips
    ssljax train experiments/r3d_gtsrb_clips.py --data video:path/to/clips

The first command writes the tracks of GTSRB as folders of frames; test tracks are never trained on.
An R3D of 10 layers and 16 channels on clips of 8 of the 16 frames, at 32 pixels, of which it sees
histograms of oriented gradients.

Measured on one of two shared CPU cores, 2026-12-01, one seed, last step, percent of the 163 test
tracks: linear probe 70.6 (random weights 23.3), k-NN 61.3 (12.3), linear probe on 2 labels of each
sign 43.4. Pixels of the mean frame have 83.4, 49.7 and 25.8: what a sign is shows in each frame,
and 200 steps are few. On pixels in place of gradients, 400 steps: linear probe 41.1, k-NN 32.5.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Video
from ssljax.methods import CVRL
from ssljax.nets import HOG, MLP, R3D
from ssljax.probes import KNN, Evaluation, FewShot
from ssljax.views import ClipView, ImageView

ENCODER = HOG(body=R3D(depth=10, width=16), cell=2)
# Signs must not be mirrored: left and right are classes. Nor may they lose their colours.
VIEW = ClipView(
    view=ImageView(
        size=32,
        scale=(0.6, 1.0),
        flip=0.0,
        degrees=8.0,
        translate=0.05,
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.0,
        grayscale=0.0,
        blur=0.0,
        mean=(0.35, 0.32, 0.33),
        std=(0.27, 0.26, 0.27),
    ),
    frames=8,
)

EXPERIMENT = Experiment(
    method=CVRL(encoder=ENCODER, projector=MLP(widths=(128, 64)), view=VIEW, temperature=0.2),
    data="video:clips",
    reader=Video(frames=16, size=32),
    optimizer=Optimizer(
        name="adamw", learning_rate=2e-3, per_batch=None, warmup=40, weight_decay=1e-4
    ),
    steps=200,
    batch=64,
    cadence=Cadence(log=50, save=200, monitor=0),
    evaluation=Evaluation(
        knn=KNN(protocols=("knn20_t0.07",)), few_shot=FewShot(shots=(2, 5), draws=3),
        compared=500, clustering=None, retrieval=None, lidar=None,
    ),
)  # fmt: skip
