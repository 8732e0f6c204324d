"""The judge learns real classes, takes uint8 and float images alike, and is the same every time."""

import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.nets import SmallConv
from ssljax.probes.judge import train_judge
from ssljax.views import plain_only


def test_judge():
    rng = np.random.default_rng(0)
    labels = np.arange(128, dtype=np.int32) % 2
    x = rng.integers(0, 100, (128, 8, 8, 1), dtype=np.uint8)
    x[labels == 1, :4] += 100  # bright above, dark below
    data = Arrays({"image": x, "label": labels})
    options = {"net": SmallConv(widths=(4, 8)), "view": plain_only(size=8)}
    judge = train_judge(data, steps=40, batch=32, **options)
    test = rng.integers(0, 100, (600, 8, 8, 1), dtype=np.uint8)
    test[300:, :4] += 100
    classes = judge.classes(test)
    assert classes.shape == (600, 2)
    np.testing.assert_allclose(classes.sum(1), 1, rtol=1e-5)
    assert (classes.argmax(1) == np.arange(600) // 300).mean() > 0.95
    features = judge.features(test)
    assert features.shape == (600, 8)
    as_float = judge.features((test / 255).astype(np.float32))
    np.testing.assert_allclose(features, as_float, rtol=1e-4, atol=1e-5)
    again = train_judge(data, steps=40, batch=32, **options)
    np.testing.assert_array_equal(again.features(test), features)
    with pytest.raises(ValueError, match="no labels"):
        train_judge(Arrays({"image": x}), steps=1, **options)
