"""A run folder back as networks and data."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import jax

from ssljax.method import Method, State
from ssljax.runs import record
from ssljax.runs.experiment import Experiment
from ssljax.training.checkpoint import Checkpoints, abstract
from ssljax.training.steps import initial


def load_run(
    folder: Path, *, file: str | None = None
) -> tuple[Experiment, Method, State, Any, Any]:
    """(experiment, method, latest state, training data, test data) of a run, finished or not."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no config.json")
    module = record.load_file(file) if file else None
    config = json.loads((folder / "config.json").read_text())
    experiment = record.decode(config["experiment"], module=module)
    if not isinstance(experiment, Experiment):
        raise ValueError(
            f"{folder} is a run of {type(experiment).__name__}: name one of `ssljax train`"
        )
    train, test = experiment.load(folder)
    method = experiment.build(train)
    return experiment, method, restore(experiment, method, train, folder), train, test


def restore(experiment: Experiment, method: Method, train: Any, folder: Path) -> State:
    """The latest state of a run folder, on the devices of this process."""
    shapes = jax.eval_shape(
        partial(initial, method, spec=train.spec, batch=experiment.batch), jax.random.key(0)
    )
    shardings = experiment.parallel.place(shapes, experiment.parallel.mesh())
    checkpoints = Checkpoints(experiment.store or folder / "checkpoints")
    state = checkpoints.restore(abstract(shapes, shardings))
    checkpoints.close()
    if state is None:
        raise FileNotFoundError(
            f"{folder} has no checkpoint yet: train first, or wait for the first save"
        )
    return state
