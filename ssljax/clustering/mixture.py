"""Gaussian mixtures by expectation and maximisation, with all densities as logarithms.

    E:  log r_ik = log w_k + log N(x_i | m_k, S_k) - logsumexp_j (the same of j)
    M:  n_k = sum_i r_ik,   w_k = n_k / N,   m_k = sum_i r_ik x_i / n_k,
        S_k = sum_i r_ik (x_i - m_k)(x_i - m_k)^T / n_k + reg I       (its diagonal, for "diag")

Dempster, Laird, Rubin, "Maximum likelihood from incomplete data via the EM algorithm", 1977, JRSS B
39(1); start, regularisation and stopping follow scikit-learn. Components are visited one by one, so
that no [N, K, D] array is ever held.
"""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ssljax.clustering.kmeans import kmeans

_EXACT = jax.lax.Precision.HIGHEST


class Mixture(NamedTuple):
    """weights [K], means [K, D], covariances [K, D] ("diag") or [K, D, D] ("full"), float32."""

    weights: jax.Array
    means: jax.Array
    covariances: jax.Array


class Fit(NamedTuple):
    """A mixture, the mean log-likelihood of a row under it, and the iterations that it took."""

    mixture: Mixture
    log_likelihood: jax.Array
    iterations: jax.Array


def gaussian_mixture(
    x: ArrayLike,
    components: int,
    *,
    key: jax.Array,
    covariance: Literal["diag", "full"] = "full",
    start: Mixture | None = None,
    iterations: int = 100,
    tol: float = 1e-3,
    reg: float = 1e-6,
) -> Fit:
    """Fits a mixture to the rows of x [N, D].

    Args:
      components: K, at most N. key: decides the start by k-means; not used where `start` is given.
      covariance: one variance a column, or full matrices.
      start: the mixture to begin with; by default one M step on the clusters of k-means.
      iterations: at most. tol: stop where the mean log-likelihood rises by less.
      reg: added to all variances; it must be above 0 where a component may hold few rows.
    Raises: ValueError for numbers that do not fit the data.
    """
    x = jnp.asarray(x)
    if x.ndim != 2 or not 1 <= components <= len(x):
        raise ValueError(f"{components} components of an array of shape {x.shape}: need [N, D]")
    if covariance not in ("diag", "full"):
        raise ValueError(f"there is no covariance {covariance!r}: choose 'diag' or 'full'")
    full = covariance == "full"
    if start is None:
        labels = kmeans(x, components, key=key).assignments
    else:
        labels = None
        if start.covariances.ndim != 2 + full or start.means.shape != (components, x.shape[1]):
            raise ValueError(f"the start does not fit {components} components, {covariance!r}")
    return _fit(
        x, labels, start, components=components, full=full, steps=iterations, tol=tol, reg=reg
    )


@jax.jit
def log_joint(x: jax.Array, mixture: Mixture) -> jax.Array:
    """log w_k + log N(x_i | m_k, S_k): x [N, D] -> [N, K].

    Its log-sum-exp over k is a row's log-likelihood, its softmax the responsibilities, and its
    argmax the component that most likely made the row.
    """
    x = x.astype(jnp.float32)
    d = x.shape[1]

    def one(component: tuple) -> jax.Array:
        mean, covariance = component
        if covariance.ndim == 1:
            standard = (x - mean) / jnp.sqrt(covariance)
            log_det = jnp.sum(jnp.log(covariance))
        else:
            root = jnp.linalg.cholesky(covariance)
            standard = jax.scipy.linalg.solve_triangular(root, (x - mean).T, lower=True).T
            log_det = 2 * jnp.sum(jnp.log(jnp.diagonal(root)))
        return -0.5 * (d * jnp.log(2 * jnp.pi) + log_det + jnp.sum(standard**2, axis=1))

    density = jax.lax.map(one, (mixture.means, mixture.covariances))
    return density.T + jnp.log(mixture.weights)


def _maximise(x: jax.Array, resp: jax.Array, *, full: bool, reg: float) -> Mixture:
    """The M step: x [N, D], responsibilities [N, K]."""
    # As in scikit-learn, so that an empty component divides by something.
    counts = jnp.sum(resp, axis=0) + 10 * jnp.finfo(jnp.float32).eps
    means = jnp.dot(resp.T, x, precision=_EXACT) / counts[:, None]

    def one(component: tuple) -> jax.Array:
        mean, weight, count = component
        away = x - mean
        if full:
            matrix = jnp.dot((weight[:, None] * away).T, away, precision=_EXACT) / count
            return matrix + reg * jnp.eye(x.shape[1])
        return jnp.sum(weight[:, None] * away**2, axis=0) / count + reg

    covariances = jax.lax.map(one, (means, resp.T, counts))
    return Mixture(counts / jnp.sum(counts), means, covariances)


@partial(jax.jit, static_argnames=("components", "full", "steps", "tol", "reg"))
def _fit(
    x: jax.Array,
    labels: jax.Array | None,
    start: Mixture | None,
    *,
    components: int,
    full: bool,
    steps: int,
    tol: float,
    reg: float,
) -> Fit:
    x = x.astype(jnp.float32)
    middle = jnp.mean(x, axis=0)  # far from zero, differences would lose digits
    x = x - middle
    if start is None:
        first = _maximise(x, jax.nn.one_hot(labels, components), full=full, reg=reg)
    else:
        first = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), start)
        first = first._replace(means=first.means - middle)

    def going(carry: tuple) -> jax.Array:
        _, now, before, i = carry
        return (i < steps) & ((jnp.abs(now - before) >= tol) | (i < 2))

    def step(carry: tuple) -> tuple:
        mixture, now, _, i = carry
        joint = log_joint(x, mixture)
        evidence = jax.nn.logsumexp(joint, axis=1, keepdims=True)
        mixture = _maximise(x, jnp.exp(joint - evidence), full=full, reg=reg)
        return mixture, jnp.mean(evidence), now, i + 1

    never = jnp.array(-jnp.inf)
    mixture, _, _, done = jax.lax.while_loop(
        going, step, (first, never, never, jnp.array(0, jnp.int32))
    )
    final = jnp.mean(jax.nn.logsumexp(log_joint(x, mixture), axis=1))
    return Fit(mixture._replace(means=mixture.means + middle), final, done)
