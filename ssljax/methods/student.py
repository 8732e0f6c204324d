"""Student: learn targets with weights, true ones and pseudo-labels alike.

    L = (1/B) sum_i w_i l(target_i, net(view(x_i)))

A batch brings "target", or "target.NAME" for each of its arrays, and "weight", of the examples or
of the parts of a target. Dividing by B and not by the sum of weights keeps a few confident labels
from being as loud as many. With `ema` the teacher is a moving average of the weights (Tarvainen,
Valpola, "Mean teachers are better role models", 2017, arXiv:1703.01780). With `renew` pseudo-labels
are made anew while they are learnt from (slimIPL, `pseudolabels.cache`).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.method import Batch, Metrics, State
from ssljax.pseudolabels import cache
from ssljax.recipes_tasks import OfTask
from ssljax.tasks.target import from_named


@dataclass(frozen=True, kw_only=True)
class Student(OfTask):
    """A task trained on targets with weights."""

    ema: float = 0.0
    """Decay of the moving average that labels and is evaluated; 0: the network itself."""
    renew: float = 0.0
    """Probability that a label which nobody has given is made anew after it was learnt from; 0:
    never. A batch then brings "given", bool."""
    pool: int = 0
    """Examples that have a place in the cache of such labels: those of the data."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, extra = super().init(key, batch)
        if self.ema:
            extra["target"] = {"params": params, "stats": extra["stats"]}
        if self.renew:
            guess = jax.eval_shape(self._guess, params, extra, batch)
            extra["cache"] = cache.empty(self.pool, guess)
        return params, extra

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        target, weight = from_named(batch), batch["weight"]
        if self.renew:
            target, weight = cache.learnt(extra["cache"], batch["index"], target, weight)
        target, weight = self.task.moved(batch, target, weight, key=key)
        outputs, stats = self.task.outputs(
            params, extra["stats"], batch, key=key, train=True, target=target
        )
        each = self.task.loss(outputs, target, weight)
        taught = jnp.any(weight > 0, axis=tuple(range(1, weight.ndim)))
        metrics = {k: _mean(v, taught) for k, v in self.task.metrics(outputs, target).items()}
        extra = {**extra, "stats": stats}
        if self.renew:
            extra["cache"] = cache.renew(
                extra["cache"],
                jax.random.fold_in(key, 1),
                batch["index"],
                jax.lax.stop_gradient(self._guess(params, extra, batch)),
                given=batch["given"],
                prob=self.renew,
            )
            metrics["renewed"] = jnp.mean(extra["cache"].renewed.astype(jnp.float32))
        return jnp.mean(each), (extra, metrics)

    def _guess(self, params: Any, extra: Any, batch: Batch) -> Any:
        """(targets, confidence) that the network of now gives to the examples as they are."""
        own = (extra["target"]["params"], extra["target"]["stats"]) if self.ema else None
        params, stats = own or (params, extra["stats"])
        return self.task.pseudo(self.task.outputs(params, stats, batch, key=None, train=False)[0])

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        """The teacher follows; early on it is the plain mean of all weights so far."""
        if not self.ema:
            return extra
        decay = jnp.minimum(self.ema, (k + 1) / (k + 10))
        now = {"params": params, "stats": extra["stats"]}
        target = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, extra["target"], now)
        return {**extra, "target": target}

    def teacher(self, state: State) -> tuple[Any, Any]:
        if self.ema:
            return state.extra["target"]["params"], state.extra["target"]["stats"]
        return super().teacher(state)


def _mean(values: jax.Array, counted: jax.Array) -> jax.Array:
    """Over the examples that count; 0 where none does."""
    return jnp.sum(jnp.where(counted, values, 0)) / jnp.maximum(counted.sum(), 1)
