"""Every experiment file loads, says how it is run, and (slow) its training step can be traced."""

import ast

import jax
import numpy as np
import pytest
from conftest import ROOT
from laws import NOT_NOW, has_its_turn

from ssljax.data import Graphs
from ssljax.pods.compile import Examples, lower_step
from ssljax.runs import record
from ssljax.runs.experiment import Experiment
from ssljax.selftraining.learners import Network
from ssljax.selftraining.plan import SelfTraining

FOLDER = ROOT / "experiments"
FILES = sorted(p for p in FOLDER.glob("*.py") if "EXPERIMENT = " in p.read_text())
SWEEPS = sorted(p for p in FOLDER.glob("**/*.py") if "\nSWEEP = " in p.read_text())
SELFTRAINED = sorted(p for p in FOLDER.glob("*.py") if "\nSELFTRAIN = " in p.read_text())
# What is trained on, where the file's name does not say it.
SIZES = {"imagenet": (256, 3), "mnist": (28, 1), "digits": (8, 1), "style": (28, 1)}
# The leaves of a graph as large as Cora: 2,712 nodes with four slots for edges each.
GRAPH = {
    "features": ((1433,), np.dtype(np.float32)),
    "edges": ((4, 2), np.dtype(np.int32)),
    "node": ((), np.dtype(bool)),
    "seed": ((), np.dtype(bool)),
}
# They begin from another run.
CHAINED = ("scan_cifar10", "self_label_cifar10", "scan_mnist", "self_label_mnist")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_file_says_how_it_is_run(path):
    experiment = record.load_file(path).EXPERIMENT
    assert isinstance(experiment, Experiment)
    experiment.optimizer.build(steps=experiment.steps, batch=experiment.batch)
    experiment.cadence.check(experiment.steps)
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert f"ssljax train experiments/{path.name}" in said


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
def test_a_sweep_says_how_it_is_run(path):
    sweep = record.load_file(path).SWEEP
    for experiment in sweep.values():
        if isinstance(experiment, SelfTraining):
            experiment = experiment.student or experiment.learner
        experiment.optimizer.build(steps=experiment.steps, batch=experiment.batch)
        experiment.cadence.check(experiment.steps)
    assert len({repr(experiment) for experiment in sweep.values()}) == len(sweep)
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert f"ssljax sweep {path.relative_to(ROOT)}" in said


@pytest.mark.parametrize("path", SELFTRAINED, ids=lambda p: p.stem)
def test_self_training_says_how_it_is_run(path):
    module = record.load_file(path)
    config = module.SELFTRAIN
    assert isinstance(config, SelfTraining)
    learner, first = config.learner, config.pretrain
    if isinstance(learner, Network):
        learner.optimizer.build(steps=learner.steps, batch=learner.batch)
    if first is not None:
        first.optimizer.build(steps=first.steps, batch=first.batch)
        first.cadence.check(first.steps)
        assert learner.task.encoder == first.method.encoder  # or it could not begin from it
    assert record.decode(record.encode(config), module=module) == config
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert f"ssljax selftrain experiments/{path.name}" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.stem, marks=() if has_its_turn(p.stem) else NOT_NOW)
        for p in FILES
        if p.stem not in CHAINED
    ],
)
def test_the_step_of_an_experiment_is_traced(path):
    """With its real networks and batch, without compiling: shapes and dtypes fit together."""
    experiment = record.load_file(path).EXPERIMENT
    size, channels = next((v for k, v in SIZES.items() if k in path.stem), (32, 3))
    integer = ((), np.dtype(np.int32))
    image = {"image": ((size, size, channels), np.dtype(np.uint8))}
    unknown = GRAPH if isinstance(experiment.reader, Graphs) else image  # its reader asks the data
    spec = (experiment.reader.shapes() or unknown) | {"label": integer, "index": integer}
    if experiment.few is not None:
        spec = experiment.few.spec(spec)
    rows = Examples(spec, True, tuple(map(str, range(10))))
    mesh = experiment.parallel.mesh(jax.devices()[:1])
    _, memory = lower_step(experiment, rows, mesh)
    assert memory["parameters"] > 0
