"""Probes what a run has learnt from spoken digits: digits, speakers, digits of an unseen speaker.

    python experiments/speech_score.py RUN

RUN is a run of `wav2vec2_fsdd.py` or `hubert_fsdd.py`. Linear probes and neighbours on frozen
features, beside the same network with random weights and statistics of log-mel bands: by the usual
split of the Free Spoken Digit Dataset (takes 0 to 4 are for testing), and for digits also by the
split of the run.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from ssljax.probes import table
from ssljax.runs.evaluation import evaluate, material
from ssljax.runs.load import load_run

TAKES = r"_[0-4]\.wav$"
PROBES = {
    "digits": {"label": r"^(\d)_", "test": TAKES},
    "speakers": {"label": r"^\d_([a-z]+)_", "test": TAKES},
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    options = parser.parse_args(arguments)
    experiment, method, state, train, test = load_run(options.run)
    results = {
        "digits, split of the run": evaluate(
            experiment, method, state, material(experiment, (train, test))
        )
    }
    for name, fields in PROBES.items():
        other = replace(experiment, reader=replace(experiment.reader, **fields))
        results[f"{name}, takes 0 to 4"] = evaluate(
            other, method, state, material(other, other.load())
        )
    for name, found in results.items():
        print(f"\n{name}\n{table(found)}")
    return results


if __name__ == "__main__":
    main()
