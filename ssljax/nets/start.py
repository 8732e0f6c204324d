"""How weights start where that is not Flax's way (kernels of variance 1 / inputs, biases zero).

torch's linear and convolution    kernel and bias uniform in +-1 / sqrt(inputs)
Xavier                            uniform in +-sqrt(6 / (inputs + outputs)), Glorot, Bengio 2010
by depth                          what a block adds, over sqrt(2 l) in block l = 1, 2, ...
"""

import math
import re
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

PyTree = Any
Initializer = Callable[..., jax.Array]

uniform_kernel: Initializer = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""torch's start of a kernel: a variance of 1 / (3 inputs)."""


def uniform_bias(inputs: int) -> Initializer:
    """torch's start of the bias of a layer in which `inputs` numbers are summed."""
    bound = inputs**-0.5

    def start(key: jax.Array, shape: tuple[int, ...], dtype: Any = float) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return start


def xavier_patches(key: jax.Array, shape: tuple[int, ...], dtype: Any = float) -> jax.Array:
    """Xavier's start of a convolution that does not overlap, drawn as the linear layer it is."""
    flat = (math.prod(shape[:-1]), shape[-1])
    return nn.initializers.xavier_uniform()(key, flat, dtype).reshape(shape)


def xavier(key: jax.Array, params: PyTree) -> PyTree:
    """Fresh kernels for a tree of transformer parameters, as MAE starts them; the rest stays.

    That of the patches too is drawn as if it were a linear layer.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)

    def fresh(key: jax.Array, path: tuple, leaf: jax.Array) -> jax.Array:
        if path[-1].key != "kernel":
            return leaf
        rows = leaf.size // leaf.shape[-1]
        bound = (6 / (rows + leaf.shape[-1])) ** 0.5
        return jax.random.uniform(key, leaf.shape, leaf.dtype, -bound, bound)

    keys = jax.random.split(key, len(leaves))
    return tree.unflatten([fresh(k, *leaf) for k, leaf in zip(keys, leaves, strict=True)])


def by_depth(params: PyTree) -> PyTree:
    """Parameters of a transformer (`blocks_0`, ...) whose last kernels of attention and of
    feedforward part, what a block adds to its input, are divided by sqrt(2 l), as I-JEPA does it.
    """

    def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
        name = "/".join(str(part.key) for part in path)
        block = re.search(r"blocks_(\d+)/(attn/proj|mlp/fc2)/kernel$", name)
        return leaf if block is None else leaf / (2 * (int(block[1]) + 1)) ** 0.5

    return jax.tree_util.tree_map_with_path(scaled, params)
