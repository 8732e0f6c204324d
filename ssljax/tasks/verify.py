"""Whether arrays are targets of some kind, asked before they are scored, chosen or written."""

from typing import Any

import numpy as np


def check_numbers(
    x: Any,
    what: str,
    *,
    shape: tuple[int | None, ...] = (),
    low: float = -np.inf,
    high: float = np.inf,
    whole: bool = False,
) -> np.ndarray:
    """x as an array [n, *shape] of finite numbers from low to high.

    Args:
      what: what to call them in the message. shape: None for an axis of any size. whole: they are
        integers, not floats.
    Raises: ValueError that names the first example, counted from 1, with another number.
    """
    x = np.asarray(x)
    sizes = x.shape[1:]
    if (
        not x.shape
        or len(sizes) != len(shape)
        or any(b not in (None, a) for a, b in zip(sizes, shape))
    ):
        wanted = ", ".join("any" if s is None else str(s) for s in shape)
        raise ValueError(
            f"{what} of shape {x.shape}: needs {'one number' if not shape else f'[{wanted}]'} an "
            "example"
        )
    if whole and not np.issubdtype(x.dtype, np.integer):
        raise ValueError(f"{what} of type {x.dtype}: needs integers")
    slack = 0 if whole else 1e-6  # of rounding
    bad = ~((x >= low - slack) & (x <= high + slack)) | ~np.isfinite(x)  # NaN is neither
    if bad.any():
        place = tuple(int(a[0]) for a in bad.nonzero())
        limits = f"from {low:g} to {high:g}" if np.isfinite([low, high]).any() else "finite numbers"
        raise ValueError(f"{what} of example {place[0] + 1}: {x[place]} is not {limits}")
    return x


def check_alike(truth: np.ndarray, guess: np.ndarray, parts: str) -> None:
    """Raises ValueError where the parts of labels do not stand over those of the truth."""
    if truth.shape != guess.shape:
        raise ValueError(f"labels {guess.shape} for a truth {truth.shape}: needs the same {parts}")
