"""Pairs of two modalities: each embedding finds its partner among those of the whole batch.

With x = n(x), y = n(y) [B, D] and s_ij = exp(t) x_i y_j + b:

    CLIP     1/2 mean_i [ logsumexp_j s_ij - s_ii ] + 1/2 mean_j [ logsumexp_i s_ij - s_jj ],  b = 0
             Radford et al. 2021, arXiv:2103.00020
    SigLIP   1/B sum_i [ sum_j softplus(s_ij) - s_ii ]
             Zhai et al. 2023, arXiv:2303.15343: -log sigmoid(y s) with y = 1 for partners, else -1,
             since softplus(-s) = softplus(s) - s

Each has three forms with the same value and gradients. The full form holds all of s [B, B]. The
chunked form holds [chunk, B] of it, on one device. The ring form is for arrays that are split over
a mesh axis of P devices: each device keeps its rows of x, the rows of y travel around the ring, and
a device holds [chunk, B / P] of s at a time. Memory beyond s grows with the embeddings of a
device alone: backward passes compute s anew, and let gradients travel with the rows of y.
`clip_blocks` and `siglip_blocks` choose between these two by the mesh that they are traced in.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh
from jax.sharding import PartitionSpec as P

from ssljax.losses.normalize import l2_normalize
from ssljax.mesh import devices

MAX_LOG_SCALE = 4.605170185988092
"""ln 100: CLIP clips t to [0, ln 100] after every update of the optimizer."""
_RANKED = 1024  # rows that `rank_accuracy` compares, whatever the batch


def clip(x: jax.Array, y: jax.Array, log_scale: jax.Array) -> jax.Array:
    """CLIP's loss over the whole batch, holding all similarities [B, B].

    Args:
      x, y: embeddings [B, D] of the two modalities; row i of each comes from the same example.
      log_scale: t, a scalar; the paper starts at ln(1 / 0.07).
    Returns: scalar float32; ln B where all rows are equal.
    """
    x, y = _unit(x, y)
    s = _products(jnp.exp(log_scale) * x, y)
    spread = jax.nn.logsumexp(s, axis=1) + jax.nn.logsumexp(s, axis=0)
    return jnp.mean(spread / 2 - jnp.diagonal(s))


def clip_chunked(x: jax.Array, y: jax.Array, log_scale: jax.Array, *, chunk: int) -> jax.Array:
    """`clip` that holds [chunk, B] similarities at a time; ValueError unless chunk divides B."""
    return _clip_blocks(x, y, log_scale, chunk, None, None)


def clip_ring(
    x: jax.Array,
    y: jax.Array,
    log_scale: jax.Array,
    *,
    mesh: Mesh,
    axis: str = "data",
    chunk: int | None = None,
) -> jax.Array:
    """`clip` of arrays that are split over a mesh axis of P devices.

    Args:
      mesh, axis: where the rows of x and y are split.
      chunk: rows of a device that meet those of another at a time; None: all B / P.
    Raises: ValueError unless P divides B and chunk divides B / P.
    """
    return _clip_blocks(x, y, log_scale, chunk, mesh, axis)


def clip_blocks(x: jax.Array, y: jax.Array, log_scale: jax.Array, *, chunk: int) -> jax.Array:
    """`clip_ring` where the context's mesh splits batches over several devices, else
    `clip_chunked`.
    """
    return _clip_blocks(x, y, log_scale, chunk, *_context())


def siglip(x: jax.Array, y: jax.Array, log_scale: jax.Array, bias: jax.Array) -> jax.Array:
    """SigLIP's loss over the whole batch, holding all similarities [B, B].

    Args:
      x, y: as in `clip`.
      log_scale: t, a scalar; the paper starts at ln 10. bias: b, a scalar; it starts at -10.
    Returns: scalar float32, the sum over j and the mean over i.
    """
    x, y = _unit(x, y)
    s = _products(jnp.exp(log_scale) * x, y) + bias
    return jnp.mean(jnp.sum(jax.nn.softplus(s), axis=1) - jnp.diagonal(s))


def siglip_chunked(
    x: jax.Array, y: jax.Array, log_scale: jax.Array, bias: jax.Array, *, chunk: int
) -> jax.Array:
    """`siglip`, holding [chunk, B] similarities at a time. Raises: ValueError unless chunk divides
    B.
    """
    return _siglip_blocks(x, y, log_scale, bias, chunk, None, None)


def siglip_ring(
    x: jax.Array,
    y: jax.Array,
    log_scale: jax.Array,
    bias: jax.Array,
    *,
    mesh: Mesh,
    axis: str = "data",
    chunk: int | None = None,
) -> jax.Array:
    """`siglip` of arrays that are split over a mesh axis; arguments and errors of `clip_ring`."""
    return _siglip_blocks(x, y, log_scale, bias, chunk, mesh, axis)


def siglip_blocks(
    x: jax.Array, y: jax.Array, log_scale: jax.Array, bias: jax.Array, *, chunk: int
) -> jax.Array:
    """`siglip_ring` or `siglip_chunked`, as `clip_blocks`."""
    return _siglip_blocks(x, y, log_scale, bias, chunk, *_context())


def rank_accuracy(x: jax.Array, y: jax.Array, group: jax.Array | None = None) -> jax.Array:
    """Share of the rows of x [B, D] whose nearest row of y by cosine is their own; a metric.

    Only the first 1,024 rows meet. group: int [B], rows of y that are as good as one's own, such as
    captions of the same class; None: every row is a group of its own.
    """
    x, y = jax.lax.stop_gradient(_unit(x[:_RANKED], y[:_RANKED]))
    group = jnp.arange(len(x)) if group is None else group[:_RANKED]
    return jnp.mean(group[jnp.argmax(_products(x, y), axis=1)] == group)


def _context() -> tuple[AbstractMesh | None, str | None]:
    """(mesh, axis) over which batches are split in this context; (None, None) on one device."""
    mesh = devices().mesh
    return (mesh, "data") if mesh is not None and mesh.shape["data"] > 1 else (None, None)


def _unit(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    chex.assert_equal_shape((x, y))
    chex.assert_rank(x, 2)
    return l2_normalize(x), l2_normalize(y)


def _products(x: jax.Array, y: jax.Array) -> jax.Array:
    """[R, N] of [R, D] and [N, D], in full float32: less is off by tenths at a scale of 100."""
    return jnp.dot(x, y.T, precision=jax.lax.Precision.HIGHEST)


def _clip_blocks(x, y, log_scale, chunk, mesh, axis) -> jax.Array:
    x, y = _unit(x, y)
    _check(len(x), chunk, mesh, axis)
    x = jnp.exp(log_scale) * x
    over_y, over_x = _spreads(chunk, mesh, axis, x, y)
    return jnp.mean((over_y + over_x) / 2 - jnp.sum(x * y, axis=-1))


def _siglip_blocks(x, y, log_scale, bias, chunk, mesh, axis) -> jax.Array:
    x, y = _unit(x, y)
    _check(len(x), chunk, mesh, axis)
    x = jnp.exp(log_scale) * x
    total = jnp.sum(_softplus_sums(chunk, mesh, axis, x, y, bias))
    return total / len(x) - jnp.mean(jnp.sum(x * y, axis=-1) + bias)


def _check(rows: int, chunk: int | None, mesh: Mesh | None, axis: str | None) -> None:
    devices = 1 if mesh is None else mesh.shape[axis]
    if rows % devices:
        raise ValueError(f"a batch of {rows} cannot be split over {devices} devices")
    if chunk is not None and (chunk < 1 or rows // devices % chunk):
        raise ValueError(
            f"chunk {chunk} does not divide the {rows // devices} rows of a device: choose one "
            "that does"
        )


# The two sums over s, each with a backward pass of its own. Without it, the scan over blocks would
# keep what travels for every block, and a device would hold the embeddings of all of them.
# `shift` and `g` below are columns of the rows of x or y: log-sum-exps, and gradients of them.


def _two_spreads(chunk, mesh, axis, x, y) -> tuple[jax.Array, jax.Array]:
    """logsumexp of x yT over the rows of y [B], and over those of x [B]."""
    return _spreads_forward(chunk, mesh, axis, x, y)[0]


def _spreads_forward(chunk, mesh, axis, x, y):
    def block(rows, columns):
        s = _products(rows["x"], columns["y"])
        rows = rows | {"lse": jnp.logaddexp(rows["lse"], jax.nn.logsumexp(s, axis=1))}
        lse = jnp.logaddexp(columns["lse"], jax.nn.logsumexp(s, axis=0))
        return rows, columns | {"lse": lse}

    least = jnp.full(len(x), -jnp.inf)
    rows, columns = _meet(block, {"x": x, "lse": least}, {"y": y, "lse": least}, chunk, mesh, axis)
    return (rows["lse"], columns["lse"]), (x, y, rows["lse"], columns["lse"])


def _spreads_backward(chunk, mesh, axis, kept, grads):
    x, y, over_y, over_x = kept

    def block(rows, columns):
        s = _products(rows["x"], columns["y"])
        ds = rows["g"][:, None] * jnp.exp(s - rows["lse"][:, None])
        ds = ds + columns["g"] * jnp.exp(s - columns["lse"])
        return _pull(ds, rows, columns)

    rows = {"x": x, "lse": over_y, "g": grads[0], "dx": jnp.zeros_like(x)}
    columns = {"y": y, "lse": over_x, "g": grads[1], "dy": jnp.zeros_like(y)}
    rows, columns = _meet(block, rows, columns, chunk, mesh, axis)
    return rows["dx"], columns["dy"]


_spreads = jax.custom_vjp(_two_spreads, nondiff_argnums=(0, 1, 2))
_spreads.defvjp(_spreads_forward, _spreads_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _softplus_sums(chunk, mesh, axis, x, y, bias) -> jax.Array:
    """sum_j softplus(x_i y_j + bias), [B]."""
    return _softplus_forward(chunk, mesh, axis, x, y, bias)[0]


def _softplus_forward(chunk, mesh, axis, x, y, bias):
    def block(rows, columns):
        s = _products(rows["x"], columns["y"]) + columns["bias"]
        return rows | {"sum": rows["sum"] + jnp.sum(jax.nn.softplus(s), axis=1)}, columns

    columns = {"y": y, "bias": jnp.broadcast_to(bias, len(y))}
    rows, _ = _meet(block, {"x": x, "sum": jnp.zeros(len(x))}, columns, chunk, mesh, axis)
    return rows["sum"], (x, y, bias)


def _softplus_backward(chunk, mesh, axis, kept, g):
    x, y, bias = kept

    def block(rows, columns):
        s = _products(rows["x"], columns["y"]) + columns["bias"]
        ds = rows["g"][:, None] * jax.nn.sigmoid(s)
        rows, columns = _pull(ds, rows, columns)
        return rows, columns | {"dbias": columns["dbias"] + jnp.sum(ds, axis=0)}

    rows = {"x": x, "g": g, "dx": jnp.zeros_like(x)}
    columns = {"y": y, "bias": jnp.broadcast_to(bias, len(y))}
    columns |= {"dy": jnp.zeros_like(y), "dbias": jnp.zeros(len(y))}
    rows, columns = _meet(block, rows, columns, chunk, mesh, axis)
    return rows["dx"], columns["dy"], jnp.sum(columns["dbias"])


_softplus_sums.defvjp(_softplus_forward, _softplus_backward)


def _pull(ds: jax.Array, rows: dict, columns: dict) -> tuple[dict, dict]:
    """Adds the gradients of x and y where that of s [R, N] is ds."""
    dx = rows["dx"] + _products(ds, columns["y"].T)
    return rows | {"dx": dx}, columns | {"dy": columns["dy"] + _products(ds.T, rows["x"].T)}


def _meet(
    block: Callable[[Any, Any], tuple[Any, Any]],
    rows: Any,
    columns: Any,
    chunk: int | None,
    mesh: Mesh | None,
    axis: str | None,
) -> tuple[Any, Any]:
    """Lets all rows meet all columns, block by block.

    Args:
      block: (rows, columns) -> (rows, columns), the same pytrees with something added.
      rows, columns: pytrees of [B, ...]. chunk: rows that meet columns at a time; None: all.
      mesh, axis: the devices they are split over, where columns travel around; None: no split.
    """

    def at_home(rows: Any, columns: Any) -> tuple[Any, Any]:
        if chunk is None:
            return block(rows, columns)
        split = jax.tree.map(lambda a: a.reshape(-1, chunk, *a.shape[1:]), rows)
        columns, rows = jax.lax.scan(lambda c, r: block(r, c)[::-1], columns, split)
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), rows), columns

    if mesh is None:
        return at_home(rows, columns)
    count = mesh.shape[axis]
    around = [(i, (i + 1) % count) for i in range(count)]

    def travel(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        rows, columns = at_home(*carry)
        return (rows, jax.tree.map(lambda a: jax.lax.ppermute(a, axis, around), columns)), None

    # No gradient goes through shard_map, so its check of what is replicated is not needed.
    @partial(jax.shard_map, mesh=mesh, in_specs=P(axis), out_specs=P(axis), check_vma=False)
    def on_device(rows: Any, columns: Any) -> tuple[Any, Any]:
        return jax.lax.scan(travel, (rows, columns), length=count)[0]

    return on_device(rows, columns)
