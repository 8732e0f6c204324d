"""BEST-RQ on strings of spoken digits (Free Spoken Digit Dataset, 8 kHz), for two CPU cores.

    ssljax train experiments/best_rq_fsdd.py --data audio:PATH/fsdd.zip

2,000 strings of 3 to 7 digits by five speakers, joined from takes 5 to 49; theo is never heard. A
small transformer over 40 log-mel bands, a step of 40 ms, tells 512 codes in spans of 400 ms that
are hidden. What `selftrain_fsdd_strings.py` begins from. Not measured yet.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Strings
from ssljax.methods import BestRQ
from ssljax.nets import MelEncoder
from ssljax.probes import Evaluation
from ssljax.views import LogMel, MelFrames, WaveView

STEPS = 1000
# What the words are made of, and the space between them.
LETTERS = "efghinorstuvwxz "

EXPERIMENT = Experiment(
    method=BestRQ(
        encoder=MelEncoder(width=96, depth=2, heads=4, hidden=256, channels=16, position_kernel=16),
        view=MelFrames(
            mel=LogMel(rate=8000, window=200, hop=80, mels=40), wave=WaveView(snr=(15.0, 40.0))
        ),
        codes=512,
    ),
    data="audio:fsdd.zip",
    reader=Strings(without="_theo_", letters=LETTERS),
    optimizer=Optimizer(
        name="adamw", learning_rate=2e-3, per_batch=None, warmup=100, weight_decay=0.01, clip=1.0
    ),
    steps=STEPS,
    batch=16,
    cadence=Cadence(log=50, evaluate=0, save=500, monitor=0, steps_per_call=10),
    # The labels are the speakers, who are not what it is for.
    evaluation=Evaluation(few_shot=None, clustering=None, retrieval=None, knn=None),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
