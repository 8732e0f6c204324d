"""Variational graph autoencoder: codes of nodes whose products say which nodes are joined.

Kipf and Welling, "Variational Graph Auto-Encoders", 2016, arXiv:1611.07308; constants of the
authors' code. With `variational=False` it is their GAE.

    mu, log s = GCN_mu(h), GCN_s(h),  h = encoder(X, A),  z = mu + s e,  e ~ N(0, 1)
    L = norm mean_ij wBCE(sigmoid(z_i . z_j), A_ij) + 1/N mean_i KL(N(mu_i, s_i^2) || N(0, 1))

The features are h, and mu says which nodes are joined (`links`). Links that are held out for
a test must not be in the edges of the data: `data.Graphs(links=...)` takes care of that.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.graph import link_reconstruction, node_mean
from ssljax.losses.reconstruction import gaussian_kl
from ssljax.method import Batch, Metrics, State
from ssljax.nets import GCN
from ssljax.recipes import OfGraphs


@dataclass(frozen=True, kw_only=True)
class VGAE(OfGraphs):
    """A variational graph autoencoder with the paper's sizes."""

    encoder: Any = GCN(widths=(32,))
    code: int = 16
    """Numbers in the code of a node."""
    variational: bool = True
    """Whether codes are Gaussians; else they are points, and nothing is random."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.inputs(batch)
        keys = jax.random.split(key, 3)
        params, stats = nets.init_chain({"encoder": self.encoder}, keys[0], x)
        h = x | {"features": jnp.zeros((len(x["features"]), self.encoder.widths[-1]))}
        for name, k in zip(self._heads, keys[1:], strict=False):
            params[name], stats[name] = nets.init(self._head, k, h)
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = self.inputs(batch)
        (mean, log_var), stats = self.codes(params, extra["stats"], x, train=True)
        z = mean
        if self.variational:
            z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
        z = jnp.where(x["node"][:, None], z, 0.0)
        value = link_reconstruction(z, *nets.edge_list(x, loops=False), x["node"])
        metrics = {"reconstruction": value}
        if self.variational:
            kl = node_mean(gaussian_kl(mean, log_var), x["node"])
            value = value + kl / jnp.sum(x["node"])
            metrics["kl"] = kl
        return value, ({"stats": stats}, metrics)

    def codes(
        self, params: Any, stats: Any, x: Any, *, train: bool = False
    ) -> tuple[tuple[jax.Array, jax.Array], Any]:
        """((mean, log variance), each [N, code]; new stats) of a graph."""
        h, stats = nets.apply_chain({"encoder": self.encoder}, params, stats, x, train=train)
        parts = [
            nets.apply(self._head, params[name], {}, x | {"features": h}, train=train)[0]
            for name in self._heads
        ]
        # The authors' second layer gives log s, half of the log variance.
        log_var = 2 * parts[1] if self.variational else jnp.zeros_like(parts[0])
        return (parts[0], log_var), stats

    def links(self, state: State, batch: Batch) -> jax.Array:
        """The means of the codes [B, code], whose products are logits that nodes are joined."""
        return self.codes(state.params, state.extra["stats"], self.inputs(batch))[0][0]

    @property
    def _head(self) -> Any:
        return GCN(widths=(self.code,), last=False)

    @property
    def _heads(self) -> tuple[str, ...]:
        return ("mean", "log_std") if self.variational else ("mean",)
