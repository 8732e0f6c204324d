"""Rankings against sorting by hand."""

import numpy as np
import pytest

from ssljax.losses.ranking import bpr, first_k


def test_bpr_is_the_mean_of_its_pairs():
    rng = np.random.default_rng(0)
    s, n = rng.normal(size=5), rng.normal(size=(5, 3))
    expected = -np.mean([np.log(1 / (1 + np.exp(-(s[b] - x)))) for b in range(5) for x in n[b]])
    np.testing.assert_allclose(bpr(s.astype(np.float32), n.astype(np.float32)), expected, rtol=1e-5)


def test_the_first_of_a_ranking_against_a_plain_loop():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 20)).astype(np.float32)
    scores[2, 4] = np.nan
    wanted, seen = np.full((6, 7), -1), np.full((6, 5), -1)
    for u, (w, a) in enumerate(((1, 5), (7, 0), (3, 2), (2, 5), (6, 1), (7, 5))):
        drawn = rng.permutation(20)
        wanted[u, :w], seen[u, :a] = drawn[:w], drawn[w : w + a]
    wanted[2, 3] = 4  # whose score is no number
    found = first_k(scores, wanted, seen, k=5)
    for u in range(6):
        right = set(wanted[u]) - {-1}
        left = [i for i in range(20) if i not in seen[u] and not np.isnan(scores[u, i])]
        hits = [i in right for i in sorted(left, key=lambda i: -scores[u, i])[:5]]
        ideal = sum(1 / np.log2(r + 2) for r in range(min(5, len(right))))
        expected = {
            "recall_5": sum(hits) / len(right),
            "precision_5": sum(hits) / 5,
            "hit_5": float(any(hits)),
            "ndcg_5": sum(h / np.log2(r + 2) for r, h in enumerate(hits)) / ideal,
            "mrr_5": next((1 / (r + 1) for r, h in enumerate(hits) if h), 0.0),
        }
        for name, value in expected.items():
            assert found[name][u] == pytest.approx(value, abs=1e-6), (name, u)
