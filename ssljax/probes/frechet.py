"""The Frechet distance of two sets of features, each taken for a Gaussian: how alike two sources
of images are.

Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, "GANs Trained by a Two Time-Scale Update Rule
Converge to a Local Nash Equilibrium", 2017, arXiv:1706.08500, on features of Inception v3:

    d^2 = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

Only distances in the *same* features can be compared; in others than Inception's this is not the
FID of papers. It is biased upwards for few samples: compare equal numbers of them.
"""

import numpy as np


def gaussian(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and unbiased covariance [D, D] of features [N, D], in float64.

    Raises: ValueError for fewer than two rows, or values that are not finite.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"a Gaussian needs features [N, D] with N >= 2, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("the features hold NaN or infinity")
    return x.mean(axis=0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])


def frechet(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """d^2 of two Gaussians (mean [D], covariance [D, D]).

    C1 C2 has the eigenvalues of S C2 S with S = C1^(1/2), which is symmetric: they are real and not
    negative, so singular covariances need no ridge and no complex numbers come up.
    Raises: ValueError for shapes that do not fit.
    """
    (mean_a, cov_a), (mean_b, cov_b) = a, b
    if mean_a.shape != mean_b.shape or cov_a.shape != cov_b.shape:
        raise ValueError(f"features of width {mean_a.shape} and {mean_b.shape} cannot be compared")
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    product = root @ cov_b @ root
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0.0)).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap
    return float(max(distance, 0.0))


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """d^2 of features x [N, D] and y [M, D]."""
    return frechet(gaussian(x), gaussian(y))
