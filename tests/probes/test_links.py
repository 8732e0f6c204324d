"""Held-out links, against a count of pairs, and what the evaluation reads of a graph."""

import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.data.graph import GraphData
from ssljax.probes import Encoder, Evaluation, Links, evaluate, links

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(12, 3)).astype(np.float32)
_PAIRS = RNG.permutation(np.stack(np.triu_indices(12, 1), axis=1))  # each once: no ties
LINKED, OTHERS = _PAIRS[:9], _PAIRS[9:18]


def counted(codes):
    """AUC by comparing every link with every other pair; AP along the ranking, in float64."""
    x = codes.astype(np.float64)
    good, bad = ([float(x[a] @ x[b]) for a, b in pairs] for pairs in (LINKED, OTHERS))
    wins = [1.0 if g > b else 0.5 if g == b else 0.0 for g in good for b in bad]
    right, precision = 0, []
    for rank, (_, is_link) in enumerate(
        sorted([(s, True) for s in good] + [(s, False) for s in bad], reverse=True), 1
    ):
        right += is_link
        if is_link:
            precision.append(right / rank)
    return {"links_auc": np.mean(wins), "links_ap": np.mean(precision)}


def test_auc_and_average_precision():
    found, expected = links(CODES, LINKED, OTHERS), counted(CODES)
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0.05 < found["links_auc"] < 0.95  # so that a turned sign would be seen
    assert links(np.ones((12, 1)), LINKED, OTHERS)["links_auc"] == 0.5  # ties


def test_an_evaluation_asks_for_links_where_some_are_held_out():
    graph = GraphData(CODES, RNG.integers(0, 12, (20, 2)), held_out=lambda: (LINKED, OTHERS))
    none = GraphData(CODES, RNG.integers(0, 12, (20, 2)))
    few = Evaluation(linear=None, knn=None, few_shot=None, clustering=None, retrieval=None)
    encoders = {
        "a": Encoder(lambda rows: rows["features"], links=lambda rows: rows["features"]),
        "b": Encoder(lambda rows: rows["features"]),
    }
    for batch in (12, 90):
        found = evaluate(few, encoders, few.material(graph, None, batch=batch))
        assert found["encoders"]["a"]["links_auc"] == pytest.approx(counted(CODES)["links_auc"])
        assert "links_auc" not in found["encoders"]["b"]
        assert any(note.startswith("links:") for note in found["notes"])
    for other in (none, Arrays({"features": CODES})):
        found = evaluate(few, encoders, few.material(other, None, batch=12))
        assert not {"links_auc", "links_ap"} & found["encoders"]["a"].keys()
    assert Links().describe(found) == []
