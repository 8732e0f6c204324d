"""Methods on knowledge graphs against transcriptions of their equations, on given arrays."""

import jax
import numpy as np
import pytest
from cases_triples import CASES, triples

from ssljax.method import State

BATCH = triples()


def start(name):
    method = CASES[name].method
    params, extra = method.init(jax.random.key(3), BATCH)
    value, _ = method.loss(params, extra, BATCH, jax.random.key(0))
    tables = [np.float64(params[k]["rows"]) for k in ("encoder", "relations")]
    return method, params, float(value), *tables


def transe(method, entity, relation, h, r, t):
    return method.margin - np.abs(entity[h] + relation[r] - entity[t]).sum()


def complex_rows(table):
    half = table.shape[1] // 2
    return table[:, :half] + 1j * table[:, half:]


def rotate(method, entity, relation, h, r, t):
    z = complex_rows(entity)
    turn = np.exp(1j * np.pi * relation[r] / ((method.margin + 2) / 3))
    return method.margin - np.abs(z[h] * turn - z[t]).sum()


def distmult(method, entity, relation, h, r, t):
    return (entity[h] * relation[r] * entity[t]).sum()


def complex_(method, entity, relation, h, r, t):
    z, w = complex_rows(entity), complex_rows(relation)
    return (z[h] * w[r] * np.conj(z[t])).sum().real


SCORES = {"transe": transe, "rotate": rotate, "distmult": distmult, "complex": complex_}


def softplus(x):
    return np.logaddexp(0, x)


def against_negatives(score, method, entity, relation):
    total = 0.0
    for side in (0, 2):
        above = below = 0.0
        for i, triple in enumerate(BATCH["triple"]):
            wrong = []
            for other in BATCH["negative"][i, side // 2]:
                changed = triple.copy()
                changed[side] = other
                wrong.append(score(method, entity, relation, *changed))
            wrong = np.array(wrong)
            p = np.exp(method.temperature * wrong)
            p /= p.sum()
            right = score(method, entity, relation, *triple)
            w = np.float64(BATCH["weight"][i])
            above += w * (softplus(-right) + (p * softplus(wrong)).sum()) / 2
            below += w
        total += above / below / 2
    return total


def against_all(score, method, entity, relation, sizes):
    total = 0.0
    for h, r, t in BATCH["triple"]:
        for one, way, other in ((h, r, t), (t, r + 3, h)):
            s = np.array([score(method, entity, relation, one, way, e) for e in range(7)])
            total += np.log(np.exp(s).sum()) - s[other]
            factors = (sizes(entity)[one], sizes(relation)[way], sizes(entity)[other])
            total += method.decay * sum((f**3).sum() for f in factors)
    return total / len(BATCH["triple"])


def test_transe_reference():
    method, _, value, entity, relation = start("transe")
    np.testing.assert_allclose(
        value, against_negatives(transe, method, entity, relation), rtol=1e-5
    )


def test_rotate_reference():
    method, _, value, entity, relation = start("rotate")
    np.testing.assert_allclose(
        value, against_negatives(rotate, method, entity, relation), rtol=1e-5
    )


def test_distmult_reference():
    method, _, value, entity, relation = start("distmult")
    assert relation.shape == (6, 6)
    expected = against_all(distmult, method, entity, relation, np.abs)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_complex_reference():
    method, _, value, entity, relation = start("complex")
    expected = against_all(
        complex_, method, entity, relation, lambda table: np.abs(complex_rows(table))
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_ranks_are_those_of_a_plain_loop(name):
    """Both ends and the relation, with all other right answers left out."""
    method, params, _, entity, relation = start(name)
    found = jax.device_get(method.score(State(0, params, None, {}), BATCH))
    back = 3 if method.reciprocal else 0
    for i, (h, r, t) in enumerate(BATCH["triple"]):

        def score(h, r, t):
            return SCORES[name](method, entity, relation, h, r, t)

        asked = {
            "tail": (t, BATCH["known"][i, 1], [score(h, r, e) for e in range(7)]),
            "head": (
                *(h, BATCH["known"][i, 0]),
                [score(t, r + back, e) if back else score(e, r, t) for e in range(7)],
            ),
            "relation": (r, BATCH["related"][i], [score(h, k, t) for k in range(3)]),
        }
        inverse = {}
        for what, (answer, known, scores) in asked.items():
            rivals = [s for e, s in enumerate(scores) if e != answer and e not in known]
            above = sum(s > scores[answer] + 1e-6 for s in rivals)
            same = sum(abs(s - scores[answer]) <= 1e-6 for s in rivals)
            inverse[what] = 1 / (1 + above + same / 2)
            np.testing.assert_allclose(found[f"mrr_{what}"][0][i], inverse[what], rtol=1e-6)
        both = inverse["head"] + inverse["tail"]
        np.testing.assert_allclose(found["mrr"][0][i], both, rtol=1e-6)
        assert found["mrr"][1][i] == 2
