"""Bach's chorales: which of the 88 keys sound in the next frame, by a small LSTM.

    ssljax train experiments/chorales.py --data midi:path/to/jsb-chorales-16th.json \
        --workdir runs/chorales --steps 1500

229 chorales to learn from, 77 for the test; a frame every four sixteenths. heldout_loss is in nats
a frame, the sum over keys, over all frames of the test. Published for an LSTM on these chorales are
8.45 (GRU 8.43, TCN 8.10; from memory, unverified); they leave out the first frame of each chorale,
which is predicted from silence here, and their frames were cut from other files. Beside it stands
F1 of the keys that sound, and that of repeating the frame before (heldout_repeated_f1).

The steps are to be chosen on the validation part:

    ssljax train experiments/chorales.py --data midi:path/to/jsb-chorales-16th.json \
        --test midi:path/to/jsb-chorales-16th.json:validation --workdir runs/chorales-chosen

Not run yet.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Midi
from ssljax.methods import NextFrame
from ssljax.nets import LSTM

EXPERIMENT = Experiment(
    method=NextFrame(encoder=LSTM(width=200, both=False), dropout=0.4, semitones=5),
    data="midi:path/to/jsb-chorales-16th.json",
    reader=Midi(learn="frames", every=4, length=160),
    optimizer=Optimizer(
        name="adamw", learning_rate=2e-3, per_batch=None, warmup=50, weight_decay=1e-3, clip=1.0
    ),
    steps=1500,
    batch=16,
    cadence=Cadence(log=50, evaluate=300, save=500, monitor=0),
)
