"""Time series, small: rows of 9 steps of two channels, some of them partly padding."""

import numpy as np
from laws import Case

from ssljax.methods import TS2Vec
from ssljax.nets import FCN


def series(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    length = rng.integers(4, 10, (size, 1))
    length[:2] = 9
    steps = np.arange(9) < length
    return {
        "series": (rng.normal(size=(size, 9, 2)) * steps[..., None]).astype(np.float32),
        "steps": steps,
        "label": (np.arange(size) % 4).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
    }


CASES = {"ts2vec": Case(TS2Vec(encoder=FCN(widths=(4, 5), kernels=(4, 3)), width=3), series)}
