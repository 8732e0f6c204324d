"""data2vec on spoken digits (Free Spoken Digit Dataset, 8 kHz), small enough for two CPU cores.

    ssljax train experiments/data2vec_fsdd.py --data audio:PATH/fsdd.zip
    python experiments/speech_score.py RUN

The network, the split and the probes of `wav2vec2_fsdd.py`; the targets are both layers of a copy
that follows within some fifty steps, and later within a thousand. Not measured yet.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.methods import Data2VecAudio
from ssljax.runs.record import load_file

SMALL = load_file(Path(__file__).with_name("wav2vec2_fsdd.py")).EXPERIMENT

EXPERIMENT = replace(
    SMALL,
    method=Data2VecAudio(
        encoder=SMALL.method.encoder.clone(feature_gradient=1.0),
        view=SMALL.method.view,
        span=SMALL.method.span,
        top=2,
        tau_start=0.98,
        tau=0.999,
        ramp=400,
    ),
    optimizer=replace(SMALL.optimizer, learning_rate=1e-3),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
