"""Blood cells of BCCD (red, white, platelets) from 1, 2 or 3 labels of each, judged by macro F1.

    ssljax sweep experiments/ablations/bccd_cells_few.py --data voc:path/to/bccd.zip

With 10 labels of each, as in experiments/selftrain_bccd.py, nothing is left to close: supervised
training on them reaches 97.2% where all labels give 98.8%, and 85% of the cells are red. Here the
same recipe has so few that there should be a gap, and is judged by the mean of the F1 of the three
kinds of cells. Not run yet.
"""

from dataclasses import replace
from pathlib import Path

from ssljax import SelfTraining
from ssljax.runs.record import load_file
from ssljax.tasks import OneOf

BASE = load_file(Path(__file__).parents[1] / "selftrain_bccd.py").SELFTRAIN


def recipe(few: int) -> SelfTraining:
    """The recipe with so many labels of each kind of cells."""
    task = replace(BASE.learner.task, target=OneOf(classes=3, judged="f1"))
    return replace(BASE, learner=replace(BASE.learner, task=task), few=few)


AXIS = "few"
SWEEP = {f"few{few}": recipe(few) for few in (1, 2, 3)}
