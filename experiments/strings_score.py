"""Word and letter error rates of a run of self-training on strings, by known speakers and by theo.

    python experiments/strings_score.py RUN

RUN is a run of `selftrain_fsdd_strings.py`. The last student hears 300 strings joined from takes 0
to 4 of its five speakers, and 300 joined from all takes of theo, whom neither pretraining nor any
round has heard; both from the data of the run. Numbers stand in `selftrain_fsdd_strings.py`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ssljax.selftraining.pool import truth_of, without_labels
from ssljax.selftraining.results import scores
from ssljax.selftraining.teachers import load_teacher


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", help="where the recordings are now (default: those of the run)")
    parser.add_argument("--never", default="theo", help="who was never heard")
    options = parser.parse_args(arguments)
    config, teacher, round_ = load_teacher(options.run)
    target, known = teacher.model.task.target, config.reader
    # Training strings by the others, and so the test strings by the one alone.
    audio = replace(known.audio, test=f"_{options.never}_")
    readers = {"known speakers": known, options.never: replace(known, audio=audio, without=None)}
    found = {"round": round_}
    for name, reader in readers.items():
        test = reader.load(options.data or config.data, split="test")
        found[name] = scores(
            target, truth_of(test, target), teacher.guess(without_labels(test, target))
        )
        said = (f"{key} {found[name][key]:.1%}" for key in ("wer", "cer", "accuracy"))
        print(name, *said, flush=True)
    print(json.dumps(found))
    return found


if __name__ == "__main__":
    main()
