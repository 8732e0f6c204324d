"""The compiled training step, and what is said when it gives NaN."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssljax.mesh import within
from ssljax.method import Method, State
from ssljax.training.checkpoint import Checkpoints


class TrainingStopped(RuntimeError):
    """Training cannot go on: the message names the step, the cause and the last good checkpoint."""


def initial(method: Method, key: jax.Array, *, spec: dict, batch: int) -> State:
    """The first state. Methods read only the shapes of this batch, so zeros will do."""
    return method.init(key, {k: jnp.zeros((batch, *s), d) for k, (s, d) in spec.items()})


def compiled_step(
    method: Method,
    root: jax.Array,
    shardings: State,
    *,
    steps_per_call: int = 1,
    max_bad_steps: int = 0,
) -> jax.stages.Wrapped:
    """The compiled step: (state, bad, batch) -> (state, bad, metrics).

    `bad` counts steps whose loss or gradients were not finite. Such a step leaves everything but
    the step counter as it was; beyond `max_bad_steps` the state is frozen, so that the last good
    one can be saved. The method is traced within the mesh of `shardings`, so that attention and a
    loss whose rows travel from device to device find it.
    """
    mesh = jax.tree.leaves(shardings)[0].mesh

    def one(carry: tuple[State, jax.Array], rows: dict) -> tuple[tuple[State, jax.Array], dict]:
        state, bad = carry
        with within(mesh):
            new, values = method.step(state, rows, jax.random.fold_in(root, state.step))
        fine = jnp.all(jnp.stack([jnp.all(jnp.isfinite(v)) for v in jax.tree.leaves(values)]))
        frozen = bad > max_bad_steps
        bad = jnp.where(frozen, bad, bad + ~fine)
        frozen = bad > max_bad_steps
        kept = jax.tree.map(lambda a, b: jnp.where(fine & ~frozen, a, b), new, state)
        step = jnp.where(frozen, state.step, new.step)
        return (State(step, kept.params, kept.opt, kept.extra), bad), values | {"bad": bad}

    def many(state: State, bad: jax.Array, rows: dict) -> tuple[State, jax.Array, dict]:
        if steps_per_call == 1:
            (state, bad), values = one((state, bad), rows)
        else:
            (state, bad), values = jax.lax.scan(one, (state, bad), rows)
            values = jax.tree.map(lambda v: v[-1], values)
        return state, bad, values

    return jax.jit(many, donate_argnums=0, out_shardings=(shardings, shardings.step, None))


def explain(
    method: Method,
    dataset: Any,
    state: State,
    root: jax.Array,
    batch: int,
    seed: int,
    checkpoints: Checkpoints | None,
) -> TrainingStopped:
    """Saves the last good state, runs the bad step once more to find where it went wrong, and says
    so.
    """
    step = int(state.step)
    saved = "nothing was saved: the run has no folder"
    if checkpoints is not None:
        checkpoints.save(step, state)
        checkpoints.wait()
        saved = f"the state before it is saved as checkpoint {step}"
    rows = next(dataset.batches(batch, seed=seed, start=step))
    new, values = jax.jit(method.step)(state, rows, jax.random.fold_in(root, step))
    places = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path((new.params, new.extra, values))
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.all(jnp.isfinite(leaf)))
    ]
    return TrainingStopped(
        f"step {step + 1} gave NaN or infinity in {len(places)} place(s), first "
        f"{', '.join(places[:3])}; {saved}. Examples in its batch: index "
        f"{np.asarray(rows['index'])[:16].tolist()}... Try a lower learning rate, clipping "
        "(--optimizer.clip 1), float32, or --cadence.max-bad-steps N to skip up to N such steps."
    )
