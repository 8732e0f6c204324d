"""Losses of graphs: what is a node worth, and which nodes are joined.

VGAE (Kipf and Welling 2016, arXiv:1611.07308), DGI (Velickovic et al. 2019, arXiv:1809.10341),
GRACE (Zhu et al. 2020, arXiv:2006.04131), BGRL (Thakoor et al. 2022, arXiv:2102.06514) and GraphMAE
(Hou et al. 2022, arXiv:2205.10803); constants as in the authors' code.

`node` [N] is 1 for nodes that count and 0 for others, whose rows change nothing.
"""

import jax
import jax.numpy as jnp

from ssljax.losses.normalize import l2_normalize


def link_reconstruction(
    z: jax.Array, source: jax.Array, target: jax.Array, real: jax.Array, node: jax.Array
) -> jax.Array:
    """Mean weighted cross-entropy of sigma(z_i . z_j) for all pairs of nodes, scalar.

        L = norm / N^2 sum_ij [ pos A_ij softplus(-s_ij) + (1 - A_ij) softplus(s_ij) ],  A_ii = 1
        pos = (N^2 - E) / E,    norm = N^2 / (2 (N^2 - E)),    E edges without loops

    Args:
      z: [N, D]. source, target: int [E] as `nets.graph.edge_list` gives them, without loops; each
        edge once. real: bool [E]. node: [N].
    """
    n = len(z)
    node = node.astype(jnp.float32)
    scores = z @ z.T
    pairs = node[:, None] * node[None, :]
    count = node.sum()
    edges = real.astype(jnp.float32).sum()
    pos = (count**2 - edges) / jnp.maximum(edges, 1)
    norm = count**2 / (2 * (count**2 - edges))
    # All pairs as if none were joined, then the difference for those that are: no [N, N] of A.
    absent = jnp.sum(pairs * jax.nn.softplus(scores))
    here = jnp.minimum(target, n - 1)
    s = jnp.sum(z[source] * z[here], axis=-1)
    joined = jnp.sum(jnp.where(real, pos * jax.nn.softplus(-s) - jax.nn.softplus(s), 0.0))
    own = jnp.sum(z * z, axis=-1)
    loops = jnp.sum(node * (pos * jax.nn.softplus(-own) - jax.nn.softplus(own)))
    return norm * (absent + joined + loops) / count**2


def infomax(real: jax.Array, fake: jax.Array, node: jax.Array) -> jax.Array:
    """Mean cross-entropy of scores [N] of nodes of the graph (1) and of a shuffled one (0)."""
    node = node.astype(jnp.float32)
    value = jax.nn.softplus(-real) + jax.nn.softplus(fake)
    return jnp.sum(node * value) / (2 * jnp.sum(node))


def grace(u: jax.Array, v: jax.Array, node: jax.Array, *, temperature: float) -> jax.Array:
    """InfoNCE between two views of all nodes [N, D], with the others of both views as negatives:
    2 N - 1 terms in the denominator.
    """
    u, v = l2_normalize(u), l2_normalize(v)
    node = node.astype(jnp.float32)
    off = jnp.where(node > 0, 0.0, -jnp.inf)

    def one(a: jax.Array, b: jax.Array) -> jax.Array:
        across = a @ b.T / temperature
        within = a @ a.T / temperature
        within = jnp.where(jnp.eye(len(a), dtype=bool), -jnp.inf, within)
        all_ = jnp.concatenate([across + off, within + off], axis=1)
        return jax.nn.logsumexp(all_, axis=1) - jnp.diagonal(across)

    return jnp.sum(node * (one(u, v) + one(v, u)) / 2) / jnp.sum(node)


def scaled_cosine_error(
    guess: jax.Array, truth: jax.Array, hidden: jax.Array, *, power: float
) -> jax.Array:
    """Mean over the hidden nodes, bool [N], of (1 - cos(guess, truth))^power; rows [N, D]."""
    hidden = hidden.astype(jnp.float32)
    cosine = jnp.sum(l2_normalize(guess) * l2_normalize(truth), axis=-1)
    # cos may exceed 1 by rounding, and a negative number has no power.
    error = jnp.maximum(1 - cosine, 0.0) ** power
    return jnp.sum(hidden * error) / jnp.maximum(jnp.sum(hidden), 1)


def node_mean(values: jax.Array, node: jax.Array) -> jax.Array:
    """Mean of values [N, ...] over the nodes that count."""
    node = node.astype(values.dtype)
    return jnp.einsum("n,n...->...", node, values) / jnp.maximum(jnp.sum(node), 1)
