"""Methods on knowledge graphs, small: 7 entities and 3 relations."""

import numpy as np
from laws import Case

from ssljax.methods import ComplEx, DistMult, RotatE, TransE

SIZES = {"width": 6, "entities": 7, "relations": 3}


def triples(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    triple = np.stack([rng.integers(0, n, size) for n in (7, 3, 7)], axis=1)
    known = rng.integers(-1, 7, (size, 2, 3))
    known = np.where(known == triple[:, [0, 2], None], -1, known)
    related = rng.integers(-1, 3, (size, 1))
    return {
        "triple": triple.astype(np.int32),
        "weight": rng.uniform(0.2, 0.4, size).astype(np.float32),
        "negative": rng.integers(0, 7, (size, 2, 4)).astype(np.int32),
        "known": known.astype(np.int32),
        "related": np.where(related == triple[:, 1:2], -1, related).astype(np.int32),
        "label": (np.arange(size) % 4).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
    }


CASES = {
    "transe": Case(TransE(**SIZES), triples, draws=False),
    "rotate": Case(RotatE(**SIZES), triples, draws=False),
    "distmult": Case(DistMult(**SIZES), triples, draws=False),
    "complex": Case(ComplEx(**SIZES), triples, draws=False),
}
