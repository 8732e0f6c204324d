"""GraphMAE: hide the features of half of the nodes, and draw them again from their neighbours.

Hou et al., "GraphMAE: Self-Supervised Masked Graph Autoencoders", KDD 2022, arXiv:2205.10803;
constants of the authors' code for Cora.

    x_i = a learned token for hidden i (for a share of them the features of another node instead)
    h = W encoder(x),  h_i = 0 for hidden i,  y = decoder(h)
    L = mean over hidden i of (1 - cos(y_i, x_i))^power

Hiding the codes once more before the decoder is what makes it ask the neighbours.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.graph import scaled_cosine_error
from ssljax.method import Batch, Metrics
from ssljax.nets import GAT, MLP
from ssljax.recipes import OfGraphs
from ssljax.views import hidden_nodes


@dataclass(frozen=True, kw_only=True)
class GraphMAE(OfGraphs):
    """GraphMAE with the paper's defaults for Cora."""

    encoder: Any = GAT(widths=(512, 512), activation="prelu", dropout=0.2)
    hidden: float = 0.5
    """Share of the nodes that are hidden."""
    replaced: float = 0.05
    """Share of the hidden nodes that get the features of another node in place of the token."""
    power: float = 3.0
    """Of the error of a node: above 1, what is drawn well already counts little."""
    heads: int = 4
    """Attention heads of the decoder."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.inputs(batch)
        width = x["features"].shape[-1]
        keys = jax.random.split(key, 3)
        params, stats = nets.init_chain({"encoder": self.encoder}, keys[0], x)
        coded = x | {"features": jnp.zeros((len(x["features"]), self.encoder.widths[-1]))}
        params["bridge"], stats["bridge"] = nets.init(self._bridge, keys[1], coded["features"])
        params["decoder"], stats["decoder"] = nets.init(self._decoder(width), keys[2], coded)
        return params | {"token": jnp.zeros((width,))}, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x, stats = self.inputs(batch), dict(extra["stats"])
        to_hide, to_replace, to_draw, to_drop = jax.random.split(key, 4)
        truth, node = x["features"], x["node"]
        hidden = hidden_nodes(to_hide, batch["seed"], self.hidden)
        swapped = hidden_nodes(to_replace, hidden, self.replaced)
        others = truth[nets.permuted(to_draw, node)]
        shown = jnp.where(hidden[:, None], params["token"], truth)
        shown = jnp.where(swapped[:, None], others, shown)
        h, stats["encoder"] = nets.apply(
            *(self.encoder, params["encoder"], stats["encoder"], x | {"features": shown}),
            train=True,
            rngs={"dropout": to_drop},
        )
        h, _ = nets.apply(self._bridge, params["bridge"], {}, h, train=True)
        h = jnp.where(hidden[:, None], 0.0, h)
        decoder = self._decoder(truth.shape[-1])
        drawn, _ = nets.apply(decoder, params["decoder"], {}, x | {"features": h}, train=True)
        value = scaled_cosine_error(drawn, truth, hidden, power=self.power)
        return value, ({"stats": stats}, {})

    @property
    def _bridge(self) -> Any:
        return MLP(widths=(self.encoder.widths[-1],), output_bias=False)

    def _decoder(self, width: int) -> Any:
        return GAT(widths=(width,), heads=1, last=False)
