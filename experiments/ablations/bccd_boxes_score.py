"""How sure must a pseudo-box be? Blood cells of BCCD from 20 pictures with boxes.

    ssljax sweep experiments/ablations/bccd_boxes_score.py --data boxes:path/to/bccd.zip

The recipe of experiments/selftrain_bccd_boxes.py with boxes of .4, .5 and .6. On pictures of 160
pixels a round of boxes of .4 did harm: there were twice as many red cells as there should be. Not
run yet at the size of the recipe.
"""

from dataclasses import replace
from pathlib import Path

from ssljax import SelfTraining
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Threshold
from ssljax.runs.record import load_file

BASE = load_file(Path(__file__).parents[1] / "selftrain_bccd_boxes.py").SELFTRAIN


def recipe(sure: float) -> SelfTraining:
    """The recipe with boxes that are so sure."""
    task = BASE.learner.task
    task = replace(task, target=replace(task.target, sure=sure))
    return replace(
        BASE,
        learner=replace(BASE.learner, task=task),
        rounds=Rounds(count=1, select=Threshold(value=sure)),
        seeds=(0,),
        full=False,
    )


SWEEP = {f"sure{sure}": recipe(sure) for sure in (0.4, 0.5, 0.6)}
