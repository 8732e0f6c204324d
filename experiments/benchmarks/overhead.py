"""What `train.fit` adds to a step: data, metrics, monitors and checkpoints, part by part.

    python experiments/benchmarks/overhead.py                        # two or three minutes
    python experiments/benchmarks/overhead.py --case cpu_digits --block 50 --rounds 20

A bare loop calls the same compiled step on one batch that lies on the device, with a state of its
own. `fit` runs in the same process, and its evaluation hook runs the bare loop: N steps of fit, N
bare steps, N steps of fit, in turn, so both see the same machine. Each part is a run of its own
that has all the parts before it:

    loop and data     fit without a folder: batches indexed, moved to the device, guard against NaN
    + metrics         --log rows a block to JSON lines and TensorBoard
    + monitors        feature spread and RankMe once a block
    + checkpoints     one asynchronous save of the whole state a block

Such a block does far more of these than a run (Cadence(): log 50, monitor 500, save 1000), which is
what makes their cost visible. "at the defaults" divides each part's cost by how rarely it comes.
The first two blocks, which compile and open files, are not timed; nor is evaluation.
"""

import argparse
import dataclasses
import json
import os
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import train_step

from ssljax import Cadence, Parallel, fit
from ssljax.data import Arrays
from ssljax.method import State
from ssljax.training.sharding import batch_sharding, replicated, to_global
from ssljax.training.steps import compiled_step

CLOCK = time.perf_counter


def bare_loop(case: train_step.Case, method: Any, rows: dict) -> Any:
    """A function that runs n steps of `method` on `rows` and waits for the last."""
    mesh = Parallel().mesh()
    key, root = jax.random.split(jax.random.key(0))
    batch = to_global(rows, batch_sharding(mesh))
    shardings = Parallel().place(jax.eval_shape(method.init, key, batch), mesh)
    state = jax.jit(method.init, out_shardings=shardings)(key, batch)
    bad = jax.device_put(jnp.zeros((), jnp.int32), replicated(mesh))
    advance = compiled_step(method, root, shardings)

    def run(n: int) -> None:
        nonlocal state, bad
        for _ in range(n):
            state, bad, _ = advance(state, bad, batch)
        jax.block_until_ready(state)

    return run


def pairs(
    case: train_step.Case, cadence: Cadence, *, block: int, rounds: int, folder: Path | None
) -> list[tuple[float, float]]:
    """(seconds of a bare step, seconds of a step of fit) for each of `rounds` blocks."""
    optimizer = case.optimizer.build(steps=10**6, batch=case.batch)
    method = case.method.build(optimizer, updates=10**6)
    images = train_step.pictures(dataclasses.replace(case, batch=4 * case.batch))
    dataset = Arrays({"image": images})
    bare = bare_loop(case, method, next(dataset.batches(case.batch, seed=0)))
    bare(2)
    found, began = [], CLOCK()

    def evaluate(state: State) -> dict[str, float]:
        nonlocal began
        ended = CLOCK()
        bare(block)
        found.append(((CLOCK() - ended) / block, (ended - began) / block))
        began = CLOCK()
        return {}

    cadence = dataclasses.replace(cadence, evaluate=block)
    steps = block * (rounds + 2)
    fit(
        method,
        dataset,
        steps=steps,
        batch=case.batch,
        cadence=cadence,
        folder=folder,
        evaluate=evaluate,
        learning_rate=case.optimizer.rate(steps=steps, batch=case.batch),
    )
    return found[2:]


def parts(case: train_step.Case, *, block: int, log: int, rounds: int) -> dict[str, list]:
    """Name of a part -> its pairs."""
    with_log = Cadence(log=block // log, monitor=0, save=0)
    with_monitor = dataclasses.replace(with_log, monitor=block)
    todo = {
        "loop and data": Cadence(log=0, monitor=0, save=0),
        "+ metrics": with_log,
        "+ monitors": with_monitor,
        "+ checkpoints": dataclasses.replace(with_monitor, save=block),
    }
    found = {}
    for name, cadence in todo.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) if cadence.log else None
            found[name] = pairs(case, cadence, block=block, rounds=rounds, folder=place)
    return found


def at_the_defaults(found: dict[str, list], *, block: int, log: int) -> float:
    """Seconds that all parts together add to a step when they come as rarely as in Cadence()."""
    usual = Cadence()
    extra = [statistics.median(fitted - bare for bare, fitted in p) for p in found.values()]
    loop, metrics, monitors, checkpoints = extra[0], *(b - a for a, b in pairwise(extra))
    return (
        loop
        + metrics * block / log / usual.log
        + monitors * block / usual.monitor
        + checkpoints * block / usual.save
    )


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    global CLOCK
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--case", choices=[*train_step.NAMES, "tiny"], help="the step beside the tiny one"
    )
    parser.add_argument("--block", type=int, default=10, help="steps in a block")
    parser.add_argument("--tiny-block", type=int, default=200, help="tiny steps in a block")
    parser.add_argument("--log", type=int, default=1, help="metric rows in a block")
    parser.add_argument("--rounds", type=int, default=8, help="blocks of each side, for each part")
    parser.add_argument("--busy", action="store_true", help="one core, and its CPU time (Linux)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    if options.busy:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        CLOCK = time.process_time
    where = machine.environment() | {"device": jax.devices()[0].device_kind}
    name = options.case or ("cpu_digits" if jax.default_backend() == "cpu" else "vit_s16_224")
    tiny = train_step.tiny(train_step.case_of("cpu_digits"))
    todo = {"tiny": (tiny, options.tiny_block)}
    if name != "tiny":
        todo = {name: (train_step.case_of(name), options.block)} | todo
    print("\n".join(f"{key}: {value}" for key, value in where.items()))
    rows = [["fit against a bare loop", "bare ms", "fit ms", "fit / bare", "lowest", "highest"]]
    measured, ratios = {}, []
    for label, (which, block) in todo.items():
        found = parts(which, block=block, log=options.log, rounds=options.rounds)
        measured[label] = found
        for part, both in found.items():
            bare, fitted = (1e3 * statistics.median(side) for side in zip(*both))
            each = [b / a for a, b in both]
            shares = (statistics.median(each), min(each), max(each))
            cells = [f"{bare:.2f}", f"{fitted:.2f}", *(f"{x:.3f}" for x in shares)]
            rows.append([f"{label}, blocks of {block}: {part}", *cells])
        bare = statistics.median(a for both in found.values() for a, _ in both)
        usual = bare + at_the_defaults(found, block=block, log=options.log)
        rows.append(
            [
                f"{label}: all, at the defaults",
                *(f"{1e3 * x:.2f}" for x in (bare, usual)),
                *(f"{usual / bare:.3f}", "-", "-"),
            ]
        )
        what = f"fit, {label} step of {1e3 * bare:.3g} ms"
        speeds = [[1 / seconds for seconds in side] for side in zip(*found["loop and data"])]
        ratios.append(
            machine.ratio(f"{what}: loop and data", "steps/s", *speeds[::-1], against="bare loop")
        )
        ratios.append(
            machine.ratio(
                f"{what}: all, at the defaults", "steps/s", [1 / usual], [1 / bare], against="bare"
            )
        )
    print(f"\n{machine.table(rows)}")
    result = {
        "environment": where,
        "options": vars(options),
        "pairs": measured,
        "ratios": ratios,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, default=str) + "\n")
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="overhead_", ignore_cleanup_errors=True) as cache:
        # fit compiles its step anew for each part; the programs are equal.
        jax.config.update("jax_compilation_cache_dir", os.path.join(cache, "jax"))
        main()
