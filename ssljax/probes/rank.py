"""Three numbers without labels: effective rank, LDA rank, and spread over the sphere.

RankMe: Garrido et al. 2023, arXiv:2210.02885, equation 1, on the features as they are (neither
centred nor normalised), with singular values s of [N, D]:

    RankMe = exp(-sum_k p_k ln p_k),    p_k = s_k / sum(s) + 1e-7       from 1 to min(N, D)

LiDAR: Thilak et al. 2023, arXiv:2312.04000: the same of the eigenvalues v of an LDA whose classes
are the n images and whose examples are q random views of each, so that directions in which only
the augmentation moves count for nothing. With m_i the mean over the views of image i:

    B = cov_i(m_i)          over n - 1
    W = mean_i cov_j(x_ij) + delta I          over q - 1
    LiDAR = exp(-sum_k p_k ln p_k),    p_k = v_k(W^-1/2 B W^-1/2) / sum(v) + 1e-7

The paper takes n = 1000 and q = 50. delta is absolute: features far smaller than 1 lose by it.

Spread: Chen and He 2021 (SimSiam), arXiv:2011.10566, section 4.1: the standard deviation of each
dimension of the L2-normalised features, averaged; 0 has collapsed, 1/sqrt(D) is isotropic.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.linalg

from ssljax.probes.evaluator import Evaluator, Subject, measured
from ssljax.probes.splits import some

_LIDAR = 1000  # examples for LiDAR, as in the paper


@dataclass(frozen=True)
class Spectrum(Evaluator):
    """Whether features have collapsed: rankme and feature_std of the training features."""

    quick: ClassVar[bool] = True

    def run(self, subject: Subject) -> dict[str, float]:
        return {"rankme": rankme(subject.features), "feature_std": feature_std(subject.features)}

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "rankme"):
            return []
        return [
            "rankme, feature_std: effective rank of the training features, and their spread on the "
            "sphere (1/sqrt(D) is isotropic)"
        ]


@dataclass(frozen=True, kw_only=True)
class Lidar(Evaluator):
    """lidar of random views of 1000 training examples, of methods that have random views."""

    views: int = 10
    """Random views of each; 50 in the paper."""

    def __post_init__(self) -> None:
        if self.views < 2:
            raise ValueError(
                f"lidar.views must be 2 or more, not {self.views}; to leave LiDAR out, set lidar "
                "to None"
            )

    def run(self, subject: Subject) -> dict[str, float]:
        views, data = subject.encoder.views, subject.data
        if views is None:
            return {}
        parts: list[np.ndarray] = []
        for rows in some(data.train, data.batch, _LIDAR):
            mask = rows.get("mask", np.ones(len(rows["index"]), bool))
            parts.append(np.asarray(views(rows, self.views), np.float32)[mask])
            if sum(map(len, parts)) >= _LIDAR:
                break
        x = np.concatenate(parts)[:_LIDAR]
        # Views that do not differ say nothing.
        return {} if len(x) < 2 or not np.ptp(x, axis=1).any() else {"lidar": lidar(x)}

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "lidar"):
            return []
        count = min(results["protocol"]["train_examples"], _LIDAR)
        return [
            f"lidar: effective rank of an LDA that tells {count:,} training images apart, "
            f"{self.views} random views each"
        ]


def rankme(features: np.ndarray) -> float:
    """Effective rank of features [N, D], 1 to min(N, D); in float64.

    Raises: ValueError where features are not [N, D].
    """
    x = _matrix(features)
    # Eigenvalues of the smaller Gram matrix: much faster than singular values of [N, D]. What it
    # loses, values below 1e-8 of the largest, is less than the 1e-7 that is added.
    gram = x.T @ x if len(x) > x.shape[1] else x @ x.T
    s = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))
    return _perplexity(s)


def lidar(features: np.ndarray, *, delta: float = 1e-4) -> float:
    """LDA rank of q views of each of n images, [n, q, D]: from 1 to min(n - 1, D); in float64.

    Raises: ValueError where features are not [n, q, D] with n and q at least 2.
    """
    x = np.asarray(features, np.float64)
    if x.ndim != 3 or min(x.shape[:2]) < 2 or not x.size:
        raise ValueError(f"LiDAR needs two views of two images, [n, q, D]; not {x.shape}")
    n, q, dimensions = x.shape
    means = x.mean(axis=1)
    between = means - means.mean(axis=0)
    within = (x - means[:, None]).reshape(n * q, dimensions)
    # The eigenvalues of W^-1/2 B W^-1/2 are those of B v = lambda W v.
    values = scipy.linalg.eigh(
        between.T @ between / (n - 1),
        within.T @ within / (n * (q - 1)) + delta * np.eye(dimensions),
        eigvals_only=True,
    )
    return _perplexity(np.maximum(values, 0))


def feature_std(features: np.ndarray) -> float:
    """Mean over dimensions of the standard deviation (ddof 0) of normalised features [N, D]."""
    x = _matrix(features)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return float(x.std(axis=0).mean())


def _perplexity(values: np.ndarray) -> float:
    """How many of `values` [K] count: exp of the entropy of their shares."""
    p = values / max(values.sum(), 1e-12) + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


def _matrix(features: np.ndarray) -> np.ndarray:
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"features must be [N, D] with N > 0, not {x.shape}")
    return x
