"""Methods on interactions, small: 5 users, 7 items, and fields of one, one and two slots."""

import numpy as np
from laws import Case

from ssljax.data import Catalogue, Seen
from ssljax.data.side_features import Side
from ssljax.methods import BPR, FM, LR, BERT4Rec, CL4SRec, DeepFM, SASRec, SimGCL
from ssljax.nets import GPT2, MLP, Bert

FIELDS = {"features": 11, "sizes": (1, 1, 2), "scale": (1.0, 5.0), "decay": 0.01}


def answered(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    feature = np.stack([rng.integers(*ends, size) for ends in ((0, 3), (3, 7), (7, 11), (7, 11))])
    amount = rng.uniform(0.3, 1.2, (size, 4)).astype(np.float32)
    amount[::3, 3] = 0  # a set of one
    return {
        "user": feature[0].astype(np.int32),
        "item": feature[1].astype(np.int32) - 3,
        "feature": feature.T.astype(np.int32),
        "amount": amount,
        "rating": rng.integers(1, 6, size).astype(np.float32),
        "label": (np.arange(size) % 4).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
    }


def clicks(size: int = 16) -> dict[str, np.ndarray]:
    rows = answered(size)
    return rows | {"clicked": (rows.pop("rating") >= 4).astype(np.float32)}


def seen(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "user": rng.integers(0, 5, size).astype(np.int32),
        "item": rng.integers(0, 7, size).astype(np.int32),
        "negative": rng.integers(0, 7, (size, 2)).astype(np.int32),
        "label": (np.arange(size) % 4).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
    }


def sequences(size: int = 16) -> dict[str, np.ndarray]:
    """Rows of 6 items, of which some are missing in front."""
    rng = np.random.default_rng(0)
    real = np.arange(6) >= rng.integers(0, 5, size)[:, None]
    real[:2] = True
    return {
        "user": np.arange(size, dtype=np.int32),
        "sequence": np.where(real, rng.integers(0, 7, (size, 6)), 0).astype(np.int32),
        "real": real,
        "negative": rng.integers(0, 7, (size, 5, 2)).astype(np.int32),
        "label": (np.arange(size) % 4).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
    }


def of_graph(rows: dict[str, np.ndarray]) -> Seen:
    side = Side(np.zeros((7, 1), np.int32), np.ones((7, 1), np.float32), (1,), ("one",))
    here = Catalogue(tuple("abcde"), tuple("tuvwxyz"), tuple("tuvwxyz"), side, side, (0.0, 1.0), 1)
    user, item = rows["user"][:16], rows["item"][:16]  # as many as the state has room for
    return Seen(user, item, catalogue=here, origin=np.arange(len(user)), negatives=2)


TABLES = {"width": 4, "users": 5, "items": 7, "decay": 0.01}
SMALL = {"vocab": 9, "width": 8, "depth": 1, "heads": 2, "hidden": 8}
FOLLOWING = {"items": 7, "encoder": GPT2(length=5, activation="relu", dropout=0.2, **SMALL)}
CASES = {
    "sasrec": Case(SASRec(**FOLLOWING), sequences),
    "cl4srec": Case(CL4SRec(**FOLLOWING), sequences),
    "bert4rec": Case(
        BERT4Rec(items=7, ratio=0.4, encoder=Bert(length=6, types=1, **SMALL)), sequences
    ),
    "bpr": Case(BPR(**TABLES), seen, draws=False),
    "simgcl": Case(SimGCL(edges=16, weight=0.5, **TABLES), seen, of_graph),
    "lr": Case(LR(**FIELDS), answered, draws=False),
    "fm": Case(FM(width=3, **FIELDS), answered, draws=False),
    "deepfm": Case(DeepFM(width=3, deep=MLP(widths=(5, 1), norm=False), **FIELDS), clicks),
}
