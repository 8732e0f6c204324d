"""Labels that spread over a graph of nearest neighbours, sparse, for some ten thousand examples.

    W_ij = exp((s_ij - 1) / T) for the k nearest j of i by cosine, symmetric by the larger of both
    propagation   F <- D^-1 W F, the labelled rows reset         Zhu, Ghahramani, 2002
    spreading     F <- a D^-1/2 W D^-1/2 F + (1 - a) Y           Zhou et al., 2004 (NIPS 2003)
    vote          p_i = norm sum over the k nearest labelled j of exp(s_ij / T) y_j

Zhu, Ghahramani, "Learning from labeled and unlabeled data with label propagation", CMU-CALD-02-107;
Zhou et al., "Learning with local and global consistency". scikit-learn has the first two on dense
matrices, with the same result on the same W.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

_CHUNK = 1024


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length one, float32 [N, D]."""
    x = np.asarray(x, np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def nearest(bank: np.ndarray, queries: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(cosines float32 [M, k], row numbers int [M, k]) of the k nearest rows of bank [N, D] to each
    of queries [M, D], nearest first; k is at most N. Exact.
    """
    bank, queries, k = unit(bank), unit(queries), min(k, len(bank))
    if jax.default_backend() == "cpu":  # XLA's top-k sorts whole rows there
        from sklearn.neighbors import NearestNeighbors  # takes seconds

        search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(bank)
        distance, index = search.kneighbors(queries)
        return (1 - distance**2 / 2).astype(np.float32), index

    @jax.jit
    def top(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.lax.top_k(jnp.dot(rows, bank.T, precision=jax.lax.Precision.HIGHEST), k)

    parts = []
    for start in range(0, len(queries), _CHUNK):
        rows = queries[start : start + _CHUNK]
        padded = np.pad(rows, ((0, _CHUNK - len(rows)), (0, 0)))  # one shape, one compilation
        parts.append(tuple(np.asarray(x)[: len(rows)] for x in top(padded)))
    return np.concatenate([s for s, _ in parts]), np.concatenate([i for _, i in parts])


def vote(
    similarity: np.ndarray, labels: np.ndarray, *, classes: int, temperature: float
) -> np.ndarray:
    """Shares of a weighted vote, float64 [M, K]: similarity, labels [M, k] of the neighbours."""
    s = similarity.astype(np.float64)
    weight = np.exp((s - s.max(1, keepdims=True)) / temperature)
    p = (weight[:, :, None] * (labels[:, :, None] == np.arange(classes))).sum(1)
    return p / p.sum(1, keepdims=True)


def neighbour_graph(x: np.ndarray, *, k: int, temperature: float) -> sparse.csr_matrix:
    """W of the rows of x [N, D], symmetric, its diagonal zero, about N k numbers.

    Raises: ValueError for k that is not below N.
    """
    if not 1 <= k < len(x):
        raise ValueError(f"{k} neighbours among {len(x)} examples: need 1 <= k < N")
    similarity, index = nearest(x, x, k=k + 1)
    weight = np.exp((similarity.astype(np.float64) - 1) / temperature)
    rows = np.repeat(np.arange(len(x)), k + 1)
    w = sparse.csr_matrix((weight.ravel(), (rows, index.ravel())), shape=(len(x), len(x)))
    w.setdiag(0)
    w.eliminate_zeros()
    return w.maximum(w.T).tocsr()


def propagation(
    w: sparse.csr_matrix,
    index: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    iterations: int = 1000,
    tol: float = 1e-5,
) -> np.ndarray:
    """Probabilities float64 [N, K] of labels [L] of the examples index [L], which keep theirs.

    A row is zero where no path leads to a labelled example.
    """
    clamp, f = _one_hot(w, index, labels, classes), _one_hot(w, index, labels, classes)
    step = _diagonal(np.asarray(w.sum(1)).ravel(), -1.0) @ w
    for _ in range(iterations):
        before, f = f, step @ f
        f[index] = clamp[index]
        total = f.sum(1, keepdims=True)
        f = np.divide(f, total, out=np.zeros_like(f), where=total > 0)
        if np.abs(f - before).sum() < tol:
            break
    return f


def spreading(
    w: sparse.csr_matrix,
    index: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    alpha: float = 0.9,
    iterations: int = 1000,
    tol: float = 1e-5,
) -> np.ndarray:
    """Probabilities float64 [N, K]; given labels may change. alpha: share of the neighbours.

    A row is zero where no path leads to a labelled example.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} must lie between 0 and 1")
    y = _one_hot(w, index, labels, classes)
    root = _diagonal(np.asarray(w.sum(1)).ravel(), -0.5)
    step, f = root @ w @ root, y
    for _ in range(iterations):
        before, f = f, alpha * (step @ f) + (1 - alpha) * y
        if np.abs(f - before).sum() < tol:
            break
    total = f.sum(1, keepdims=True)
    return np.divide(f, total, out=np.zeros_like(f), where=total > 0)


def smoothed(p: np.ndarray, w: sparse.csr_matrix, *, alpha: float) -> np.ndarray:
    """(1 - alpha) p + alpha D^-1 W p: each row drawn towards the mean of its neighbours, [N, K].

    A row without neighbours stays.
    """
    degree = np.asarray(w.sum(1)).ravel()
    mean = _diagonal(degree, -1.0) @ (w @ p)
    return np.where(degree[:, None] > 0, (1 - alpha) * p + alpha * mean, p)


def _diagonal(degree: np.ndarray, power: float) -> sparse.dia_matrix:
    with np.errstate(divide="ignore"):
        return sparse.diags(np.where(degree > 0, degree**power, 0.0))


def _one_hot(w: sparse.csr_matrix, index: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    assert w.shape is not None  # its type allows it
    y = np.zeros((w.shape[0], k))
    y[index, labels] = 1
    return y
