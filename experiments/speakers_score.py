"""Tells who of six speaks, from 1, 5 and all recordings each, by the frozen features of a run.

    python experiments/speakers_score.py RUN

RUN is a run of pretraining on spoken digits, such as `best_rq_speakers.py` or `hubert_fsdd.py`.
Logistic regression and nearest neighbours on features, beside random weights and log-mel
statistics, by the usual split of the Free Spoken Digit Dataset: takes 0 to 4 are scored. The two
speakers that `best_rq_speakers.py` leaves out are among the six.

Measured on `best_rq_speakers.py --steps 400 --batch 32` (its docstring says how), linear probe,
mean and deviation over draws of the labels: from 1 recording of each 44.1 ± 4.0% (random weights
48.2 ± 6.6%, log-mel statistics 67.3 ± 7.3%), from 5 69.2 ± 4.1% (76.6 ± 3.4%, 89.8 ± 3.7%), from
all 99.7% (99.0%, 100%). So pretraining of this length does not help to tell speakers from few.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from ssljax.probes import Evaluation, FewShot, table
from ssljax.runs.evaluation import evaluate, material
from ssljax.runs.load import load_run

SPEAKER, TAKES = r"^\d_([a-z]+)_", r"_[0-4]\.wav$"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    options = parser.parse_args(arguments)
    experiment, method, state, _, _ = load_run(options.run)
    reader = replace(experiment.reader, label=SPEAKER, test=TAKES)
    evaluation = Evaluation(few_shot=FewShot(shots=(1, 5)), clustering=None, retrieval=None)
    other = replace(experiment, reader=reader, evaluation=evaluation)
    found = evaluate(other, method, state, material(other, other.load()))
    print(table(found))
    return found


if __name__ == "__main__":
    main()
