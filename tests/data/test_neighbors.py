"""Batches with a neighbour of each example, addressed by step."""

import itertools

import numpy as np
import pytest

from ssljax.data import Arrays, Neighbors


def data(n=20):
    image = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Arrays({"image": image, "label": np.arange(n) % 4})


TABLE = (np.arange(20)[:, None] + np.array([1, 2, 3])) % 20


def take(iterator, count):
    return list(itertools.islice(iterator, count))


def test_neighbours_come_from_the_table():
    wrapped = Neighbors(data(), TABLE)
    assert wrapped.spec["neighbor"] == wrapped.spec["image"]
    assert len(wrapped) == 20
    drawn = set()
    for rows in take(wrapped.batches(8, seed=3), 40):
        offset = (rows["neighbor"][:, 0, 0, 0].astype(int) - rows["image"][:, 0, 0, 0]) % 20
        np.testing.assert_array_equal(rows["image"][:, 0, 0, 0], rows["index"])
        drawn |= set(offset)
        assert len(set(offset)) > 1  # each example draws for itself
    assert drawn == {1, 2, 3}
    first = np.concatenate([rows["neighbor"][rows["mask"], 0, 0, 0] for rows in wrapped.once(8)])
    np.testing.assert_array_equal(first, TABLE[:, 0])
    np.testing.assert_array_equal(wrapped.labels(), np.arange(20) % 4)


def test_it_offers_what_the_runner_asks_of_data():
    from ssljax.data.dataset import labelled_part
    from ssljax.runs.known import fingerprint

    some = data().part(np.arange(20))
    some._rows["label"][::2] = -1
    wrapped = Neighbors(some, TABLE)
    assert fingerprint(wrapped, wrapped) != fingerprint(data(), data())
    kept = labelled_part(wrapped)
    np.testing.assert_array_equal(kept.origin, np.arange(1, 20, 2))
    assert wrapped.prompts is None


def test_batches_depend_on_seed_and_step_alone():
    wrapped = Neighbors(data(), TABLE)
    straight = take(wrapped.batches(8, seed=3), 7)
    resumed = take(wrapped.batches(8, seed=3, start=4), 3)
    for a, b in zip(straight[4:], resumed, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    halves = [take(wrapped.batches(8, seed=3, host=(h, 2)), 7) for h in range(2)]
    for whole, *parts in zip(straight, *halves, strict=True):
        np.testing.assert_array_equal(
            whole["neighbor"], np.concatenate([part["neighbor"] for part in parts])
        )
    other = take(wrapped.batches(8, seed=4), 7)
    assert any((a["neighbor"] != b["neighbor"]).any() for a, b in zip(straight, other, strict=True))
    # the same examples in the next epoch meet other neighbours
    pairs = [
        {
            int(i): int(n)
            for rows in part
            for i, n in zip(rows["index"], rows["neighbor"][:, 0, 0, 0])
        }
        for part in (
            take(wrapped.batches(20, seed=0), 1),
            take(wrapped.batches(20, seed=0, start=1), 1),
        )
    ]
    assert pairs[0] != pairs[1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE[:19], "does not fit"),
        (TABLE.astype(np.float32), "does not fit"),
        (TABLE + 1, "numbers of examples"),
        (TABLE[:, :0], "numbers of examples"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(ValueError, match=message):
        Neighbors(data(), table)
