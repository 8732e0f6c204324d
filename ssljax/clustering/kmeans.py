"""k-means on the accelerator: Lloyd's iterations as matrix products, a block of rows at a time.

    a_i = argmin_k |c_k|^2 - 2 x_i c_k,    c_k = mean of the rows with a_i = k
    a_i = argmax_k x_i c_k,                c_k = sum / |sum|    (spherical: rows of length one)

Lloyd, "Least squares quantization in PCM", 1982, IEEE Trans. Inf. Theory 28(2). Start: k-means++
(Arthur, Vassilvitskii, 2007) in its greedy form, the best of 2 + ln K candidates for each centroid.
Dhillon, Modha, "Concept decompositions for large sparse text data using clustering", 2001, Machine
Learning 42 (spherical). Start, stopping and empty clusters follow scikit-learn: an empty cluster
moves to the row that is farthest from its own centroid.

A key gives the same clusters each time on the same kind of device: blocks are summed in order, and
on accelerators the sums of clusters are matrix products, for scattered additions come in any order
there. No [N, K] array is ever held.
"""

import math
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

_EXACT = jax.lax.Precision.HIGHEST
# Distances [block, K] that are held at a time. A CPU is four times faster where they stay in cache.
_DISTANCES, _CPU_ROWS = 2**24, 1024


class Clusters(NamedTuple):
    """What k-means found.

    centroids: [K, D] float32. assignments: [N] int32. inertia: scalar, the sum of squared distances
    of rows and their centroids (spherical: of rows of length one). iterations: int32.
    """

    centroids: jax.Array
    assignments: jax.Array
    inertia: jax.Array
    iterations: jax.Array


def kmeans(
    x: ArrayLike,
    clusters: int,
    *,
    key: jax.Array,
    start: Literal["k-means++", "random"] | jax.Array = "k-means++",
    tries: int = 1,
    iterations: int = 300,
    tol: float = 1e-4,
    spherical: bool = False,
    block: int | None = None,
) -> Clusters:
    """Clusters the rows of x.

    Args:
      x: [N, D]. clusters: K, at most N.
      key: decides the start; the same key gives the same clusters.
      start: k-means++, K random rows, or centroids [K, D] to begin with (then `tries` must be 1).
      tries: starts; the clustering with the smallest inertia is returned.
      iterations: at most. tol: stop where all centroids together move by less than this, in units
        of the mean variance of a column; 0 stops only where no assignment changes.
      spherical: compare directions: rows and centroids have length one.
      block: rows at a time; by default what suits the device.
    Raises: ValueError for numbers that do not fit the data.
    """
    x = jnp.asarray(x)
    if x.ndim != 2 or not 1 <= clusters <= len(x):
        raise ValueError(f"{clusters} clusters of an array of shape {x.shape}: need [N, D], N >= K")
    given, how = None, "given"
    if not isinstance(start, str):
        given = jnp.asarray(start, jnp.float32)
        if given.shape != (clusters, x.shape[1]) or tries != 1:
            raise ValueError(
                f"a start of shape {given.shape} with tries={tries}: give [{clusters}, "
                f"{x.shape[1]}] and one try"
            )
    elif start not in ("k-means++", "random"):
        raise ValueError(f"there is no start {start!r}: choose 'k-means++', 'random' or an array")
    else:
        how = start
    if tries < 1 or iterations < 1:
        raise ValueError(f"tries {tries} and iterations {iterations} must be at least 1")
    if block is None:
        cpu = jax.default_backend() == "cpu"
        block = _CPU_ROWS if cpu else max(256, _DISTANCES // clusters)
    return _kmeans(
        x,
        given,
        key,
        clusters=clusters,
        start=how,
        tries=tries,
        iterations=iterations,
        tol=tol,
        spherical=spherical,
        block=min(block, len(x)),
    )


@partial(jax.jit, static_argnames=("spherical", "block"))
def assign(
    x: jax.Array, centroids: jax.Array, *, spherical: bool = False, block: int = _CPU_ROWS
) -> jax.Array:
    """The nearest centroid of each row: x [N, D], centroids [K, D] -> int32 [N]."""
    rows, _ = _blocks(x.astype(jnp.float32), min(block, len(x)))
    # The length of a row does not change which centroid is the nearest in angle.
    best = jax.lax.map(lambda part: _nearest(part, centroids, spherical=spherical)[0], rows)
    return best.reshape(-1)[: len(x)]


@partial(jax.jit, static_argnames="clusters")
def plus_plus(key: jax.Array, x: jax.Array, *, clusters: int) -> jax.Array:
    """Greedy k-means++: row numbers [K] of x [N, D]; see the docstring of the module.

    Each next row is drawn with probability proportional to its squared distance from the nearest
    of those before, `2 + ln K` times, and of these the one that lowers the total most is kept.
    """
    n, candidates = len(x), 2 + int(math.log(clusters))
    square = jnp.sum(x * x, axis=1)

    def distances(rows: jax.Array) -> jax.Array:
        """Squared distances [C, N] of the given rows and all rows."""
        products = jnp.dot(x[rows], x.T, precision=_EXACT)
        return jnp.maximum(square[rows][:, None] - 2 * products + square, 0.0)

    def add(i: jax.Array, carry: tuple) -> tuple:
        chosen, nearest, key = carry
        key, draw = jax.random.split(key)
        total = jnp.cumsum(nearest)
        u = jax.random.uniform(draw, (candidates,)) * total[-1]
        drawn = jnp.clip(jnp.searchsorted(total, u, side="right"), 0, n - 1)
        improved = jnp.minimum(nearest, distances(drawn))
        best = jnp.argmin(jnp.sum(improved, axis=1))
        return chosen.at[i].set(drawn[best]), improved[best], key

    key, draw = jax.random.split(key)
    first = jax.random.randint(draw, (1,), 0, n)
    chosen = jnp.zeros(clusters, first.dtype).at[0].set(first[0])
    return jax.lax.fori_loop(1, clusters, add, (chosen, distances(first)[0], key))[0]


@partial(
    jax.jit,
    static_argnames=("clusters", "start", "tries", "iterations", "tol", "spherical", "block"),
)
def _kmeans(
    x: jax.Array,
    given: jax.Array | None,
    key: jax.Array,
    *,
    clusters: int,
    start: str,
    tries: int,
    iterations: int,
    tol: float,
    spherical: bool,
    block: int,
) -> Clusters:
    x = x.astype(jnp.float32)
    # Far from zero, |c|^2 - 2 x c would lose the digits that tell the clusters apart.
    middle = jnp.zeros_like(x[0]) if spherical else jnp.mean(x, axis=0)
    x = _unit(x) if spherical else x - middle
    variance = jnp.mean(jnp.var(x, axis=0))

    def run(key: jax.Array) -> Clusters:
        if given is not None:
            first = _unit(given) if spherical else given - middle
        elif start == "random":
            first = x[jax.random.choice(key, len(x), (clusters,), replace=False)]
        else:
            first = x[plus_plus(key, x, clusters=clusters)]
        return _lloyd(
            x, first, iterations=iterations, tol=tol * variance, spherical=spherical, block=block
        )

    if tries == 1:
        best = run(key)
        return best._replace(centroids=best.centroids + middle)
    keys = jax.random.split(key, tries)

    def again(i: jax.Array, best: Clusters) -> Clusters:
        found = run(keys[i])
        return jax.tree.map(lambda a, b: jnp.where(found.inertia < best.inertia, a, b), found, best)

    best = jax.lax.fori_loop(1, tries, again, run(keys[0]))
    return best._replace(centroids=best.centroids + middle)


def _lloyd(
    x: jax.Array,
    first: jax.Array,
    *,
    iterations: int,
    tol: jax.Array,
    spherical: bool,
    block: int,
) -> Clusters:
    """Lloyd's iterations on centred or unit rows x [N, D] from centroids `first` [K, D]."""
    k = len(first)
    rows, real = _blocks(x, block)
    square = jnp.sum(rows * rows, axis=2)

    def sweep(centroids: jax.Array, *, move: bool) -> tuple:
        """One pass: assignments and distances [blocks, block], sums [K, D], counts [K]."""

        def one(carry: tuple, part: tuple) -> tuple:
            sums, counts = carry
            x, length, real = part
            best, score = _nearest(x, centroids, spherical=spherical)
            distance = jnp.where(real, jnp.maximum(length + score, 0.0), 0.0)
            if move:
                more, members = jax.lax.platform_dependent(
                    x, best, real, cpu=partial(_scatter, k), default=partial(_multiply, k)
                )
                sums, counts = sums + more, counts + members
            return (sums, counts), (best, distance)

        zero = (jnp.zeros_like(centroids), jnp.zeros(k))
        (sums, counts), (best, distance) = jax.lax.scan(one, zero, (rows, square, real))
        return best, distance, sums, counts

    def reseed(best: jax.Array, distance: jax.Array, sums: jax.Array, counts: jax.Array) -> tuple:
        """Empty cluster number e (in order) takes the row with the e-th largest distance."""
        far, at = jax.lax.top_k(distance.reshape(-1), k)
        empty = counts == 0
        place = jnp.where(empty, jnp.cumsum(empty) - 1, 0)
        row, old = rows.reshape(-1, rows.shape[2])[at[place]], best.reshape(-1)[at[place]]
        # Fewer different rows than clusters: nothing is left to take.
        take = (empty & (far[place] > 0)).astype(jnp.float32)
        sums = sums.at[old].add(-take[:, None] * row) + take[:, None] * row
        return sums, counts.at[old].add(-take) + take

    def step(carry: tuple) -> tuple:
        centroids, before, _, _, i = carry
        best, distance, sums, counts = sweep(centroids, move=True)
        sums, counts = jax.lax.cond(
            jnp.any(counts == 0), reseed, lambda _, __, *same: same, best, distance, sums, counts
        )
        mean = sums / jnp.maximum(counts, 1.0)[:, None]
        mean = _unit(mean) if spherical else mean
        moved = jnp.where(counts[:, None] > 0, mean, centroids)
        return moved, best, jnp.all(best == before), jnp.sum((moved - centroids) ** 2), i + 1

    def going(carry: tuple) -> jax.Array:
        _, _, same, shift, i = carry
        return (i < iterations) & ~same & ((shift > tol) | (i == 0))

    nothing = jnp.full(real.shape, -1, jnp.int32)
    carry = (first, nothing, jnp.array(False), jnp.array(jnp.inf), jnp.array(0, jnp.int32))
    centroids, _, _, _, steps = jax.lax.while_loop(going, step, carry)
    best, _, _, _ = sweep(centroids, move=False)

    def error(total: jax.Array, part: tuple) -> tuple:
        x, best, real = part  # differences, for the squares above have lost digits
        return total + jnp.sum(jnp.where(real[:, None], (x - centroids[best]) ** 2, 0.0)), None

    inertia, _ = jax.lax.scan(error, jnp.zeros(()), (rows, best, real))
    return Clusters(centroids, best.reshape(-1)[: len(x)], inertia, steps)


def _multiply(
    k: int, x: jax.Array, best: jax.Array, real: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sums [K, D] and counts [K] of the rows x [M, D] of each cluster, as a matrix product."""
    member = ((best[:, None] == jnp.arange(k)) & real[:, None]).astype(jnp.float32)
    return jnp.dot(member.T, x, precision=_EXACT), jnp.sum(member, axis=0)


def _scatter(k: int, x: jax.Array, best: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same by additions one after the other, which on a CPU are faster and in order."""
    weight = real.astype(jnp.float32)
    sums = jnp.zeros((k, x.shape[1])).at[best].add(weight[:, None] * x)
    return sums, jnp.zeros(k).at[best].add(weight)


def _nearest(x: jax.Array, centroids: jax.Array, *, spherical: bool) -> tuple[jax.Array, jax.Array]:
    """Of rows x [M, D]: the nearest centroids, int32 [M], and squared distance minus |x|^2 [M]."""
    products = jnp.dot(x, centroids.T, precision=_EXACT)
    lengths = 1.0 if spherical else jnp.sum(centroids * centroids, axis=1)
    scores = lengths - 2 * products
    best = jnp.argmin(scores, axis=1).astype(jnp.int32)
    return best, jnp.min(scores, axis=1)


def _blocks(x: jax.Array, block: int) -> tuple[jax.Array, jax.Array]:
    """[N, D] as [blocks, block, D], filled up with zeros, and a mask of the real rows."""
    n = len(x)
    count = -(-n // block)
    real = (jnp.arange(count * block) < n).reshape(count, block)
    return jnp.pad(x, ((0, count * block - n), (0, 0))).reshape(count, block, -1), real


def _unit(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24))
