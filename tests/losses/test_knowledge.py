"""Ranks among all answers, and the loss of wrong triples."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.knowledge import filtered_ranks, self_adversarial


def test_a_constant_score_has_the_rank_in_the_middle():
    best, worst = filtered_ranks(jnp.zeros((2, 9)), jnp.array([0, 8]), jnp.full((2, 1), -1))
    np.testing.assert_array_equal((best + worst) / 2, [5, 5])
    known = jnp.array([[1, 2], [3, -1]])
    best, worst = filtered_ranks(jnp.zeros((2, 9)), jnp.array([0, 8]), known)
    np.testing.assert_array_equal((best + worst) / 2, [4, 4.5])


def test_what_is_right_elsewhere_does_not_count_and_the_answer_stays():
    scores = jnp.array([[5.0, 4.0, 3.0, 3.0, 1.0]])
    best, worst = filtered_ranks(scores, jnp.array([2]), jnp.array([[0, 2, -1]]))
    assert (float(best[0]), float(worst[0])) == (2, 3)


def test_a_score_that_is_no_number_is_no_right_answer():
    """A diverged model would else be the best of all."""
    none = jnp.full((1, 1), -1)
    best, worst = filtered_ranks(jnp.full((1, 9), jnp.nan), jnp.array([3]), none)
    assert (float(best[0]), float(worst[0])) == (9, 9)
    best, _ = filtered_ranks(jnp.array([[2.0, jnp.nan, 1.0]]), jnp.array([0]), none)
    assert float(best[0]) == 2


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_negatives_weigh_themselves_and_triples_are_weighted(temperature):
    rng = np.random.default_rng(0)
    positive, negative, weight = rng.normal(size=3), rng.normal(size=(3, 4)), rng.uniform(size=3)
    total = 0.0
    for i in range(3):
        share = np.exp(temperature * negative[i])
        total += weight[i] * np.log1p(np.exp(-positive[i]))
        for j in range(4):
            total += weight[i] * share[j] / share.sum() * np.log1p(np.exp(negative[i, j]))
    found = self_adversarial(
        *map(jnp.asarray, (positive, negative, weight)), temperature=temperature
    )
    np.testing.assert_allclose(found, total / (2 * weight.sum()), rtol=1e-6)
