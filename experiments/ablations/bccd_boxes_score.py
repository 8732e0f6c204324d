"""How sure must a pseudo-box be, and does a finer picture find platelets? Blood cells of BCCD from
20 pictures with boxes.

    ssljax sweep experiments/ablations/bccd_boxes_score.py --data boxes:path/to/bccd.zip

At a score of .4 the round of experiments/selftrain_bccd_boxes.py does harm: there are twice as many
red cells as there should be. Here the same recipe with boxes of .4, .5 and .6, and with boxes of .5
on pictures of 256 pixels in batches of 4, where a platelet is 16 x 21 pixels and not 10 x 13. Not
run yet.
"""

from dataclasses import replace
from pathlib import Path

from ssljax import SelfTraining
from ssljax.data import BoxedImages
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Threshold
from ssljax.runs.record import load_file

BASE = load_file(Path(__file__).parents[1] / "selftrain_bccd_boxes.py").SELFTRAIN


def recipe(*, sure: float, size: int = 160, batch: int = 8) -> SelfTraining:
    """The recipe with boxes that are so sure, on pictures of so many pixels."""
    task = BASE.learner.task
    task = replace(
        task,
        inputs=replace(task.inputs, view=replace(task.inputs.view, size=size)),
        target=replace(task.target, size=size, sure=sure),
    )
    return replace(
        BASE,
        learner=replace(BASE.learner, task=task, batch=batch),
        reader=BoxedImages(size=size),
        rounds=Rounds(count=1, select=Threshold(value=sure)),
        seeds=(0,),
        full=False,
    )


SWEEP = {
    "sure0.4": recipe(sure=0.4),
    "sure0.5": recipe(sure=0.5),
    "sure0.6": recipe(sure=0.6),
    "sure0.5_256px": recipe(sure=0.5, size=256, batch=4),
}
