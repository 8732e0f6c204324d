"""The true answer among wrong ones, beside a naive count."""

import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.probes import Encoder, Evaluation, Responses, Subject, responses

RNG = np.random.default_rng(0)
SAID = np.array([[i % 15] for i in range(40)], np.int32)  # fifteen different answers


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


X = unit(RNG.normal(size=(40, 6))).astype(np.float32)
Y = unit(RNG.normal(size=(15, 6))).astype(np.float32)[SAID[:, 0]]


def test_ranks_beside_a_naive_count():
    found = responses(X, Y, SAID[:, 0], candidates=5, seed=3)
    rng, ranks = np.random.default_rng([3, 5]), []
    for i in range(40):
        others = [k for k in range(15) if k != SAID[i, 0]]
        wrong = [others[k] for k in rng.choice(14, 4, replace=False)]
        assert SAID[i, 0] not in wrong and len(set(wrong)) == 4
        x, own = X[i].astype(np.float64), Y[i].astype(np.float64)
        ranks.append(1 + sum(Y[k].astype(np.float64) @ x >= own @ x for k in wrong))
    assert found["r@1_of_5"] == pytest.approx(np.mean([r == 1 for r in ranks]))
    assert found["mrr_of_5"] == pytest.approx(np.mean([1 / r for r in ranks]))


def test_all_are_found_or_none():
    """Among all answers each finds its own; who says the same of all finds nothing."""
    one_hot = np.eye(15, dtype=np.float32)[SAID[:, 0]]
    assert responses(one_hot, one_hot, SAID[:, 0], candidates=15)["r@1_of_15"] == 1
    equal = np.ones((40, 1), np.float32)
    found = responses(equal, equal, SAID[:, 0], candidates=10)
    assert found == {"r@1_of_10": 0, "mrr_of_10": pytest.approx(0.1)}
    with pytest.raises(ValueError, match="15 different answers are fewer than the 16"):
        responses(X, Y, SAID[:, 0], candidates=16)
    with pytest.raises(ValueError, match="two answers or more"):
        Responses(candidates=(1,))


def test_what_a_run_measures_of_its_test_data():
    tokens = np.arange(40, dtype=np.int32)[:, None]
    test = Arrays({"tokens": tokens, "answer": SAID})

    def pair(rows):
        return {"tokens": 7 * X[rows["tokens"][:, 0]], "answer": rows["answer"] @ Y[:1] + 1}

    data = Evaluation().material(test, test, batch=16)
    one = Responses(candidates=(10, 100))  # there are not 100 to choose from
    found = one.run(Subject(Encoder(embed=pair, pair=pair), data))
    assert sorted(found) == ["mrr_of_10", "r@1_of_10"]
    y = unit(SAID @ Y[:1] + 1)
    assert found == responses(X, y.astype(np.float32), SAID[:, 0], candidates=10)
    assert one.run(Subject(Encoder(embed=pair), data)) == {}  # no method of pairs
    assert "comes first" in one.describe({"encoders": {"trained": found}})[0]
    bad = Encoder(embed=pair, pair=lambda rows: {k: v * np.nan for k, v in pair(rows).items()})
    with pytest.raises(ValueError, match="NaN"):
        one.run(Subject(bad, data))
