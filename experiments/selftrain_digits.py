"""Self-training on scikit-learn's 1,797 digits with 4 labels of each class.

    ssljax selftrain experiments/selftrain_digits.py

A small convolutional network, three rounds; each round labels the whole pool anew with the network
of the round before, keeps the most confident share of each class, and trains a fresh network with
noise (shifts, turns, dropout) on those and on the 40 true labels. A fifth of the digits is held
out.

Measured on two shared CPU cores, 2026-11-25, three seeds, last round and last step, percent:
supervised 88.8 ± 0.2, self-trained 94.1 ± 2.7, fully supervised 96.8 ± 1.4 (66% of the gap closed);
pseudo-labels 99.1, 99.2 and 97.9% right on 29, 57 and 84% of the pool.
"""

from ssljax import Optimizer, SelfTraining
from ssljax.nets import SmallConv
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.tasks import ImageInput, OneOf, Task
from ssljax.views import ImageView

# Digits must not be mirrored, and keep what they are when they move or turn a little.
_VIEW = ImageView(
    size=8,
    scale=(0.7, 1.0),
    flip=0.0,
    degrees=10.0,
    translate=0.1,
    jitter=0.0,
    grayscale=0.0,
    blur=0.0,
    mean=(0.3,),
    std=(0.38,),
)

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=ImageInput(view=_VIEW),
            encoder=SmallConv(widths=(16, 32, 64)),
            target=OneOf(classes=10),
            dropout=0.2,
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=3e-3, per_batch=None, warmup=20, weight_decay=1e-3
        ),
        steps=300,
        batch=64,
        share=0.25,
    ),
    data="digits",
    few=4,
    rounds=Rounds(count=3, select=Greedy(per_class=40, growing=True)),
)
