"""BEST-RQ on single digits of four speakers; are two recordings of two others of one person?

    ssljax train experiments/best_rq_speakers.py --data audio:PATH/fsdd.zip
    python experiments/speakers_score.py RUN

The Free Spoken Digit Dataset at 8 kHz; lucas and theo are never heard, and all pairs of their 1,000
recordings are trials of verification: the equal error rate of the cosine of frozen features, beside
random weights and log-mel statistics. Log-mel bands are normalised over a recording as a whole, not
each by itself, which would take away what a voice is like. `speakers_score.py` tells who of six is
speaking.

Measured with `--steps 400 --batch 32` on two CPU cores shared with other jobs, about seven minutes,
2026-11-30, one seed, last step: 22.0% of the hidden codes of lucas and theo (random weights 0.1%),
and no gain for speakers: an equal error rate of 34.6% (random weights 35.4%, log-mel statistics
22.5%). Two voices are few for verification. The 1,000 steps of batch 64 here are not measured.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.data import Audio
from ssljax.probes import Evaluation, Verification
from ssljax.runs.record import load_file

_STRINGS = load_file(Path(__file__).with_name("best_rq_fsdd.py")).EXPERIMENT

EXPERIMENT = replace(
    _STRINGS,
    # A word is shorter than a span of 400 ms and what is around it: shorter spans, and more.
    method=replace(
        _STRINGS.method,
        view=replace(_STRINGS.method.view, over="recording"),
        prob=0.03,
        span=16,
    ),
    reader=Audio(rate=8000, seconds=1.0, label=r"^\d_([a-z]+)_", test=r"_(lucas|theo)_"),
    batch=64,
    evaluation=Evaluation(
        # No probe has heard those who are scored.
        linear=None,
        knn=None,
        few_shot=None,
        clustering=None,
        more=(Verification(),),
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
