"""BGRL: predict what a slowly moving copy of the network says of a node in another view.

Thakoor et al., "Large-Scale Representation Learning on Graphs via Bootstrapping", ICLR 2022,
arXiv:2102.06514: BYOL on graphs, without a projector. Constants of the authors' code for Cora.

    L = mean_i [ 2 - cos(q(h1_i), h2'_i) - cos(q(h2_i), h1'_i) ],   h' by the target, no gradient
    after the optimizer step number k:  target += (1 - tau)(online - target)
    tau(k) = 1 - (1 - tau_base)(cos(pi k / K) + 1) / 2

The target starts from weights of its own, not from a copy.
"""

from dataclasses import dataclass
from typing import Any

import jax
import optax

from ssljax import nets, schedules
from ssljax.losses.graph import node_mean
from ssljax.losses.normalize import l2_normalize
from ssljax.method import Batch, Metrics
from ssljax.nets import GCN, MLP
from ssljax.recipes import OfGraphs
from ssljax.views import GraphView


@dataclass(frozen=True, kw_only=True)
class BGRL(OfGraphs):
    """BGRL with the paper's defaults for Cora."""

    encoder: Any = GCN(widths=(512, 256), activation="prelu", norm=True)
    predictor: MLP = MLP(widths=(512, 256), norm=False, activation="prelu")
    views: tuple[GraphView, GraphView] = (
        GraphView(edges=0.2, features=0.2),
        GraphView(edges=0.4, features=0.2),
    )
    tau: float = 0.99
    """Decay of the target at step 0; it rises to 1 along half a cosine."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.inputs(batch)
        online, target = jax.random.split(key)
        chain = self._target | {"predictor": self.predictor}
        params, stats = nets.init_chain(chain, online, x)
        target_params, target_stats = nets.init_chain(self._target, target, x)
        return params, {"stats": stats, "target": {"params": target_params, "stats": target_stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        target = extra["target"]
        seen = [view(k, batch) for view, k in zip(self.views, jax.random.split(key), strict=True)]
        chain = self._target | {"predictor": self.predictor}
        (q1, q2), stats = nets.apply_each(chain, params, extra["stats"], seen, train=True)
        (h1, h2), target_stats = nets.apply_each(
            self._target, target["params"], target["stats"], seen, train=True
        )
        agree = (l2_normalize(q1) * l2_normalize(jax.lax.stop_gradient(h2))).sum(-1)
        agree += (l2_normalize(q2) * l2_normalize(jax.lax.stop_gradient(h1))).sum(-1)
        extra = {"stats": stats, "target": {"params": target["params"], "stats": target_stats}}
        return 2 - node_mean(agree, batch["seed"]), (extra, {})

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.cosine(k, updates, start=self.tau, stop=1.0)
        target, online = extra["target"], {"encoder": params["encoder"]}
        moved = optax.incremental_update(online, target["params"], 1 - tau)
        return extra | {"target": {"params": moved, "stats": target["stats"]}}

    @property
    def _target(self) -> dict[str, Any]:
        """The network that has a target; the predictor has none."""
        return {"encoder": self.encoder}
