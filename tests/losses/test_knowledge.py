"""Ranks among all answers, and the loss of wrong triples."""

import jax.numpy as jnp
import numpy as np

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


def test_negatives_weigh_themselves():
    positive, negative, weight = jnp.array([1.0]), jnp.array([[0.0, 2.0]]), jnp.array([0.3])
    even = self_adversarial(positive, negative, weight, temperature=0.0)
    expected = (np.log1p(np.exp(-1)) + (np.log(2) + np.log1p(np.exp(2))) / 2) / 2
    np.testing.assert_allclose(even, expected, rtol=1e-6)
    assert self_adversarial(positive, negative, weight, temperature=2.0) > even
