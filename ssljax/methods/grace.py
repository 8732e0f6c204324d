"""GRACE: a node finds itself in another view of the graph, among all nodes of both views.

Zhu et al., "Deep Graph Contrastive Representation Learning", 2020, arXiv:2006.04131; constants of
the authors' code for Cora.

    u, v = MLP(encoder(view 1)), MLP(encoder(view 2)), each view with fewer edges and features
    e(a, b) = exp(cos(a, b) / tau)
    l(u_i) = -log e(u_i, v_i) / (sum_j e(u_i, v_j) + sum_{j != i} e(u_i, u_j))
    L = mean_i (l(u_i) + l(v_i)) / 2
"""

from dataclasses import dataclass
from typing import Any

import jax

from ssljax import nets
from ssljax.losses.graph import grace
from ssljax.method import Batch, Metrics
from ssljax.nets import GCN, MLP
from ssljax.recipes import OfGraphs
from ssljax.views import GraphView


@dataclass(frozen=True, kw_only=True)
class GRACE(OfGraphs):
    """GRACE with the settings for Cora."""

    encoder: Any = GCN(widths=(256, 128))
    projector: MLP = MLP(widths=(128, 128), norm=False, activation="elu")
    views: tuple[GraphView, GraphView] = (
        GraphView(edges=0.2, features=0.3),
        GraphView(edges=0.4, features=0.4),
    )
    temperature: float = 0.4

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        seen = [view(k, batch) for view, k in zip(self.views, jax.random.split(key), strict=True)]
        (u, v), stats = nets.apply_each(self.chain, params, extra["stats"], seen, train=True)
        value = grace(u, v, batch["seed"], temperature=self.temperature)
        return value, ({"stats": stats}, {})
