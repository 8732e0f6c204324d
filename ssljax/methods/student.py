"""Student: learn targets with weights, true ones and pseudo-labels alike.

    L = (1/B) sum_i w_i l(target_i, net(view(x_i)))

A batch brings "target", or "target.NAME" for each of its arrays, and "weight", of the examples or
of the parts of a target. Dividing by B and not by the sum of weights keeps a few confident labels
from being as loud as many. With `ema` the teacher is a moving average of the weights (Tarvainen,
Valpola, "Mean teachers are better role models", 2017, arXiv:1703.01780).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax.method import Batch, Linear, Method, Metrics, Recipe, State
from ssljax.tasks import Task
from ssljax.tasks.target import from_named


@dataclass(frozen=True, kw_only=True)
class Student(Recipe):
    """A task trained on targets with weights."""

    task: Task
    ema: float = 0.0
    """Decay of the moving average that labels and is evaluated; 0: the network itself."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = self.task.init(key, batch)
        extra = {"stats": stats}
        return params, extra | ({"target": {"params": params, "stats": stats}} if self.ema else {})

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        outputs, stats = self.task.outputs(params, extra["stats"], batch, key=key, train=True)
        target, weight = self.task.moved(batch, from_named(batch), batch["weight"], key=key)
        each = self.task.loss(outputs, target, weight)
        metrics = {k: jnp.mean(v) for k, v in self.task.metrics(outputs, target).items()}
        return jnp.mean(each), ({**extra, "stats": stats}, metrics)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        """The teacher follows; early on it is the plain mean of all weights so far."""
        if not self.ema:
            return extra
        decay = jnp.minimum(self.ema, (k + 1) / (k + 10))
        now = {"params": params, "stats": extra["stats"]}
        target = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, extra["target"], now)
        return {**extra, "target": target}

    def teacher(self, state: State) -> tuple[Any, Any]:
        """(params, stats) that label and are evaluated."""
        if self.ema:
            return state.extra["target"]["params"], state.extra["target"]["stats"]
        return state.params, state.extra["stats"]

    def predict(self, state: State, batch: Batch, key: jax.Array | None = None) -> jax.Array:
        """Outputs of the task, a pytree of [B, ...]. key: for a random view of each example."""
        return self.task.outputs(*self.teacher(state), batch, key=key, train=False)[0]

    def embed(self, state: State, batch: Batch) -> jax.Array:
        return self.task.features(*self.teacher(state), batch)

    def backbone(self, state: State) -> tuple[Any, Any]:
        """(params, stats) of the encoder that `embed` runs."""
        params, stats = self.teacher(state)
        return params["encoder"], stats["encoder"]

    def classifier(self, state: State) -> Linear | None:
        return Linear.of(self.teacher(state)[0]["head"], self.task.target.reads)

    @property
    def encoder(self) -> Any:
        """The network of the features."""
        return self.task.encoder

    @property
    def plain_view(self) -> Any:
        return self.task.inputs.view

    def inputs(self, batch: Batch) -> Any:
        return self.task.inputs(batch, None)

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        method = super().build(tx, updates=updates)
        return method if self.task.target.has_classes() else method._replace(predict=None)
