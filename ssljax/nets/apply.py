"""Networks as pure functions: `init` makes (params, stats) and `apply` runs them.

`stats` are the running statistics of batch norm, under the same names as `params`, and {} where a
network has none. Nothing outside `nets` handles Flax collections.
"""

from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp

PyTree = Any


def init(module: nn.Module, key: jax.Array, x: PyTree, **inputs: PyTree) -> tuple[PyTree, PyTree]:
    """Fresh parameters and running statistics.

    Args:
      module: the network.
      key: random key.
      x: an input `[B, ...]`; only shapes and dtypes are read, so `jax.ShapeDtypeStruct` will do.
      inputs: further arrays `[B, ...]` that the network takes by name.
    Returns: (params, stats), plain nested dicts.
    Raises: ValueError where the network cannot take such an input.
    """
    # One example is enough for the shapes, and under jit XLA drops the forward pass altogether.
    x, inputs = jax.tree.map(lambda a: jnp.zeros((1, *a.shape[1:]), a.dtype), (x, inputs))
    variables = jax.jit(lambda key: module.init(key, x, **inputs))(key)
    return variables.get("params", {}), variables.get("batch_stats", {})


def apply(
    module: nn.Module,
    params: PyTree,
    stats: PyTree,
    x: PyTree,
    *,
    train: bool,
    rngs: dict[str, jax.Array] | None = None,
    method: str = "__call__",
    **inputs: PyTree,
) -> tuple[PyTree, PyTree]:
    """Runs a network.

    Args:
      module: the network.
      params: its parameters.
      stats: its running statistics, {} if it has none.
      x: input `[B, ...]`.
      train: normalise by the statistics of this batch and move `stats` towards them.
      rngs: random keys by name, for networks that draw numbers.
      method: what to run, such as "tokens" of a ViT.
      inputs: further arrays that it takes by name, such as the `mask` of a ViT.
    Returns: (output, new stats); with train=False the stats are the ones given.
    Raises: ValueError where parameters and input do not fit.
    """
    variables = {"params": params}
    if stats:
        variables["batch_stats"] = stats
    moving = ["batch_stats"] if train and stats else False
    try:
        out: Any = module.apply(
            variables, x, train=train, rngs=rngs, mutable=moving, method=method, **inputs
        )
    except (flax.errors.ScopeParamShapeError, flax.errors.ScopeParamNotFoundError) as error:
        shapes = jax.tree.map(jnp.shape, x)
        raise ValueError(
            f"the parameters do not fit {type(module).__name__} on an input of shape {shapes}: use "
            f"the image size and channels the network was initialised with ({error})"
        ) from error
    if not moving:
        return out, stats
    y, updated = out
    return y, updated["batch_stats"]


def check_images(x: jax.Array, network: str) -> None:
    """Raises ValueError unless x is a float array `[B, H, W, C]`."""
    if x.ndim != 4:
        raise ValueError(f"{network} takes images [B, H, W, C], got an array of shape {x.shape}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"{network} takes normalised float images, got {x.dtype}: divide by 255 first"
        )


def known_vocab(vocab: int | None, network: str) -> int:
    """The size of a vocabulary. Raises: ValueError where it is still open."""
    if vocab is None:
        raise ValueError(
            f"the vocab of {network} is open: give its number, or take it from data by `filled`"
        )
    return vocab
