"""A linear classifier that learns beside the encoder, to watch a run while it goes on.

It sees the features of `embed`, standardised by the statistics of the batch (batch norm without
scale and shift), and has an optimizer of its own. Nothing flows back: parameters, optimizer and
`extra` of the method are those of a run without it, bit for bit. Its accuracy is measured on each
training batch before it learns from it; that is optimistic beside an offline probe on test data.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax.method import Batch, Method, Metrics, State

_MOMENTUM = 0.9
# Running statistics, for prediction: about the last hundred batches.
_DECAY = 0.99
_EPS = 1e-5


def with_online_probe(method: Method, *, classes: int, learning_rate: float = 0.1) -> Method:
    """`method` with a linear classifier on `embed` features of each batch, in extra["online"].

    Args:
      method: any method; its batches need integer labels batch["label"] [B], -1 for an example
        without one, from which the classifier does not learn.
      classes: number of classes K.
      learning_rate: of the classifier, by SGD with momentum 0.9.
    Returns: a Method whose metrics also hold online_loss and online_accuracy.
    Raises: ValueError, when it is traced, for batches without labels.
    """
    tx = optax.sgd(learning_rate, momentum=_MOMENTUM)

    def init(key: jax.Array, batch: Batch) -> State:
        _labels(batch)
        state = method.init(key, batch)
        width = jax.eval_shape(method.embed, state, batch).shape[1]
        params = {"kernel": jnp.zeros((width, classes)), "bias": jnp.zeros((classes,))}
        stats = {"mean": jnp.zeros((width,)), "var": jnp.ones((width,))}
        return _with(state, {"params": params, "opt": tx.init(params), "stats": stats})

    def step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        labels, online = _labels(batch), state.extra["online"]
        # The barrier keeps XLA from compiling the method's own step differently because of us.
        inner, metrics = jax.lax.optimization_barrier(method.step(_without(state), batch, key))
        features = jax.lax.stop_gradient(method.embed(inner, batch)).astype(jnp.float32)
        mean, var = jnp.mean(features, axis=0), jnp.var(features, axis=0)
        x = (features - mean) * jax.lax.rsqrt(var + _EPS)
        known = (labels >= 0).astype(jnp.float32)  # an example of label -1 has none
        count = jnp.maximum(jnp.sum(known), 1)

        def loss(params: Any) -> tuple[jax.Array, jax.Array]:
            logits = x @ params["kernel"] + params["bias"]
            value = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))
            right = jnp.argmax(logits, axis=1) == labels
            return jnp.sum(value * known) / count, jnp.sum(right * known) / count

        (value, right), grads = jax.value_and_grad(loss, has_aux=True)(online["params"])
        updates, opt = tx.update(grads, online["opt"], online["params"])
        online = {
            "params": optax.apply_updates(online["params"], updates),
            "opt": opt,
            "stats": {
                "mean": _DECAY * online["stats"]["mean"] + (1 - _DECAY) * mean,
                "var": _DECAY * online["stats"]["var"] + (1 - _DECAY) * var,
            },
        }
        return _with(inner, online), metrics | {"online_loss": value, "online_accuracy": right}

    def refresh(state: State, data: Any) -> State:
        assert method.refresh is not None
        return _with(method.refresh(_without(state), data), state.extra["online"])

    def backbone(state: State) -> tuple[Any, Any]:
        return method.backbone(_without(state))

    def inside(function: Callable[[State, Batch], Any] | None) -> Any:
        """The same of the method's own state, or None."""
        if function is None:
            return None
        return lambda state, batch: function(_without(state), batch)

    return method._replace(
        init=init,
        step=step,
        embed=inside(method.embed),
        refresh=None if method.refresh is None else refresh,
        backbone=backbone,
        score=inside(method.score),
        predict=inside(method.predict),
        pair=inside(method.pair),
        links=inside(method.links),
    )


def online_predict(state: State, features: jax.Array) -> jax.Array:
    """Class ids [B] of features [B, D], as `embed` gives them, by the online classifier.

    Raises: ValueError where the state was not trained with one.
    """
    if "online" not in state.extra:
        raise ValueError("this state has no online probe: train with online_probe on")
    params, stats = state.extra["online"]["params"], state.extra["online"]["stats"]
    x = (features.astype(jnp.float32) - stats["mean"]) * jax.lax.rsqrt(stats["var"] + _EPS)
    return jnp.argmax(x @ params["kernel"] + params["bias"], axis=1)


def _labels(batch: Batch) -> jax.Array:
    if "label" not in batch:
        raise ValueError(
            f"the online probe needs labels, and batches hold only {', '.join(sorted(batch))}: "
            "train without it (online_probe off) or on labelled data"
        )
    return batch["label"]


def _with(state: State, online: Any) -> State:
    return State(state.step, state.params, state.opt, {**state.extra, "online": online})


def _without(state: State) -> State:
    extra = {key: value for key, value in state.extra.items() if key != "online"}
    return State(state.step, state.params, state.opt, extra)
