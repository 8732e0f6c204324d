"""The side of ssljax in the benchmarks of steps: the compiled step of `fit`, checked and timed."""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params

from ssljax import Optimizer, Parallel
from ssljax.method import Recipe
from ssljax.pods.chips import CHIPS
from ssljax.training.sharding import replicated
from ssljax.training.steps import compiled_step

# Dense bfloat16 FLOP/s by a part of the device's name: TPUs as `ssljax compile` has them, GPUs from
# the data sheets of their SXM boards.
_TPUS = {"TPU v4": "v4", "TPU v5 lite": "v5e", "TPU v5": "v5p", "TPU v6 lite": "v6e"}
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
PEAKS |= {name: CHIPS[kind].flops for name, kind in _TPUS.items()}
CHECK_STEPS = 50


def seconds_of(
    run: Callable[[], None],
    wait: Callable[[], Any],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds that one `run` takes: the median over at least five blocks in about `seconds`."""

    def block(n: int) -> float:
        wait()
        start = clock()
        for _ in range(n):
            run()
        wait()
        return (clock() - start) / n

    block(2)
    n = max(1, round(seconds / 8 / block(2)))
    times = [block(n) for _ in range(5)]
    while sum(times) * n < seconds:
        times.append(block(n))
    return statistics.median(times)


def checked(losses: list[float], name: str, *, falls: bool = True) -> dict[str, float]:
    """First and last loss. Raises: RuntimeError where one is not finite or, if it should, it has
    not gone down.
    """
    n = min(10, len(losses) // 2)
    first, last = statistics.mean(losses[:n]), statistics.mean(losses[-n:])
    if not (np.isfinite(losses).all() and (last < first or not falls)):
        raise RuntimeError(
            f"the loss of {name} went from {first:.4f} to {last:.4f}: do not time it"
        )
    return {"loss_first": first, "loss_last": last}


def step_times(
    recipe: Recipe,
    optimizer: Optimizer,
    rows: dict[str, np.ndarray],
    *,
    seconds: float,
    scan: int = 1,
    falls: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Checks and times the step of a recipe in this process, on its first device.

    Args:
      rows: a batch, always the same, that lies on the device. scan: steps in one dispatch, which is
        timed too where it is more than one. falls: whether the loss must go down.
    """
    device = jax.devices()[0]
    found: dict[str, Any] = {"hardware": device.device_kind, "version": f"jax {jax.__version__}"}
    mesh, size = Parallel().mesh([device]), len(next(iter(rows.values())))
    method = recipe.build(optimizer.build(steps=10**6, batch=size), updates=10**6)
    placed = jax.device_put(rows, device)
    key, root = jax.random.split(jax.random.key(0))
    shardings = Parallel().place(jax.eval_shape(method.init, key, placed), mesh)
    bad = jax.device_put(jnp.zeros((), jnp.int32), replicated(mesh))
    for calls in sorted({1, scan}):
        # Again from the start each time: the state was donated, and both must learn.
        state = jax.jit(method.init, out_shardings=shardings)(key, placed)
        advance = compiled_step(method, root, shardings, steps_per_call=calls)
        data = placed
        if calls > 1:
            data = jax.tree.map(lambda x, calls=calls: jnp.stack([x] * calls), placed)
        found["parameters"] = sum(p.size for p in jax.tree.leaves(state.params))
        start, losses, values = time.perf_counter(), [], {}

        def run() -> None:
            nonlocal state, bad, values
            state, bad, values = advance(state, bad, data)  # noqa: B023

        for i in range(max(10, math.ceil(CHECK_STEPS / calls))):
            run()
            losses.append(float(values["loss"]))
            if i == 0 and calls == 1:
                found["compile"] = time.perf_counter() - start
        found |= checked(losses, "ssljax", falls=falls)
        wait = lambda: jax.block_until_ready(state)  # noqa: B023, E731
        took = seconds_of(run, wait, seconds, clock)
        found["step" if calls == 1 else "step_scanned"] = took / calls
        if calls == 1:
            found["peak_bytes"] = (device.memory_stats() or {}).get("peak_bytes_in_use")
    return found


def flops_of(function: Callable[..., Any], *shapes: Any) -> float:
    """FLOPs of the convolutions and matrix products of a function, two for each multiply-add."""

    def count(jaxpr: Any) -> float:
        total = 0.0
        for eqn in jaxpr.eqns:
            out = math.prod(eqn.outvars[0].aval.shape)
            if eqn.primitive.name == "dot_general":
                (contract, _), _ = eqn.params["dimension_numbers"]
                total += 2 * out * math.prod(eqn.invars[0].aval.shape[a] for a in contract)
            elif eqn.primitive.name == "conv_general_dilated":
                kernel = eqn.invars[1].aval.shape  # outputs last, whatever the order of the others
                features = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
                total += 2 * out * math.prod(kernel) / features
            turns = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
            total += turns * sum(count(sub) for sub in jaxprs_in_params(eqn.params))
        return total

    return count(jax.make_jaxpr(function)(*shapes).jaxpr)
