"""What a training step says about its pseudo-labels, against scikit-learn and plain counting."""

import jax.numpy as jnp
import numpy as np
from sklearn.metrics import accuracy_score

from ssljax.pseudolabels.label_metrics import label_metrics

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.full(4, 0.4), 50)
TRUTH = np.where(RNG.random(50) < 0.6, P.argmax(1), RNG.integers(0, 4, 50))
WEIGHT = np.where(RNG.random(50) < 0.5, 0.0, RNG.random(50))


def numbers(p=P, weight=WEIGHT, truth=TRUTH):
    found = label_metrics(jnp.asarray(p, jnp.float32), jnp.asarray(weight, jnp.float32), truth)
    return {k: float(v) for k, v in found.items()}


def test_shares():
    found, used, guess = numbers(), WEIGHT > 0, P.argmax(1)
    shares = np.bincount(guess[used], minlength=4) / used.sum()
    want = {
        "utilisation": used.mean(),
        "mean_weight": WEIGHT.mean(),
        "confidence": P.max(1).mean(),
        "label_entropy": -(shares * np.log(shares)).sum() / np.log(4),
        "largest_share": shares.max(),
        "pseudo_accuracy": accuracy_score(TRUTH, guess),
        "pseudo_precision": accuracy_score(TRUTH, guess, sample_weight=WEIGHT),
        "pseudo_recall": (used & (guess == TRUTH)).mean(),
    }
    assert found.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)


def test_unknown_truth_does_not_count():
    truth = np.where(np.arange(50) < 20, -1, TRUTH)
    found = numbers(truth=truth)
    np.testing.assert_allclose(
        found["pseudo_accuracy"], accuracy_score(TRUTH[20:], P.argmax(1)[20:]), rtol=1e-5
    )
    shaped = numbers(truth=truth.reshape(10, 5))
    assert shaped == found
    assert "pseudo_accuracy" not in numbers(truth=None)


def test_nothing_is_used():
    found = numbers(weight=np.zeros(50))
    assert all(np.isfinite(v) for v in found.values())
    assert found["utilisation"] == found["pseudo_precision"] == found["largest_share"] == 0
    assert numbers(truth=np.full(50, -1))["pseudo_accuracy"] == 0
