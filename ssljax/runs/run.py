"""Trains and evaluates an `Experiment`, and writes its run folder:

config.json      the whole experiment, versions, git commit, devices
data.json        what the data is like, so that the networks can be used without it
metrics.jsonl    one object a logged step      tensorboard/   the same as events
checkpoints/     Orbax                         saved.json     the last step in them
report.npz, report.html                        what a person wants to see, in one offline file
results.json     the final numbers: with it the run is finished

All that can be checked is checked before anything is written.
"""

import dataclasses
import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import report
from ssljax.files import read_json, write_json
from ssljax.method import Method, from_pretrained
from ssljax.runs import known
from ssljax.runs.evaluation import evaluate, material, quick
from ssljax.runs.experiment import MAY_DIFFER, Experiment
from ssljax.runs.extend import check_extension
from ssljax.runs.folder import accept, begun, compared, hardware, opened
from ssljax.runs.load import begin_with
from ssljax.runs.pictures import pictures
from ssljax.training.steps import initial
from ssljax.training.trackers import check_trackers
from ssljax.training.train import check, fit

log = logging.getLogger("ssljax")


def run(experiment: Experiment, folder: Path, *, extend: bool = False) -> dict[str, Any]:
    """Trains and evaluates `experiment` in `folder`, resuming what is there.

    extend: a run in `folder` that was laid out for fewer steps goes on to `experiment.steps`.

    Returns: what results.json holds, with "before" where the run was finished already; or {"step",
      "finished": False} where a signal asked to stop.
    Raises: ValueError where `folder` belongs to another configuration or to other data, where its
      checkpoints are lost, or `begin` holds other networks; PermissionError or OSError where it
      cannot be written or data is missing; all before anything is written.
    """
    folder = Path(folder)
    try:
        with opened(folder):
            return _run(experiment, folder, extend=extend)
    except KeyboardInterrupt:
        log.warning("stopped by a signal; run again to go on")
        return {"step": known.saved(folder), "finished": False}


def _run(experiment: Experiment, folder: Path, *, extend: bool) -> dict[str, Any]:
    began, fresh = time.perf_counter(), not begun(folder)
    free = (*MAY_DIFFER, "steps") if extend else MAY_DIFFER
    changed = compared(experiment, folder, may_differ=free)
    if (results := _finished(experiment, folder)) is not None:
        return results | {"before": True}
    about = None if fresh else known.read(folder)
    if about is None and not fresh and any(c.startswith("data:") for c in changed):
        compared(experiment, folder, may_differ=set(free) - {"data"})
    start = None
    if experiment.begin is not None and not known.saved(folder):
        start = begin_with(experiment.begin, experiment.method.networks)

    with known.learning(folder, about, fresh=fresh) as learned:
        train, test = experiment.load(learned)
        data = material(experiment, (train, test), experiment.probed(train, test, learned))
        feed = experiment.feed(train)
        method = experiment.build(feed)
        _check(experiment, method, feed, start)
        now = known.about(experiment, train, test, feed)
        if about is not None:
            known.check_same(about, now, folder)
            if not any(c.startswith("test:") for c in changed):  # else another one is meant
                known.check_same_test(about, now, folder)
            now["files"] = about["files"]
        if any(c.startswith("steps:") for c in changed):
            check_extension(experiment, folder, feed, done=known.saved(folder))
        accept(experiment, folder, changed)
        known.accept(now, folder, learned)
    # Not before config.json is written, which says what was asked for: the data fill it again.
    experiment = experiment.filled(feed)

    state = _train(experiment, method, feed, folder, start, quick(experiment, method, data))
    if int(state.step) < experiment.steps:
        return {"step": int(state.step), "finished": False}
    trained = time.perf_counter()
    log.info("trained to step %d; now the evaluation of the encoder and its report", state.step)
    results = {
        "step": int(state.step),
        "finished": True,
        "evaluation": evaluate(experiment, method, state, data),
        "seconds": {"training": trained - began, "evaluation": time.perf_counter() - trained},
        "hardware": hardware(),
    }
    # On all hosts: it computes. `savez_compressed` has parameters of other types, of other names.
    shown: dict[str, Any] = pictures(experiment, method, state, data.test or data.train)
    if jax.process_index() == 0:
        if not (folder / "config.json").exists():
            raise FileNotFoundError(f"{folder} was deleted or moved while the run was at work")
        np.savez_compressed(folder / "report.npz", **shown)
        write_json(folder / "results.json", results)
        report.write_report(folder)
    return results


def _finished(experiment: Experiment, folder: Path) -> dict[str, Any] | None:
    """The results of a run that needs no more steps, and None for others. Those of fewer steps are
    put aside. Raises: ValueError where they are damaged, or the checkpoints are lost.
    """
    path = folder / "results.json"
    if not path.exists():
        return None
    remedy = "Remove it and run again: the run is then evaluated again"
    results = read_json(path, dict, remedy=remedy)
    if not isinstance(results.get("step"), int) or not isinstance(results.get("evaluation"), dict):
        raise ValueError(f"{path} is damaged: it lacks the step or the evaluation. {remedy}")
    if results["step"] < experiment.steps:
        if jax.process_index() == 0:
            path.rename(path.with_name(f"results-{results['step']}.json"))
        return None
    if experiment.store is None and not (folder / "checkpoints").is_dir():
        raise ValueError(
            f"the run in {folder} is finished, with {results['step']} steps, but its checkpoints "
            "are lost: results and report are there; to export or probe it, put the folder "
            "checkpoints back"
        )
    if jax.process_index() == 0 and not (folder / "report.html").exists():
        report.write_report(folder)
    return results


def _check(experiment: Experiment, method: Method, feed: Any, start: Any) -> None:
    """All that can be known to fail before the folder is written. Raises: ValueError."""
    size, seed = experiment.batch, experiment.seed
    check_trackers(experiment.trackers)
    check(
        method if start is None else method._replace(refresh=None),
        experiment.parallel,
        experiment.cadence,
        steps=experiment.steps,
        batch=size,
    )
    feed.batches(size, seed=seed)
    init = partial(initial, method, spec=feed.spec, batch=size)
    jax.eval_shape(init, jax.random.key(seed))


def _train(
    experiment: Experiment, method: Method, feed: Any, folder: Path, start: Any, numbers: Any
) -> Any:
    """The state after training, or after a signal. numbers: see `quick`."""
    cadence, opt = experiment.cadence, experiment.optimizer
    if start is not None:
        if method.refresh is None:  # then `refresh` only brings them in, before the first step
            cadence = dataclasses.replace(cadence, refresh=experiment.steps)
        method = from_pretrained(method, *start)
    rate = opt.rate(steps=experiment.steps, batch=experiment.batch)
    return fit(
        method,
        feed,
        steps=experiment.steps,
        batch=experiment.batch,
        seed=experiment.seed,
        parallel=experiment.parallel,
        cadence=cadence,
        folder=folder,
        store=experiment.store,
        trackers=experiment.trackers,
        evaluate=numbers,
        learning_rate=lambda s: rate(s // opt.accumulate),
    )
