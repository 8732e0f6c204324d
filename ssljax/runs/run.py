"""Trains and evaluates an `Experiment`, and writes its run folder:

config.json      the whole experiment, versions, git commit, devices
metrics.jsonl    one object a logged step      tensorboard/   the same as events
checkpoints/     Orbax                         results.json   the final numbers
report.npz, report.html                        what a person wants to see, in one offline file
"""

import dataclasses
import logging
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import report
from ssljax.export import load_start
from ssljax.files import write_json
from ssljax.method import started
from ssljax.runs.evaluation import evaluate, quick
from ssljax.runs.experiment import Experiment, networks_of
from ssljax.runs.folder import hardware, lock, prepare
from ssljax.runs.pictures import pictures
from ssljax.training.train import fit

log = logging.getLogger("ssljax")


def run(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Trains and evaluates `experiment` in `folder`, resuming what is there.

    Returns: what results.json holds, or {"step", "finished": False} where a signal asked to stop.
    Raises: ValueError where `folder` belongs to another configuration or `begin` to other networks,
    PermissionError or OSError where it cannot be written; all before any work is done.
    """
    folder = Path(folder)
    networks = networks_of(experiment)
    start = None if experiment.begin is None else load_start(experiment.begin, networks)
    prepare(experiment, folder)
    with lock(folder):
        return _run(experiment, folder, start)


def _run(experiment: Experiment, folder: Path, start: tuple[Any, Any] | None) -> dict[str, Any]:
    began = time.perf_counter()
    train, test = experiment.load(folder)
    feed = experiment.feed(train)
    method, cadence = experiment.build(feed), experiment.cadence
    if start is not None:
        if method.refresh is None:  # then `refresh` only brings them in, before the first step
            cadence = dataclasses.replace(cadence, refresh=experiment.steps)
        method = started(method, *start)
    opt = experiment.optimizer
    state = fit(
        method,
        feed,
        steps=experiment.steps,
        batch=experiment.batch,
        seed=experiment.seed,
        parallel=experiment.parallel,
        cadence=cadence,
        folder=folder,
        store=experiment.store,
        evaluate=quick(experiment, method, train, test),
        learning_rate=lambda s: opt.rate(steps=experiment.steps, batch=experiment.batch)(
            s // opt.accumulate
        ),
    )
    if int(state.step) < experiment.steps:
        return {"step": int(state.step), "finished": False}
    trained = time.perf_counter()
    log.info("trained to step %d; now the evaluation of the encoder and its report", state.step)
    results = {
        "step": int(state.step),
        "finished": True,
        "evaluation": evaluate(experiment, method, state, train, test),
        "seconds": {"training": trained - began, "evaluation": time.perf_counter() - trained},
        "hardware": hardware(),
    }
    shown = pictures(experiment, method, state, test or train)  # on all hosts: it computes
    if jax.process_index() == 0:
        write_json(folder / "results.json", results)
        np.savez_compressed(folder / "report.npz", **shown)
        report.write_report(folder)
    return results
