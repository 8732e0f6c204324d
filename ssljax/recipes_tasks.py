"""The family of methods that learn a task: its network answers, and its encoder gives features."""

from dataclasses import dataclass
from typing import Any

import jax
import optax

from ssljax.method import Batch, Linear, Method, Recipe, State
from ssljax.tasks import Task


@dataclass(frozen=True, kw_only=True)
class OfTask(Recipe):
    """A task is learned; what labels and is evaluated is `teacher`."""

    task: Task

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = self.task.init(key, batch)
        return params, {"stats": stats}

    def teacher(self, state: State) -> tuple[Any, Any]:
        """(params, stats) that label and are evaluated: by default the network itself."""
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
    def networks(self) -> dict[str, Any]:
        return {"encoder": self.task.encoder} | self.task.target.networks

    def arrays(self, state: State) -> Any:
        params = self.teacher(state)[0]
        parts = {name: params["head"][name] for name in self.task.target.networks}
        return {"encoder": params["encoder"]} | parts

    @property
    def decides(self) -> Any:
        return self.task.target

    @property
    def plain_view(self) -> Any:
        return self.task.inputs.view

    def inputs(self, batch: Batch) -> Any:
        return self.task.inputs(batch, None)

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        method = super().build(tx, updates=updates)
        return method if self.task.target.has_classes() else method._replace(predict=None)
