"""Random views of a graph: fewer edges, fewer features, hidden nodes.

A graph is that of `ssljax.nets.graph`: features [N, D] and edges [N, K, 2], -1 for none.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

Graph = dict[str, jax.Array]


def plain_graph(batch: Graph) -> Graph:
    """The graph in a batch as it is: its leaves features, edges and node."""
    return {k: batch[k] for k in ("features", "edges", "node")}


@dataclass(frozen=True, kw_only=True)
class GraphView:
    """Leaves out edges, each by itself, and whole columns of features, without rescaling."""

    edges: float = 0.0
    """Probability that an edge is left out; the two directions are two edges."""
    features: float = 0.0
    """Probability that a feature is 0 for all nodes."""

    def __post_init__(self) -> None:
        if not (0 <= self.edges < 1 and 0 <= self.features < 1):
            raise ValueError(f"{self}: probabilities must be at least 0 and below 1")

    def __call__(self, key: jax.Array, batch: Graph) -> Graph:
        """A random view of it."""
        of_edges, of_features = jax.random.split(key)
        x = plain_graph(batch)
        if self.edges:
            kept = jax.random.bernoulli(of_edges, 1 - self.edges, x["edges"].shape[:2])
            x["edges"] = jnp.where(kept[..., None], x["edges"], -1)
        if self.features:
            kept = jax.random.bernoulli(of_features, 1 - self.features, x["features"].shape[-1:])
            x["features"] = jnp.where(kept, x["features"], 0)
        return x


def hidden_nodes(key: jax.Array, node: jax.Array, share: float) -> jax.Array:
    """Which nodes to hide, bool [N]: round(share * nodes) of those where `node` is True."""
    order = jnp.where(node, jax.random.uniform(key, node.shape), jnp.inf)
    rank = jnp.argsort(jnp.argsort(order))
    return rank < jnp.round(share * node.sum()).astype(jnp.int32)
