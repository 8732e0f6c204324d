"""The contract that every method keeps: a method is a few pure functions over one pytree.

`Method` is a NamedTuple of functions, as optax does it for optimizers, and `State` is everything
that changes while training. The runner (`ssljax.training.train`) knows nothing else about a method.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssljax.parts import accumulation

log = logging.getLogger("ssljax")
PyTree = Any
Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """Everything that changes during training, as one pytree.

    step:   int32 scalar, the number of steps done.
    params: what the gradient moves. The reusable backbone is always `params["encoder"]`.
    opt:    optimizer state.
    extra:  everything else that changes: `extra["stats"]` holds batch statistics under the same
            names as `params`; EMA targets, queues, centres, cluster assignments lie beside it.
    """

    step: jax.Array
    params: PyTree
    opt: PyTree
    extra: PyTree


def backbone(state: State) -> tuple[PyTree, PyTree]:
    """(params, batch statistics) of the online encoder: what most methods embed with."""
    return state.params["encoder"], state.extra["stats"]["encoder"]


def target_backbone(state: State) -> tuple[PyTree, PyTree]:
    """The same of a target network, where the paper evaluates that."""
    target = state.extra["target"]
    return target["params"]["encoder"], target["stats"]["encoder"]


def averaged(params: PyTree, extra: PyTree, *, decay: float) -> PyTree:
    """`extra` after its target has moved: target <- decay target + (1 - decay) params.

    Batch statistics are copied, not averaged: for a target that is only evaluated.
    """
    target = optax.incremental_update(params, extra["target"]["params"], 1 - decay)
    return extra | {"target": {"params": target, "stats": extra["stats"]}}


def check_few(data: Any, *, classes: int, pool: bool = True) -> None:
    """Raises ValueError where a classifier cannot learn from a data set: it needs labels of just
    its classes, and with `pool` the batches of `ssljax.data.Few`.
    """
    if data.classes is None or "label" not in data.spec:
        raise ValueError("this method learns from labels, and the data has none")
    if len(data.classes) != classes:
        raise ValueError(
            f"the data has {len(data.classes)} classes and the method {classes}: use "
            f"--method.classes {len(data.classes)}"
        )
    if not pool and data.labelled_count < len(data):
        log.info(
            "learns from the %d of %d examples that have a label", data.labelled_count, len(data)
        )
    if pool and "pool" not in data.spec:
        raise ValueError(
            "this method learns from few labels and a pool without: set few=FewLabels(...) in the "
            "experiment, or wrap the data in data.Few"
        )


def online(state: State) -> State:
    """The state with the online network in place of its target; itself where there is no target."""
    if "target" not in state.extra:
        return state
    names = state.extra["target"]["params"]
    target = {
        "params": {name: state.params[name] for name in names},
        "stats": {name: state.extra["stats"][name] for name in names},
    }
    return State(state.step, state.params, state.opt, {**state.extra, "target": target})


class Method(NamedTuple):
    """A method as pure functions.

    init(key, batch) -> State
    step(state, batch, key) -> (State, metrics), metrics a flat dict of scalars that holds "loss"
    embed(state, batch) -> [B, D], the frozen features that probes and exports use
    refresh(state, data) -> State, optional host-level work every so many steps
    backbone(state) -> (params, stats), the arrays of the encoder that `embed` runs and an export
      writes: the online one, or a teacher where the paper evaluates that
    score(state, batch) -> {name: (sums [B], weights [B])}, optional: how well the method does its
      own task on each example. Over a data set each becomes sum(sums) / sum(weights); "loss" is in
      nats.
    predict(state, batch) -> logits [B, K] over the classes of the data, of methods that learn them,
      by the network that the paper evaluates
    pair(state, batch) -> {leaf: [B, D]}, optional, of methods that bring two kinds of input into
      one space: for each side whose input is in the batch, its place there, under the name of the
      leaf that it reads first
    """

    init: Callable[[jax.Array, Batch], State]
    step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    embed: Callable[[State, Batch], jax.Array]
    refresh: Callable[[State, Any], State] | None = None
    backbone: Callable[[State], tuple[PyTree, PyTree]] = backbone
    score: Callable[[State, Batch], dict[str, tuple[jax.Array, jax.Array]]] | None = None
    predict: Callable[[State, Batch], jax.Array] | None = None
    pair: Callable[[State, Batch], dict[str, jax.Array]] | None = None


def from_loss(
    tx: optax.GradientTransformation,
    *,
    init: Callable[[jax.Array, Batch], tuple[PyTree, PyTree]],
    loss: Callable[[PyTree, PyTree, Batch, jax.Array], tuple[jax.Array, tuple[PyTree, Metrics]]],
    embed: Callable[[State, Batch], jax.Array],
    after: Callable[[PyTree, PyTree, jax.Array], PyTree] | None = None,
    refresh: Callable[[State, Any], State] | None = None,
    backbone: Callable[[State], tuple[PyTree, PyTree]] = backbone,
    score: Callable[[State, Batch], dict[str, tuple[jax.Array, jax.Array]]] | None = None,
    predict: Callable[[State, Batch], jax.Array] | None = None,
    pair: Callable[[State, Batch], dict[str, jax.Array]] | None = None,
    project: Callable[[PyTree], PyTree] | None = None,
) -> Method:
    """Turns a loss with one optimizer into a `Method`.

    Args:
      tx: the optimizer.
      init: (key, batch) -> (params, extra).
      loss: (params, extra, batch, key) -> (scalar, (new extra, metrics)).
      embed: (state, batch) -> [B, D].
      after: (new params, extra, k) -> extra, run after optimizer update number k (from 0): the
        place for EMA targets. Under gradient accumulation (`optax.MultiSteps`) it runs once an
        update, not once a step, so a target network moves as fast as without. A loss that depends
        on time (a temperature, a phase) reads what `after` has put into `extra` for the next step.
      refresh, backbone, score, predict, pair: see `Method`.
      project: params -> params, run after each update: brings parameters back to where they may be.
    """

    def init_state(key: jax.Array, batch: Batch) -> State:
        params, extra = init(key, batch)
        return State(jnp.zeros((), jnp.int32), params, tx.init(params), extra)

    def step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        (value, (extra, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.extra, batch, key
        )
        updates, opt = tx.update(grads, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        if project is not None:
            params = project(params)
        if after is not None:
            before, now = accumulation(state.opt), accumulation(opt)
            if before is not None and now is not None:
                moved = after(params, extra, before.gradient_step)
                due = now.mini_step == 0
                extra = jax.tree.map(lambda new, old: jnp.where(due, new, old), moved, extra)
            else:
                extra = after(params, extra, state.step)
        metrics = {"loss": value, "grad_norm": optax.tree.norm(grads), **metrics}
        return State(state.step + 1, params, opt, extra), metrics

    return Method(init_state, step, embed, refresh, backbone, score, predict, pair)


def from_pretrained(method: Method, params: PyTree, stats: PyTree) -> Method:
    """`method` that begins training with pretrained networks in place of random ones.

    They come in by `refresh` at step 0, so that `init` still gives the random network to compare
    with; cadence.refresh must not be 0. A target network begins as the same.

    Args:
      params, stats: by network, such as {"encoder": ...}; the other networks start as ever.
    Raises: ValueError, from refresh, where a network is not the method's or has other shapes.
    """

    def refresh(state: State, data: Any) -> State:
        if int(state.step) == 0:
            old = (state.params, state.extra["stats"])
            for mine, given in zip(old, (params, stats), strict=True):
                for name, tree in given.items():
                    if jax.tree.map(jnp.shape, tree) != jax.tree.map(jnp.shape, mine.get(name)):
                        raise ValueError(f"the pretrained {name!r} does not fit that of the method")
            extra = {**state.extra, "stats": {**old[1], **stats}}
            if "target" in extra:
                extra["target"] = _replaced(extra["target"], {"params": params, "stats": stats})
            state = State(state.step, {**old[0], **params}, state.opt, extra)
        return state if method.refresh is None else method.refresh(state, data)

    return method._replace(refresh=refresh)


def _replaced(target: PyTree, given: dict[str, PyTree]) -> PyTree:
    """A target whose networks are copies of the given ones: two arrays may not share memory that
    training donates."""
    return target | {
        part: target[part]
        | {n: jax.tree.map(jnp.array, tree) for n, tree in trees.items() if n in target[part]}
        for part, trees in given.items()
        if part in target
    }
