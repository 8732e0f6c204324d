"""Which examples a report draws."""

import numpy as np

from ssljax.data import Arrays
from ssljax.runs.pictures import _of_all_classes


def test_views_are_of_all_classes_though_a_folder_is_sorted():
    label = np.repeat(np.arange(5), 40)
    image = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    data = Arrays({"image": image, "label": label}, classes=tuple("abcde"))
    rows = next(data.once(32))
    assert set(rows["label"]) == {0}
    few = _of_all_classes(data, rows)
    assert np.bincount(few["label"]).tolist() == [3, 3, 2, 2, 2]
    np.testing.assert_array_equal(few["image"][:, 0, 0, 0] // 40, few["label"])
    assert few.keys() == rows.keys()
    (plain,) = Arrays({"image": image}).once(200)
    assert len(_of_all_classes(Arrays({"image": image}), plain)["image"]) == 12
