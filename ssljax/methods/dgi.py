"""Deep Graph Infomax: tell a node of the graph from one of a shuffled graph by the graph's summary.

Velickovic et al., "Deep Graph Infomax", ICLR 2019, arXiv:1809.10341; constants of the authors' code
for citation graphs.

    H = encoder(X, A),  F = encoder(X with its rows permuted, A),  s = sigmoid(mean of H)
    L = 1/(2N) sum_i [ softplus(-h_i W s) + softplus(f_i W s) ]

Rows that only fill up a batch are neither permuted nor counted.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.graph import infomax, node_mean
from ssljax.method import Batch, Metrics
from ssljax.nets import GCN
from ssljax.recipes import OfGraphs


@dataclass(frozen=True, kw_only=True)
class DGI(OfGraphs):
    """DGI with the paper's defaults for Cora."""

    encoder: Any = GCN(widths=(512,), activation="prelu")

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        to_net, to_score = jax.random.split(key)
        params, stats = nets.init_chain(self.chain, to_net, self.inputs(batch))
        width = self.encoder.widths[-1]
        score = jax.nn.initializers.glorot_uniform()(to_score, (width, width))
        return params | {"discriminator": {"kernel": score}}, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x, stats = self.inputs(batch), extra["stats"]
        shuffled = x | {"features": x["features"][nets.permuted(key, x["node"])]}
        h, stats = nets.apply_chain(self.chain, params, stats, x, train=True)
        fake, stats = nets.apply_chain(self.chain, params, stats, shuffled, train=True)
        summary = jax.nn.sigmoid(node_mean(h, batch["seed"]))
        by = params["discriminator"]["kernel"] @ summary
        real, made = h @ by, fake @ by
        right = node_mean(((real > 0).astype(jnp.float32) + (made < 0)) / 2, batch["seed"])
        value = infomax(real, made, batch["seed"])
        return value, ({"stats": stats}, {"discriminated": right})
