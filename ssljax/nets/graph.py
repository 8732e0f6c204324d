"""Graph networks: each node gathers what its neighbours say, a layer at a time.

    GCN        h_i = sum_j x_j W / sqrt(d_i d_j) + b, over the neighbours and the node itself
    GAT        h_i = sum_j a_ij x_j W + b, with a softmax of LeakyReLU(u W x_j + v W x_i) over j
    GraphSAGE  h_i = mean_j x_j L + b + x_i R
    GIN        h_i = MLP((1 + eps) x_i + sum_j x_j)
    RGCN       h_i = x_i R + b + sum_r mean_{j by relation r} x_j W_r

Kipf and Welling 2017 (arXiv:1609.02907), Velickovic et al. 2018 (arXiv:1710.10903), Hamilton et al.
2017 (arXiv:1706.02216), Xu et al. 2019 (arXiv:1810.00826), Schlichtkrull et al. 2018
(arXiv:1703.06103). Numbers and details are those of PyTorch Geometric: GCN and GAT replace the
loops of a node onto itself by one of their own, the others take loops as they come; several edges
between two nodes count several times; degrees are those of incoming edges.

A graph is {"features": [N, D], "edges": int [N, K, 2], "node": bool [N]}: the edges, source and
target by their row, lie N by N in no order, and -1 stands for no edge. So every array has one row
for each node, and a batch is split over devices like any other. "node" is False where a row is only
there to fill up; it may be left out.
"""

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.start import uniform_bias, uniform_kernel

Graph = dict[str, jax.Array]


def edge_list(x: Graph, *, loops: bool = True) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(source int [E], target int [E], real bool [E]) of a graph, E = N K.

    loops: whether edges of a node onto itself are real. What is not real has source 0 and the
    target N, which `jax.ops.segment_sum` leaves out.
    """
    pairs = x["edges"].reshape(-1, x["edges"].shape[-1])
    source, target = pairs[:, 0], pairs[:, 1]
    real = (source >= 0) & (target >= 0)
    if not loops:
        real &= source != target
    count = len(x["features"])
    return jnp.where(real, source, 0), jnp.where(real, target, count), real


def gather_sum(values: jax.Array, target: jax.Array, count: int) -> jax.Array:
    """Sum of values [E, ...] over the edges into each node, [count, ...]."""
    return jax.ops.segment_sum(values, target, num_segments=count)


def _linear(features: int, name: str, *, bias: bool) -> nn.Dense:
    return nn.Dense(
        features, use_bias=bias, name=name, kernel_init=nn.initializers.glorot_uniform()
    )


def _torch_linear(features: int, width: int, name: str, *, bias: bool) -> nn.Dense:
    """A layer from inputs of `width`, which starts as that of PyTorch does."""
    return nn.Dense(
        features,
        use_bias=bias,
        name=name,
        kernel_init=uniform_kernel,
        bias_init=uniform_bias(width),
    )


class GCNLayer(nn.Module):
    """Mean of the neighbourhood, weighted by both degrees: [N, D] -> [N, width]."""

    width: int

    @nn.compact
    def __call__(self, x: Graph, *, train: bool = False) -> jax.Array:
        del train
        h = _linear(self.width, "lin", bias=False)(x["features"])
        source, target, real = edge_list(x, loops=False)
        count = len(h)
        degree = 1 + gather_sum(real.astype(h.dtype), target, count)
        scale = jax.lax.rsqrt(degree)
        given = h[source] * (scale[source] * scale[jnp.minimum(target, count - 1)])[:, None]
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        return gather_sum(given, target, count) + h / degree[:, None] + bias


class GATLayer(nn.Module):
    """Attention over the neighbourhood: [N, D] -> [N, width], a share of it from each head."""

    width: int
    heads: int = 4
    dropout: float = 0.0
    slope: float = 0.2

    @nn.compact
    def __call__(self, x: Graph, *, train: bool = False) -> jax.Array:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide the width {self.width}")
        each = self.width // self.heads
        h = _linear(self.width, "lin", bias=False)(x["features"])
        h = h.reshape(-1, self.heads, each)
        init = nn.initializers.glorot_uniform()
        as_source = (h * self.param("att_src", init, (1, self.heads, each))).sum(-1)
        as_target = (h * self.param("att_dst", init, (1, self.heads, each))).sum(-1)
        source, target, real = edge_list(x, loops=False)
        count = len(h)
        here = jnp.minimum(target, count - 1)
        own = jax.nn.leaky_relu(as_source + as_target, self.slope)
        score = jax.nn.leaky_relu(as_source[source] + as_target[here], self.slope)
        score = jnp.where(real[:, None], score, -jnp.inf)
        top = jnp.maximum(jax.ops.segment_max(score, target, num_segments=count), own)
        top = jax.lax.stop_gradient(top)
        weight = jnp.where(real[:, None], jnp.exp(score - top[here]), 0.0)
        mine = jnp.exp(own - top)
        total = gather_sum(weight, target, count) + mine
        drop = nn.Dropout(self.dropout, deterministic=not train)
        weight, mine = drop(weight), drop(mine)
        mixed = gather_sum(weight[..., None] * h[source], target, count) + mine[..., None] * h
        out = (mixed / total[..., None]).reshape(count, self.width)
        return out + self.param("bias", nn.initializers.zeros, (self.width,))


class SAGELayer(nn.Module):
    """The node itself, and the mean of its neighbours: [N, D] -> [N, width]."""

    width: int

    @nn.compact
    def __call__(self, x: Graph, *, train: bool = False) -> jax.Array:
        del train
        h = x["features"]
        source, target, real = edge_list(x)
        degree = gather_sum(real.astype(h.dtype), target, len(h))
        of_mean = _torch_linear(self.width, h.shape[1], "lin_l", bias=True)
        of_own = _torch_linear(self.width, h.shape[1], "lin_r", bias=False)

        def mean(of: jax.Array) -> jax.Array:
            return gather_sum(of[source], target, len(h)) / jnp.maximum(degree, 1)[:, None]

        if h.shape[1] <= self.width:
            return of_mean(mean(h)) + of_own(h)
        # The narrower one is what edges carry; a node without neighbours has the bias alone.
        alone = of_mean(jnp.zeros_like(h[:1]))
        given = jnp.where(degree[:, None] > 0, mean(of_mean(h)), alone)
        return given + of_own(h)


class GINLayer(nn.Module):
    """An MLP of the node and the sum of its neighbours: [N, D] -> [N, width]."""

    width: int

    @nn.compact
    def __call__(self, x: Graph, *, train: bool = False) -> jax.Array:
        del train
        h = x["features"]
        source, target, _ = edge_list(x)
        eps = self.param("eps", nn.initializers.zeros, (1,))
        h = (1 + eps) * h + gather_sum(h[source], target, len(h))
        h = jax.nn.relu(_torch_linear(self.width, h.shape[1], "lins_0", bias=True)(h))
        return _torch_linear(self.width, self.width, "lins_1", bias=True)(h)


class RGCNLayer(nn.Module):
    """Neighbours by relation: edges are [N, K, 3], source, target and relation.

    With `bases` the matrix of a relation is a mix of that many: [N, D] -> [N, width]. All is NaN
    where an edge has a relation that is not below `relations`.
    """

    width: int
    relations: int
    bases: int = 0

    @nn.compact
    def __call__(self, x: Graph, *, train: bool = False) -> jax.Array:
        del train
        h = x["features"]
        count, wide = h.shape
        source, target, real = edge_list(x)
        relation = jnp.where(real, x["edges"].reshape(-1, 3)[:, 2], 0)
        h = jnp.where(jnp.any(relation >= self.relations), jnp.nan, h)  # a number that is not known
        # The mean over the neighbours by one relation: how many there are, for each edge.
        slot = jnp.where(real, target * self.relations + relation, count * self.relations)
        many = jax.ops.segment_sum(real.astype(h.dtype), slot, num_segments=count * self.relations)
        share = real / jnp.maximum(many[jnp.minimum(slot, len(many) - 1)], 1)
        init = nn.initializers.glorot_uniform()
        parts = self.bases or self.relations
        weight = self.param("weight", init, (parts, wide, self.width))
        if self.bases:
            mix = self.param("comp", init, (self.relations, self.bases))[relation]
        else:
            mix = jax.nn.one_hot(relation, parts, dtype=h.dtype)

        def one(total: jax.Array, part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            matrix, factor = part
            factor = (share * factor)[:, None]
            if wide > self.width:  # the narrower one is what edges carry
                return total + gather_sum((h @ matrix)[source] * factor, target, count), None
            return total + gather_sum(h[source] * factor, target, count) @ matrix, None

        root = self.param("root", init, (wide, self.width))
        start = h @ root + self.param("bias", nn.initializers.zeros, (self.width,))
        return jax.lax.scan(one, start, (weight, mix.T))[0]


class GraphNet(nn.Module):
    """Layers one after another; what they share."""

    widths: tuple[int, ...] = (256, 256)
    """Width of each layer."""
    activation: Literal["relu", "prelu", "elu"] = "relu"
    """What follows each layer."""
    last: bool = True
    """Whether the last layer has norm and activation too."""
    norm: bool = False
    """Batch norm over the nodes, before the activation."""
    dropout: float = 0.0
    """Share of the inputs of each layer that is left out in training (random key "dropout")."""

    def layer(self, width: int, name: str) -> nn.Module:
        """The layer of a kind of network."""
        raise TypeError("this is what graph networks share: use GCN, GAT, GraphSAGE, GIN or RGCN")

    @nn.compact
    def __call__(self, x: Graph, *, train: bool = False) -> jax.Array:
        """Features [N, widths[-1]] of the nodes."""
        _check(x, type(self).__name__)
        h = x["features"].astype(jnp.float32)
        for i, width in enumerate(self.widths):
            h = nn.Dropout(self.dropout, deterministic=not train)(h)
            h = self.layer(width, f"convs_{i}")(x | {"features": h}, train=train)
            if i == len(self.widths) - 1 and not self.last:
                break
            if self.norm:
                norm = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, epsilon=1e-5, name=f"norms_{i}"
                )
                node = x.get("node")
                h = norm(h, mask=None if node is None else node[:, None])
            if self.activation == "prelu":
                slope = self.param(f"slopes_{i}", nn.initializers.constant(0.25), ())
                h = jnp.where(h >= 0, h, slope * h)
            else:
                h = getattr(jax.nn, self.activation)(h)
        return h


class GCN(GraphNet):
    """A graph convolutional network."""

    def layer(self, width: int, name: str) -> nn.Module:
        return GCNLayer(width, name=name)


class GAT(GraphNet):
    """A graph attention network."""

    heads: int = 4
    """Heads of each layer, which share its width."""
    attention_dropout: float = 0.0
    """Share of the attention weights that is left out in training."""

    def layer(self, width: int, name: str) -> nn.Module:
        return GATLayer(width, heads=self.heads, dropout=self.attention_dropout, name=name)


class GraphSAGE(GraphNet):
    """A network that keeps a node apart from the mean of its neighbours."""

    def layer(self, width: int, name: str) -> nn.Module:
        return SAGELayer(width, name=name)


class GIN(GraphNet):
    """A network as strong as the test of isomorphism by Weisfeiler and Leman."""

    def layer(self, width: int, name: str) -> nn.Module:
        return GINLayer(width, name=name)


class RGCN(GraphNet):
    """A network for edges of several relations, such as those of a knowledge graph."""

    relations: int = 1
    """Kinds of edges."""
    bases: int = 0
    """Matrices that those of all relations are mixed from; 0: each has its own."""

    def layer(self, width: int, name: str) -> nn.Module:
        return RGCNLayer(width, self.relations, self.bases, name=name)


def _check(x: Any, network: str) -> None:
    """Raises ValueError unless x is a graph."""
    shapes = jax.tree.map(jnp.shape, x)
    if not isinstance(x, dict) or not {"features", "edges"} <= x.keys():
        raise ValueError(f"{network} takes a graph with features and edges, got {shapes}")
    features, edges = x["features"], x["edges"]
    if features.ndim != 2 or edges.ndim != 3 or len(features) != len(edges):
        raise ValueError(
            f"{network} takes features [N, D] and edges [N, K, 2], got {shapes}: pack the edges "
            "with ssljax.data.pack_edges"
        )
    if not math.prod(features.shape):
        raise ValueError(f"{network}: there are no nodes or no features, {shapes}")


def permuted(key: jax.Array, node: jax.Array) -> jax.Array:
    """A random order of the rows where `node` [N] is True, int [N]; the others stay in place."""
    here = jnp.argsort(~node, stable=True)  # rows of nodes first, the others after them
    noise = jnp.where(node, jax.random.uniform(key, node.shape), jnp.inf)
    return jnp.zeros(len(node), jnp.int32).at[here].set(jnp.argsort(noise, stable=True))
