"""HuBERT on spoken digits (Free Spoken Digit Dataset, 8 kHz), small enough for two CPU cores.

    ssljax train experiments/hubert_fsdd.py --data audio:PATH/fsdd.zip

The network, the split and the probes of `wav2vec2_fsdd.py`. The first half of the steps predicts 50
clusters of cepstra, the second half 100 clusters of what the second layer then says. Not run to a
result yet.
"""

from ssljax.data import Audio
from ssljax.experiment import Experiment
from ssljax.methods import HuBERT
from ssljax.nets import Wav2Vec2Encoder
from ssljax.optimizers import Optimizer
from ssljax.probes import Evaluation
from ssljax.train import Cadence
from ssljax.views import WaveView

STEPS = 1500

EXPERIMENT = Experiment(
    method=HuBERT(
        encoder=Wav2Vec2Encoder(
            width=128,
            depth=3,
            heads=4,
            hidden=384,
            convs=((32, 10, 5), (64, 8, 4), (96, 4, 2), (128, 4, 2)),
            position_kernel=16,
            position_groups=4,
            dropout=0.0,
            attention_dropout=0.0,
            input_dropout=0.0,
            layer_drop=0.0,
        ),
        view=WaveView(size=4000, sign=True, gain=6.0),
        rate=8000,
        clusters=(50, 100),
        layer=2,
        width=64,
        span=5,
    ),
    data="audio:fsdd.zip",
    reader=Audio(rate=8000, seconds=1.0, label=r"^(\d)_", test="_theo_"),
    optimizer=Optimizer(
        name="adamw", learning_rate=1e-3, per_batch=None, warmup=100, weight_decay=0.01, clip=1.0
    ),
    steps=STEPS,
    batch=32,
    cadence=Cadence(
        log=50, evaluate=500, save=500, monitor=0, refresh=STEPS // 2, steps_per_call=10
    ),
    evaluation=Evaluation(shots=(), clustering=False, retrieval=False),
)

if __name__ == "__main__":
    from ssljax.cli import train

    train(EXPERIMENT)
