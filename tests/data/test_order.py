"""The plan of batches when several threads ask it at once, as Grain's readers do."""

import numpy as np
import pytest

from ssljax.data.order import Shuffled


class Interrupted(Shuffled):
    """Once the remembered permutation was read, another thread moves it on to epoch 99.

    Real threads meet in that place too rarely for a test.
    """

    met = 0

    def __getattribute__(self, name):
        value = object.__getattribute__(self, name)
        if name == "_last":
            self.met += 1
            self._last = (99, np.full(12, 7))
        return value


@pytest.mark.parametrize("remembered", [True, False])
def test_a_thread_in_another_epoch_does_not_change_a_batch(remembered):
    alone, shared = Shuffled(12, 4, seed=0), Interrupted(12, 4, seed=0)
    for step in range(9):
        batch = alone[step][0]
        if remembered:  # what the interrupted thread finds is the permutation that it needs
            shared._last = alone._last
        np.testing.assert_array_equal(shared[step][0], batch)
    assert shared.met == 9
