"""Two data sets matched by class."""

import itertools

import numpy as np
import pytest

from ssljax.data import Arrays, Images, Matched, Pairs

FIRST = Arrays({"image": np.arange(40, dtype=np.float32)[:, None], "label": np.arange(40) % 4})
SECOND = Arrays(
    {"audio": np.arange(24, dtype=np.float32)[:, None], "label": np.repeat(np.arange(4), 6)},
    classes=("zero", "one", "two", "three"),
)


def test_partners_are_of_the_same_class():
    pairs = Pairs(FIRST, SECOND)
    assert pairs.classes == SECOND.classes and len(pairs) == 40
    rows = next(pairs.batches(32, seed=0))
    assert rows.keys() == pairs.spec.keys() == {"image", "audio", "label", "index"}
    np.testing.assert_array_equal(rows["audio"][:, 0] // 6, rows["label"])
    assert len(np.unique(rows["audio"])) > 12  # drawn among all of a class


def test_batches_depend_on_seed_and_step_alone():
    pairs = Pairs(FIRST, SECOND)
    straight = list(itertools.islice(pairs.batches(8, seed=1), 7))
    again = next(pairs.batches(8, seed=1, start=6))
    halves = [next(pairs.batches(8, seed=1, start=6, host=(h, 2))) for h in (0, 1)]
    for name, value in again.items():
        np.testing.assert_array_equal(value, straight[6][name])
        np.testing.assert_array_equal(value, np.concatenate([half[name] for half in halves]))
    later = next(pairs.batches(8, seed=1, start=5))  # another epoch brings other partners
    assert not np.array_equal(straight[0]["audio"], later["audio"])


def test_in_a_pass_partners_take_turns():
    rows = [r for r in Pairs(FIRST, SECOND).once(16)]
    audio = np.concatenate([r["audio"][r["mask"], 0] for r in rows])
    label = np.concatenate([r["label"][r["mask"]] for r in rows])
    np.testing.assert_array_equal(audio // 6, label)
    assert np.bincount(audio.astype(int), minlength=24).tolist() == [2, 2, 2, 2, 1, 1] * 4


def test_some_of_each_class_stand_for_it():
    prompts = Pairs(FIRST, SECOND, prompts=3).prompts
    rows = next(prompts.once(12))
    assert rows["audio"][:6, 0].tolist() == [0, 2, 4, 6, 8, 10]
    assert rows["label"].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_two_of_a_kind():
    reader = Matched(first=Images(), second=Images(size=6), beside="digits").prepared("digits")
    assert reader.splits("digits") == ("train",)
    rows = next(reader.load("digits").batches(16, seed=0))
    assert rows["image"].shape == (16, 8, 8, 1) and rows["beside_image"].shape == (16, 6, 6, 1)
    sized = Images(size=4, channels=1)
    assert Matched(first=sized, second=sized).shapes().keys() == {"image", "beside_image"}


def test_what_cannot_be_matched():
    with pytest.raises(ValueError, match="name the data that is matched"):
        Matched().prepared("digits")
    with pytest.raises(ValueError, match="no labels"):
        Pairs(FIRST, Arrays({"audio": np.zeros((4, 1))}))
    other = Arrays({"audio": np.zeros((4, 1)), "label": np.arange(4)}, classes=tuple("abcd"))
    with pytest.raises(ValueError, match="cannot be matched"):
        Pairs(SECOND, other)
    few = Arrays({"audio": np.zeros((3, 1)), "label": np.arange(3)}, classes=tuple("0123"))
    with pytest.raises(ValueError, match="class '3' has no example"):
        Pairs(FIRST, few)


def test_classes_that_are_other_numbers_are_not_matched_by_their_place():
    ones = Arrays({"audio": np.arange(4), "label": np.arange(4) + 1})
    with pytest.raises(ValueError, match=r"4 and 4 classes \(0 / 1, 1 / 2, 2 / 3\)"):
        Pairs(FIRST, ones)
