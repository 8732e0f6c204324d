"""Whether a run may go on to more steps than it was laid out for.

It may where the longer run would have come to the very state that is there: where neither the
schedules of the optimizer nor those of the method, such as a momentum that rises to 1 at the end,
have yet depended on the number of steps.
"""

import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax.runs.experiment import Experiment
from ssljax.runs.folder import read_config
from ssljax.training.steps import initial


def check_extension(experiment: Experiment, folder: Path, feed: Any, *, done: int) -> None:
    """Raises ValueError, with the choices that there are, where the run in `folder`, of which
    `done` steps are saved, cannot go on to `experiment.steps`.
    """
    before = read_config(folder)["experiment"]["steps"]
    if experiment.steps < before:
        raise ValueError(
            f"--extend-to {experiment.steps}: the run in {folder} is laid out for {before} steps"
        )
    shorter = dataclasses.replace(experiment, steps=before)
    reasons = []
    if not _same_rates(shorter, experiment, done):
        name = experiment.optimizer.schedule
        reasons.append(f"its learning rate (optimizer.schedule {name}) or weight decay")
    if _step_of(shorter, feed, shorter) != _step_of(experiment, feed, shorter):
        reasons.append(f"a schedule of {type(experiment.method).__name__} itself")
    if reasons:
        raise ValueError(
            f"the run in {folder} cannot go on from step {done} to {experiment.steps}: "
            f"{' and '.join(reasons)} is laid out for {before} steps, so that the longer run would "
            "have been another one. Choose a new run that begins with its networks: ssljax train "
            f"FILE --begin {folder} --steps {experiment.steps - done}; or, for runs that can be "
            "extended, train with --optimizer.schedule constant, or wsd, which can be extended as "
            "long as it has not begun to decay"
        )


def _same_rates(a: Experiment, b: Experiment, done: int) -> bool:
    """Whether rates and weight decay are the same in all updates up to step `done`."""
    updates = np.arange(max(1, done // a.optimizer.accumulate))

    def values(experiment: Experiment) -> np.ndarray:
        o = experiment.optimizer
        rate = o.rate(steps=experiment.steps, batch=experiment.batch)
        decay = o.decay(steps=experiment.steps)
        decays = decay(updates) if callable(decay) else decay
        return np.stack(
            [np.asarray(jax.vmap(rate)(updates)), np.broadcast_to(decays, len(updates))]
        )

    return np.array_equal(values(a), values(b))


def _step_of(experiment: Experiment, feed: Any, optimized: Experiment) -> str:
    """The program of a step, with the optimizer of `optimized`: equal where nothing else in it
    depends on the number of steps."""
    tx = optimized.optimizer.build(steps=optimized.steps, batch=optimized.batch)
    updates = max(1, experiment.steps // experiment.optimizer.accumulate)
    method = experiment.method.build(tx, updates=updates)
    key, batch = jax.random.key(0), experiment.batch
    state = jax.eval_shape(partial(initial, method, spec=feed.spec, batch=batch), key)
    rows = {k: jax.ShapeDtypeStruct((batch, *s), d) for k, (s, d) in feed.spec.items()}
    program = jax.make_jaxpr(method.step)(state, rows, key)
    constants = [np.asarray(c).tobytes().hex() for c in program.consts if hasattr(c, "dtype")]
    return re.sub(r"0x[0-9a-f]+", "", str(program)) + "".join(constants)
