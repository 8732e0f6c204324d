"""What `experiments/selftrain_responses_sgd.py` takes, and what its network is compared with."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from ssljax.data import Text

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def script():
    path = Path(ROOT) / "experiments" / "selftrain_responses_sgd.py"
    spec = importlib.util.spec_from_file_location("selftrain_responses_sgd", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_surest_of_those_that_are_nearest_to_each_other(script):
    x, y = RNG.normal(size=(2500, 3)), RNG.normal(size=(1700, 3))
    expected = []
    s = x @ y.T
    for i in range(len(x)):
        j = int(np.argmax(s[i]))
        if max(range(len(x)), key=s[:, j].__getitem__) == i:
            expected.append((s[i, j], i, j))
    expected = [(i, j) for _, i, j in sorted(expected, reverse=True)]
    assert 5 < len(expected) < 1000
    for count in (3, 10**6):
        who, what = script.surest(x, y, count)
        assert list(zip(who.tolist(), what.tolist())) == expected[:count]


def test_tfidf_of_contexts_and_answers(script):
    """Weights by hand: 1 + ln(count) times ln((1 + n) / (1 + df)) + 1, at length 1."""
    rows = RNG.integers(5, 9, (6, 4)).astype(np.int32)
    told = {"tokens": rows, "segments": np.ones_like(rows)}
    told |= {"answer": rows[::-1], "answer_segments": np.ones_like(rows)}
    found = script.tfidf(Text(vocab=10, length=4), told, told)
    for i, row in enumerate(rows):
        want = np.zeros(10)
        for t in set(row.tolist()):
            df = sum(t in other for other in rows)
            want[t] = (1 + np.log((row == t).sum())) * (np.log(7 / (1 + df)) + 1)
        want /= np.linalg.norm(want)
        np.testing.assert_allclose(found["tokens"][i], want, rtol=1e-5)
        np.testing.assert_allclose(found["answer"][5 - i], want, rtol=1e-5)
