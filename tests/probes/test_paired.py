"""Retrieval between two kinds of input, and classes by what stands for them."""

import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.probes import Paired, paired
from ssljax.probes.paired import ranks

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(12, 3)).astype(np.float32)
CODES = np.eye(4, dtype=np.int32)  # "captions" of four classes
LABELS = np.arange(12) % 4
OPTIONS = {"batch": 5, "limit": 100, "compared": 100}


def pairs(**leaves):
    return Arrays({"image": IMAGES, "tokens": CODES[LABELS], "label": LABELS} | leaves)


def perfect(rows):
    """Both sides at the place of their class; images by looking up which one they are."""
    found = {}
    if "image" in rows:
        which = [int(np.flatnonzero((x == IMAGES).all(1))[0]) for x in rows["image"]]
        found["image"] = CODES[LABELS[which]].astype(np.float32)
    return found | {"tokens": rows["tokens"].astype(np.float32)}


def test_the_rank_of_the_best_right_answer():
    x = np.array([[1.0, 0.0]], np.float32)
    y = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.8, 0.6]], np.float32)
    for right, rank in (([0], 1), ([1], 3), ([1, 3], 2), ([2], 4)):  # a tie with 3 counts against 1
        mask = np.zeros((1, 4), bool)
        mask[0, right] = True
        assert ranks(x, y, mask).tolist() == [rank]


def test_equal_captions_count_once():
    found = paired(
        perfect, pairs(), prompts=Arrays({"tokens": CODES, "label": np.arange(4)}), **OPTIONS
    )
    assert found["items_image"] == 12 and found["items_text"] == 4
    assert found["zero_shot"] == 1
    for name in ("image_to_text", "text_to_image"):
        assert [found[f"{name}_class_r@{k}"] for k in (1, 5, 10)] == [1, 1, 1]


def test_an_encoder_that_says_the_same_of_all_finds_nothing():
    def collapsed(rows):
        return {k: np.ones((len(rows[k]), 2)) for k in ("image", "tokens") if k in rows}

    found = paired(collapsed, pairs(), **OPTIONS)
    assert found["image_to_text_class_r@1"] == found["text_to_image_class_r@5"] == 0
    assert "zero_shot" not in found


def test_without_labels_only_partners_are_right():
    """Five images share the caption of image 0, and find it; it finds any of them."""
    words = np.array([0] * 6 + [1, 2, 3, 4, 5, 6])
    data = Arrays({"image": IMAGES, "tokens": words[:, None]})
    table = np.stack([IMAGES[:6].mean(0), *IMAGES[6:]])

    def pair(rows):
        return {"image": rows["image"], "tokens": table[rows["tokens"][:, 0]]}

    found = paired(pair, data, **OPTIONS)
    assert found["items_image"] == 12 and found["items_text"] == 7
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (IMAGES, table)]
    order = np.argsort(-unit[0] @ unit[1].T, axis=1)
    expected = np.mean([words[i] in order[i, :1] for i in range(12)])
    assert found["image_to_text_r@1"] == pytest.approx(expected)
    back = np.argsort(-unit[1] @ unit[0].T, axis=1)
    expected = np.mean(
        [set(np.flatnonzero(words == j)) & set(back[j, :5]) != set() for j in range(7)]
    )
    assert found["text_to_image_r@5"] == pytest.approx(expected)
    assert paired(pair, data, **OPTIONS | {"compared": 6})["items_image"] == 6


def test_what_is_said_of_it():
    row = paired(
        perfect, pairs(), prompts=Arrays({"tokens": CODES, "label": np.arange(4)}), **OPTIONS
    )
    said = " ".join(Paired().describe({"protocol": {}, "encoders": {"trained": row}}))
    assert "12 image and 4 text" in said and "same class" in said and "zero_shot" in said
    with pytest.raises(ValueError, match="NaN"):
        paired(lambda rows: {k: v * np.nan for k, v in perfect(rows).items()}, pairs(), **OPTIONS)
