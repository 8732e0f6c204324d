"""A class for each pixel: numbers as in plain loops, files without loss, masks that move along."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ssljax.data import Arrays
from ssljax.nets import ResNet
from ssljax.tasks import Examples, ImageInput, Mask, Task
from ssljax.views import ImageView, view_batch

TARGET = Mask(classes=3)
RNG = np.random.default_rng(0)
TRUTH = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (4, 5, 6))
GUESS = np.where(RNG.random(TRUTH.shape) < 0.6, TRUTH, RNG.integers(0, 3, TRUTH.shape)).astype(
    np.uint8
)


def loops(truth, guess, k):
    """(right, said, true) of class k by the definition, pixel by pixel."""
    right = said = true = 0
    for t, g in zip(truth.ravel(), guess.ravel(), strict=True):
        if t != 255:
            right, said, true = right + (t == g == k), said + (g == k), true + (t == k)
    return right, said, true


def test_numbers_are_those_of_plain_loops():
    chosen = np.array([True, False, True, True])
    found, score = TARGET.quality(TRUTH, GUESS, chosen), TARGET.score(TRUTH, GUESS)
    ious, ious_chosen = [], []
    for k in range(3):
        right, said, true = loops(TRUTH, GUESS, k)
        ious.append(right / (said + true - right))
        assert score[f"iou_{k}"] == pytest.approx(ious[-1], abs=1e-12)
        right, said, part = loops(TRUTH[chosen], GUESS[chosen], k)
        ious_chosen.append(right / (said + part - right))
        assert found["per_class_precision"][k] == pytest.approx(right / said, abs=1e-12)
        assert found["per_class_recall"][k] == pytest.approx(right / true, abs=1e-12)
        assert found["per_class_f1"][k] == pytest.approx(2 * right / (said + true), abs=1e-12)
    assert score["miou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert found["miou"] == pytest.approx(np.mean(ious_chosen), abs=1e-12)
    assert found["per_class_iou"] == pytest.approx(ious_chosen, abs=1e-12)
    counts = TRUTH != 255
    assert score["accuracy"] == pytest.approx((GUESS == TRUTH)[counts].mean(), abs=1e-12)
    assert found["coverage"] == 0.75 and found["f1"] == np.mean(found["per_class_f1"])
    # What is labelled as ignored is no label: recall falls, precision does not.
    less = np.where(GUESS == TRUTH, GUESS, 255)
    less[0] = 255
    said = TARGET.quality(TRUTH, less, np.ones(4, bool))
    assert said["precision"] == 1 and said["recall"] < 1
    nothing = TARGET.quality(TRUTH, GUESS, np.zeros(4, bool))
    assert {m.key for m in TARGET.shown} <= nothing.keys() and nothing["recall"] == 0
    best = TARGET.score(TRUTH, TRUTH)
    assert best["miou"] == best["accuracy"] == 1
    # A class that nobody has and nobody says is no part of the mean.
    assert Mask(classes=5).score(TRUTH, GUESS)["miou"] == score["miou"]


def test_dice_of_two_classes():
    two = Mask(classes=2)
    truth, guess = np.array([[[1, 1, 0, 255]]], np.uint8), np.array([[[1, 0, 1, 1]]], np.uint8)
    found = two.score(truth, guess)
    assert found["dice"] == pytest.approx(2 * 1 / (2 + 2)) and found["miou"] == pytest.approx(1 / 6)


def test_loss_is_the_mean_over_pixels_that_count():
    logits = RNG.normal(size=(*TRUTH.shape, 3)).astype(np.float32)
    weight = RNG.random(TRUTH.shape).astype(np.float32)
    want = []
    for z, mask, w in zip(logits.astype(np.float64), TRUTH, weight):
        total = count = 0.0
        for place in np.ndindex(mask.shape):
            if mask[place] != 255:
                total += w[place] * (np.log(np.exp(z[place]).sum()) - z[place][mask[place]])
                count += 1
        want.append(total / count)
    np.testing.assert_allclose(TARGET.loss(logits, TRUTH, jnp.asarray(weight)), want, rtol=1e-5)
    ones, half = jnp.ones(4), jnp.array([1, 0.5, 0, 1])
    np.testing.assert_allclose(
        TARGET.loss(logits, TRUTH, half), half * TARGET.loss(logits, TRUTH, ones), rtol=1e-6
    )
    grads = jax.grad(lambda z: TARGET.loss(z, TRUTH, ones).sum())(jnp.asarray(logits))
    assert not np.any(np.asarray(grads)[TRUTH == 255])
    assert np.all(np.any(np.asarray(grads)[TRUTH != 255], axis=-1))
    gone = TARGET.loss(logits, np.full_like(TRUTH, 255), ones)
    np.testing.assert_array_equal(gone, 0)
    right = (logits.argmax(-1) == TRUTH).sum((1, 2)) / (TRUTH != 255).sum((1, 2))
    np.testing.assert_allclose(TARGET.metrics(logits, TRUTH)["accuracy"], right, rtol=1e-6)
    with pytest.raises(ValueError, match="logits of 5x6 pixels for masks of 4x6"):
        TARGET.loss(logits, TRUTH[:, :4], ones)


def test_pseudo_masks_and_their_confidence():
    logits = RNG.normal(size=(2, 4, 5, 6, 3)).astype(np.float32)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    mask, sure = TARGET.pseudo(TARGET.average(jnp.asarray(logits)))
    np.testing.assert_array_equal(mask, p.mean(0).argmax(-1))
    np.testing.assert_allclose(sure, p.mean(0).max(-1), rtol=1e-5)
    assert mask.dtype == np.uint8
    sure, counts = np.asarray(sure), TRUTH != 255
    mean = [s[c].mean() for s, c in zip(sure, counts)]
    np.testing.assert_allclose(TARGET.whole(sure, TRUTH), mean, rtol=1e-6)
    least = [s[c].min() for s, c in zip(sure, counts)]
    found = Mask(classes=3, sure="minimum").whole(sure, TRUTH)
    np.testing.assert_allclose(found, least, rtol=1e-6)
    assert TARGET.known(np.stack([TRUTH[0], np.full_like(TRUTH[0], 255)])).tolist() == [True, False]


def test_columns_and_folders_there_and_back(tmp_path):
    found = TARGET.from_column(TARGET.column(TRUTH))
    np.testing.assert_array_equal(found, TRUTH)
    assert found.dtype == np.uint8
    names = ["a.jpg", "b/c.png", "d, é.tif", "e"]
    examples = Examples(names, {}, ("sky", "road", "car"))
    TARGET.write(tmp_path / "m", examples, TRUTH, np.array([1, 0.25, 0.5, 1]))
    with Image.open(tmp_path / "m" / "b" / "c.png") as image:
        assert image.mode == "P" and image.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
        np.testing.assert_array_equal(np.asarray(image), TRUTH[1])
    index, again, sure = TARGET.read(tmp_path / "m", examples)
    order = np.argsort(index)
    np.testing.assert_array_equal(again[order], TRUTH)
    assert sorted(index) == [0, 1, 2, 3] and sure[order].tolist() == [1, 0.25, 0.5, 1]
    with pytest.raises(ValueError, match=r"a\.png is a mask of none of these 3 images"):
        TARGET.read(tmp_path / "m", examples._replace(names=names[1:]))
    with pytest.raises(ValueError, match=r"two images would have the mask a\.png"):
        TARGET.write(tmp_path / "n", Examples(["a.jpg", "a.png"], {}), TRUTH[:2], np.ones(2))
    with pytest.raises(ValueError, match=r"row 1: class 2 at row \d, column \d, but there are 2"):
        Mask(classes=2).from_column(TARGET.column(TRUTH))
    file = io.BytesIO()
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(file, "PNG")
    for cell, message in ((b"no", "no readable picture"), (file.getvalue(), "8 bits, not RGB")):
        with pytest.raises(ValueError, match=f"row 2: .*{message}"):
            TARGET.from_column(pa.array([TARGET.column(TRUTH)[0].as_py(), cell]))
    joined = TARGET.join([TRUTH, TRUTH[:1, :2]])
    assert joined.shape == (5, 5, 6) and np.all(joined[4, 2:] == 255)


def test_what_a_person_sees():
    mask = np.array([[[0, 0, 0, 1], [2, 255, 255, 255]]], np.uint8)
    assert TARGET.show(mask, ("sky", "road", "car")) == ["sky 60%, road 20%, car 20%"]
    image = np.full((1, 2, 4, 1), 101, np.uint8)
    drawn = TARGET.draw(image, mask)
    assert drawn.dtype == np.uint8 and drawn.shape == (1, 2, 4, 3)
    assert drawn[0, 0, 3].tolist() == [115, 51, 51] and drawn[0, 1, 3].tolist() == [101] * 3


def test_other_data_is_refused():
    rows = {"image": np.zeros((4, 5, 6, 1), np.uint8), "regions": TRUTH}
    TARGET.check(Arrays(rows, classes=("a", "b", "c")))
    TARGET.check(Arrays({"image": rows["image"]}))
    with pytest.raises(ValueError, match="the data has 4 classes of pixels and the target 3"):
        TARGET.check(Arrays(rows, classes=tuple("abcd")))
    with pytest.raises(ValueError, match="image 1: class 2"):
        Mask(classes=2).check(Arrays(rows))
    with pytest.raises(ValueError, match="from 2 to 255"):
        Mask(classes=1)


@pytest.mark.turns
@pytest.mark.parametrize(
    "view",
    [
        ImageView(size=24, scale=(0.3, 0.9), flip=0.5),
        ImageView(
            size=24, scale=(1.0, 1.0), flip=1.0, degrees=40.0, translate=0.1, zoom=(0.8, 1.3)
        ),
        ImageView(size=24, scale=(0.4, 0.8), flip=0.5, degrees=20.0),
    ],
    ids=["crop", "affine", "both"],
)
def test_masks_move_with_the_picture(view):
    view = ImageView(
        **{f: getattr(view, f) for f in ("size", "scale", "flip", "degrees", "translate", "zoom")},
        jitter=0.0, grayscale=0.0, blur=0.0, mean=(0.0,), std=(1.0,),
    )  # fmt: skip
    # A picture whose colours say where a pixel was; the mask of a coarse chessboard on it.
    y, x = np.mgrid[:24, :24].astype(np.float32)
    image = np.stack([x, y, np.full_like(x, 255)], -1).astype(np.uint8)
    batch = {"image": jnp.asarray(np.stack([image] * 4))}
    mask = jnp.asarray(np.stack([((x // 6 + y // 6) % 3).astype(np.uint8)] * 4))
    key = jax.random.key(3)
    seen = 255 * np.asarray(view_batch(view, key, batch["image"]))
    transform = ImageInput(view=view).transform(batch, key)
    found, weight = TARGET.moved(mask, mask.astype(jnp.float32), transform)
    places = np.asarray(transform) @ np.stack([x + 0.5, y + 0.5, np.ones_like(x)]).reshape(3, -1)
    places = places.reshape(4, 2, 24, 24) - 0.5  # of pixels, counted from 0
    inside = (places > 0.5).all(1) & (places < 22.5).all(1) & (seen[..., 2] > 254.9)
    # Crops stop at their own border, one pixel of which is blended less.
    inside[:, [0, -1]] = inside[:, :, [0, -1]] = False
    assert inside.mean() > 0.3
    for axis in (0, 1):
        np.testing.assert_allclose(seen[..., axis][inside], places[:, axis][inside], atol=0.02)
    near = np.rint(np.moveaxis(places, 1, -1)).astype(int)
    clear = inside & (np.abs(places - np.rint(places)) < 0.45).all(1)  # no ties
    want = np.asarray(mask)[0][near[..., 1].clip(0, 23), near[..., 0].clip(0, 23)]
    np.testing.assert_array_equal(np.asarray(found)[clear], want[clear])
    np.testing.assert_array_equal(np.asarray(weight)[clear], want[clear])
    outside = ((places < -0.51) | (places > 23.51)).any(1)
    assert np.all(np.asarray(found)[outside] == 255) and not np.any(np.asarray(weight)[outside])


def test_a_task_moves_the_mask_as_it_moves_the_picture():
    view = ImageView(size=16, scale=(0.5, 1.0), flip=0.5, jitter=0.0, grayscale=0.0, blur=0.0)
    task = Task(inputs=ImageInput(view=view), encoder=ResNet(width=4), target=TARGET,
                hidden=(4,) * 5)  # fmt: skip
    rng = np.random.default_rng(0)
    batch = {"image": jnp.asarray(rng.integers(0, 255, (2, 16, 16, 3), np.uint8))}
    key, mask = jax.random.key(0), jnp.asarray(rng.integers(0, 3, (2, 16, 16), np.uint8))

    def run(key):
        params, stats = task.init(key, batch)
        return task.outputs(params, stats, batch, key=key, train=True)[0]

    assert jax.eval_shape(run, key).shape == (2, 16, 16, 3)
    found, _ = task.moved(batch, mask, jnp.ones(2), key=key)
    transform = task.inputs.transform(batch, jax.random.split(key)[0])
    np.testing.assert_array_equal(found, TARGET.moved(mask, jnp.ones(2), transform)[0])
    assert np.any(np.asarray(found) != np.asarray(mask))
