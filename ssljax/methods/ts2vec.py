"""TS2Vec: a step of a series is itself in two contexts, at every scale of time.

Yue, Wang, Duan, Yang, Huang, Tong, Xu, "TS2Vec: Towards Universal Representation of Time Series",
AAAI 2022, arXiv:2106.10466.

    z, z' = line(encoder(series in [a, d) and in [b, e), half of whose steps are 0))
    L = hierarchical contrast of z and z' over [b, d),   a <= b < d <= e

(`losses.hierarchy`). Both contexts are drawn once for a batch.

Differs from the paper: any network with a state for each step, of which a linear layer is
contrasted; steps are hidden before the network, not behind its first layer; features are those of
the encoder, the mean over steps.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.hierarchy import hierarchical_contrast
from ssljax.method import Batch, Metrics
from ssljax.nets import FCN, MLP
from ssljax.recipes import Encoding
from ssljax.views import contexts


@dataclass(frozen=True, kw_only=True)
class TS2Vec(Encoding):
    """Contrast of the steps of series, without labels."""

    encoder: Any = FCN()
    """(series, steps) to features; its `states` are those of each step."""
    width: int = 64
    """Of the space in which steps are compared."""
    hidden: float = 0.5
    """Share of the steps that are hidden."""
    alpha: float = 0.5
    """Weight of telling rows apart; the rest is of telling times apart."""

    def inputs(self, batch: Batch) -> Any:
        steps = batch["steps"]
        return jnp.where(steps[..., None], batch["series"], 0.0).astype(jnp.float32), steps

    def check(self, data: Any) -> None:
        if "series" not in data.spec:
            raise ValueError(
                f"this method learns series, and the data has {', '.join(data.spec)}: use data "
                "ts:PATH, read by TimeSeries()"
            )
        if data.spec["series"][0][0] < 2:
            raise ValueError("series of one step have no context: raise --reader.length")

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        one, two = jax.random.split(key)
        x = self.inputs(batch)
        encoder, stats = nets.init(self.encoder, one, x)
        width = jax.eval_shape(lambda p, s: self._states(p, s, x)[0], encoder, stats).shape[-1]
        line, _ = nets.init(self._line, two, jnp.zeros((1, 1, width)))
        return {"encoder": encoder, "line": line}, {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        windows, drop = jax.random.split(key)
        series, steps = self.inputs(batch)
        seen = contexts(windows, steps)  # [2, B, T]
        kept = jax.random.bernoulli(drop, 1 - self.hidden, seen.shape) & seen
        x = jnp.where(kept[..., None], series, 0.0)
        both = x.reshape(-1, *series.shape[1:]), seen.reshape(-1, steps.shape[1])
        states, stats = self._states(params["encoder"], extra["stats"]["encoder"], both)
        z, _ = nets.apply(self._line, params["line"], {}, states, train=True)
        one, two = z.reshape(2, *steps.shape, -1)
        real = seen[0] & seen[1]
        value = hierarchical_contrast(one, two, real, alpha=self.alpha)
        share = jnp.sum(real) / jnp.maximum(jnp.sum(steps), 1)
        return value, (extra | {"stats": {"encoder": stats}}, {"overlap": share})

    def _states(self, params: Any, stats: Any, x: Any) -> tuple[jax.Array, Any]:
        return nets.apply(self.encoder, params, stats, x, train=True, method="states")

    @property
    def _line(self) -> MLP:
        return MLP(widths=(self.width,), norm=False)
