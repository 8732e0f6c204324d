"""Parts of a network that the optimizer leaves alone: for good, or until they have a gradient.

A part is named by its path in `params`, such as "head/prototypes". A gradient of zero would not
leave it alone: weight decay goes on, and Adam's averages of zeros make the first steps afterwards
several times too large. What is left alone here is as a tensor without gradient is in torch.

Each part has an optimizer of its own, so that `Optimizer.clip`, the largest norm of all gradients,
is that of the part and that of all the rest.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

PyTree = Any


def locked(tx: optax.GradientTransformation, *parts: str) -> optax.GradientTransformation:
    """`tx` that leaves these parts as they are: no update, no decay, no moments."""
    return _divided(tx, {"locked": optax.set_to_zero()}, parts)


def late(tx: optax.GradientTransformation, *parts: str) -> optax.GradientTransformation:
    """`tx` that leaves these parts alone until the first step in which one of them has a gradient
    other than zero. From then on they learn, by the rate that the others have by then.
    """
    return _divided(tx, {"late": _asleep(tx)}, parts)


def accumulation(opt: PyTree) -> optax.MultiStepsState | None:
    """The counters of an optimizer that averages the gradients of several steps; None of others."""
    nodes = jax.tree.leaves(opt, is_leaf=_is_multi)
    return next((node for node in nodes if _is_multi(node)), None)


def updates_done(opt: PyTree, step: jax.Array) -> jax.Array:
    """Updates that a network has had after `step` steps of one try each: fewer where its optimizer
    accumulates gradients. For methods that write their own `step`.
    """
    counters = accumulation(opt)
    return step if counters is None else jnp.asarray(counters.gradient_step)


def schedules_at(opt: PyTree, k: jax.Array) -> PyTree:
    """An optimizer's state with its schedules at k, where a network has several updates a step."""
    return jax.tree.map(
        lambda node: node._replace(count=k) if _is_clock(node) else node, opt, is_leaf=_is_clock
    )


class _Asleep(NamedTuple):
    """awake: bool scalar, whether there has been a gradient; opt: the state of the optimizer."""

    awake: jax.Array
    opt: PyTree


def _asleep(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    def init(params: PyTree) -> _Asleep:
        return _Asleep(jnp.zeros((), bool), tx.init(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, _Asleep]:
        some = [jnp.any(g != 0) for g in jax.tree.leaves(updates)]
        awake = state.awake | jnp.any(jnp.array(some))
        updates, opt = tx.update(updates, state.opt, params)
        opt = jax.tree.map(lambda a, b: jnp.where(awake, a, b), opt, _paused(opt, state.opt))
        return jax.tree.map(lambda u: jnp.where(awake, u, 0), updates), _Asleep(awake, opt)

    return optax.GradientTransformation(init, update)


def _paused(new: PyTree, old: PyTree) -> PyTree:
    """The old state of an optimizer, but with schedules and counters of steps that have moved."""

    def node(new: PyTree, old: PyTree) -> PyTree:
        if _is_multi(new):
            inner = _paused(new.inner_opt_state, old.inner_opt_state)
            return new._replace(inner_opt_state=inner)
        return new if _is_clock(new) else old

    return jax.tree.map(node, new, old, is_leaf=lambda n: _is_multi(n) or _is_clock(n))


def _is_multi(node: PyTree) -> bool:
    return isinstance(node, optax.MultiStepsState)


def _is_clock(node: PyTree) -> bool:
    """Whether a node of an optimizer's state counts for a schedule of the rate or the decay."""
    return isinstance(node, tuple) and getattr(node, "_fields", ()) == ("count",)


def _divided(
    tx: optax.GradientTransformation,
    other: dict[str, optax.GradientTransformation],
    parts: tuple[str, ...],
) -> optax.GradientTransformation:
    """`tx`, but the other one, given under its name, for what lies under these paths."""
    (name,), under = other, tuple(f"{part}/" for part in parts)

    def label(path: tuple, _: jax.Array) -> str:
        return name if "".join(f"{p.key}/" for p in path).startswith(under) else "free"

    def labels(params: PyTree) -> PyTree:
        return jax.tree_util.tree_map_with_path(label, params)

    return optax.partition({"free": tx, **other}, labels) if parts else tx
