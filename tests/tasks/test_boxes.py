"""Boxes as targets: AP against pycocotools, files that give back what they were given, views."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.losses import detection
from ssljax.nets import ResNet
from ssljax.nets.fcos import STRIDES
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.pseudolabels.rounds import Rounds, self_train
from ssljax.pseudolabels.select import Threshold
from ssljax.tasks import ImageInput, Task, suggested
from ssljax.tasks.average_precision import average_precision
from ssljax.tasks.boxes import Boxes, objects, rows_of
from ssljax.tasks.target import Examples, take
from ssljax.views import ImageView

RNG = np.random.default_rng(0)
SIZE, NAMES = 64, ("cell", "dot", "rod")
TARGET = Boxes(classes=NAMES, size=SIZE, width=8, convolutions=1, groups=2, most=10)


def some(n, jitter=None):
    """Rows of objects; of `jitter` with doubles, misses and wrong ones."""
    rows = []
    for i in range(n):
        corner = RNG.uniform(0, 40, (0 if i == 2 else 1 + i % 7, 2))
        if jitter is not None:
            kept = [r for r in jitter[i] if RNG.random() < 0.8] * 2
            rows.append([
                ((np.array(b) + RNG.normal(scale=2.5, size=4)).tolist(),
                 k if RNG.random() < 0.8 else int(RNG.integers(3)),
                 float(RNG.random() * 0.9 + 0.05))
                for b, k, _ in kept
            ])  # fmt: skip
            continue
        sides = RNG.uniform(8, 24, corner.shape)
        rows.append([
            (np.concatenate([c, c + s]).tolist(), int(RNG.integers(3)), 1.0)
            for c, s in zip(corner, sides)
        ])  # fmt: skip
    return rows


TRUE_ROWS = some(12)
TRUTH, GUESS = objects(TRUE_ROWS), objects(some(12, TRUE_ROWS))
EXAMPLES = Examples([f"{i}.png" for i in range(12)], {"sides": np.tile([[128, 32]], (12, 1))})


def test_files_are_opened_by_pycocotools_and_ap_is_theirs(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    plain = Examples(EXAMPLES.names, {})
    TARGET.write(tmp_path / "true.json", plain, TRUTH, TRUTH["scores"])
    TARGET.write(tmp_path / "said.json", plain, GUESS, GUESS["scores"])
    truth, said = coco.COCO(str(tmp_path / "true.json")), coco.COCO(str(tmp_path / "said.json"))
    e = evaluation.COCOeval(truth, truth.loadRes(list(said.anns.values())), "bbox")
    e.evaluate()
    e.accumulate()
    want = e.eval["precision"][:, :, :, 0, 2].mean(1)  # T, K
    found = average_precision(TRUTH, GUESS, classes=3)
    np.testing.assert_allclose(found, want, atol=1e-9)
    score = TARGET.score(TRUTH, GUESS)
    e.summarize()
    assert score["ap"] == pytest.approx(e.stats[0]) and score["ap50"] == pytest.approx(e.stats[1])
    assert 0.1 < score["ap"] < score["ap50"] < 0.9
    assert TARGET.score(TRUTH, TRUTH)["ap"] == pytest.approx(1)


def test_quality_counts_boxes():
    true = objects(
        [[([0, 0, 10, 10], 0, 1.0), ([20, 20, 30, 30], 0, 1.0)], [([0, 0, 9, 9], 1, 1.0)]]
    )
    said = objects(
        [
            [([0, 0, 10, 8], 0, 0.9), ([0, 0, 10, 9], 0, 0.8), ([50, 50, 60, 60], 1, 0.7),
             ([20, 20, 30, 30], 0, 0.4)],  # a double, a wrong one, and one that is not sure
            [([0, 0, 9, 9], 1, 0.9)],
        ]
    )  # fmt: skip
    found = TARGET.quality(true, said, np.array([True, True]))
    assert found["per_class_precision"] == [0.5, 0.5, 0] and found["prior"] == [2, 1, 0]
    assert found["per_class_recall"] == [0.5, 1, 0] and found["recall"] == 0.75
    assert found["micro_f1"] == pytest.approx(2 * 2 / (4 + 3)) and found["f1"] == pytest.approx(
        7 / 12
    )
    fewer = TARGET.quality(true, said, np.array([False, True]))
    assert fewer["per_class_recall"] == [0, 1, 0] and fewer["micro_precision"] == 1
    np.testing.assert_allclose(TARGET.whole(said["scores"], said), [0.8, 0.9], rtol=1e-6)
    assert TARGET.show(said, None) == ["2 cell, 1 dot", "1 dot"]


def test_tables_and_files_give_back_what_they_got(tmp_path):
    again = TARGET.from_column(TARGET.column(GUESS))
    jax.tree.map(np.testing.assert_array_equal, again, GUESS)
    assert {k: v.dtype for k, v in again.items()} == {k: v.dtype for k, v in GUESS.items()}
    TARGET.write(tmp_path / "x.json", EXAMPLES, GUESS, GUESS["scores"])
    index, found, sure = TARGET.read(tmp_path / "x.json", EXAMPLES)
    assert index.tolist() == list(range(12))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, GUESS)
    np.testing.assert_array_equal(sure, GUESS["scores"])
    with pytest.raises(ValueError, match=r"x\.json, image 1: '0\.png' is none of these 1"):
        TARGET.read(tmp_path / "x.json", Examples(["y"], {}))
    for cell, message in (
        ([{"class": "car"}], "row 1: 'car' is none of the classes cell"),
        (
            [{"class": "dot", "x1": 3, "y1": 0, "x2": 3, "y2": 4}],
            "row 1: the box 3, 0, 3, 4 has no",
        ),
        ("dot", "row 1: no list of boxes"),
    ):
        with pytest.raises(ValueError, match=message):
            TARGET.from_column(type("Column", (), {"to_pylist": lambda _, c=cell: [c]})())
    empty = TARGET.from_column(TARGET.column(objects([[], []])))
    assert empty["boxes"].shape == (2, 0, 4)
    for few in (empty, take(TRUTH, np.arange(2)), GUESS):  # one compiled step for all rounds
        room = TARGET.fixed(few)
        assert room["boxes"].shape[1:] == (max(10, few["boxes"].shape[1]), 4)
        again = TARGET.from_column(TARGET.column(room))
        assert rows_of(again) == rows_of(few)
    picture = TARGET.draw(np.zeros((12, SIZE, SIZE, 1), np.uint8), TRUTH)
    assert picture.shape == (12, SIZE, SIZE, 3) and not picture[2].any() and picture[0].any()


def outputs_of(truth):
    """What a network that is sure of these boxes would say."""
    where = detection.locations(SIZE, STRIDES)
    n = len(where.at)

    def one(boxes, kinds, scores):
        mine = detection.assign(where, boxes, scores > 0)
        reach = jnp.concatenate([where.at - boxes[mine, :2], boxes[mine, 2:] - where.at], axis=1)
        centre = detection.centerness(where.at, boxes[mine])
        return {
            "logits": 20 * jax.nn.one_hot(jnp.where(mine >= 0, kinds[mine], -1), 3) - 10,
            "reach": jnp.where(mine[:, None] >= 0, reach / where.stride[:, None], 0.0),
            "centre": jax.scipy.special.logit(jnp.clip(centre, 1e-6, 1 - 1e-6)) * jnp.ones(n),
        }

    return jax.vmap(one)(*(jnp.asarray(truth[k]) for k in TARGET.leaves))


@pytest.mark.turns
def test_loss_and_labels_of_a_perfect_network():
    outputs = outputs_of(TRUTH)
    found, sure = jax.jit(TARGET.pseudo)(outputs)
    assert found["boxes"].shape == (12, 10, 4) and found["kinds"].dtype == np.int32
    np.testing.assert_array_equal(sure, found["scores"])
    quality = TARGET.quality(TRUTH, jax.device_get(found), np.ones(12, bool))
    assert quality["precision"] == 1 and quality["recall"] > 0.5  # hidden ones have no place
    true = {k: jnp.asarray(v) for k, v in TRUTH.items()}
    loss = jax.jit(TARGET.loss)
    each = loss(outputs, true, jnp.ones(12))
    wrong = {**outputs, "logits": -outputs["logits"]}
    assert each.shape == (12,) and np.all(each < 0.2 * loss(wrong, true, jnp.ones(12)) + 1e-3)
    assert loss(wrong, true, jnp.zeros(12)).sum() == 0
    more = jax.tree.map(lambda x: jnp.pad(x, [(0, 0), (0, 3)] + [(0, 0)] * (x.ndim - 2)), true)
    np.testing.assert_allclose(
        loss(wrong, more, jnp.ones(12)), loss(wrong, true, jnp.ones(12)), rtol=1e-5
    )
    parts = loss(wrong, true, jnp.ones(TRUTH["scores"].shape))
    np.testing.assert_allclose(parts, loss(wrong, true, jnp.ones(12)), rtol=1e-5)

    # A box that is not sure is neither object nor background.
    unsure = {**true, "scores": true["scores"] * 0.4}
    grad = jax.grad(lambda z: TARGET.loss({**outputs, "logits": z}, unsure, jnp.ones(12)).sum())
    where = detection.locations(SIZE, STRIDES)
    inside = jax.vmap(lambda b, s: detection.assign(where, b, s > 0))(true["boxes"], true["scores"])
    moved = np.any(np.asarray(grad(outputs["logits"])) != 0, axis=-1)
    assert not np.any(moved[np.asarray(inside) >= 0]) and np.all(moved[np.asarray(inside) < 0])


def test_boxes_follow_the_picture():
    one = {"boxes": jnp.array([[[10.0, 20, 30, 40], [0, 0, 8, 8], [0, 0, 0, 0]]]),
           "kinds": jnp.array([[1, 2, 0]]), "scores": jnp.array([[1.0, 1, 0]])}  # fmt: skip
    # Mirrored: the moved x is at 64 - x of the stored picture.
    flip = jnp.array([[[-1.0, 0, 64], [0, 1, 0]]])
    found, weight = TARGET.moved(one, jnp.ones(1), flip)
    np.testing.assert_allclose(found["boxes"][0], [[34, 20, 54, 40], [56, 0, 64, 8], [0, 0, 0, 0]])
    assert weight.tolist() == [1]
    # The lower right quarter, twice as large: the moved (0, 0) is at (16, 16).
    crop = jnp.array([[[0.5, 0, 16], [0, 0.5, 16]]])
    found, _ = TARGET.moved(one, jnp.ones(1), crop)
    np.testing.assert_allclose(found["boxes"][0], [[0, 8, 28, 48], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert found["scores"].tolist() == [[1, 0, 0]] and found["kinds"].tolist() == [[1, 0, 0]]


def test_boxes_follow_what_a_view_does_to_the_pixels():
    view = ImageView(size=SIZE, scale=(0.4, 0.9), jitter=0, grayscale=0, blur=0)
    task = Task(inputs=ImageInput(view=view), encoder=ResNet(width=4), target=TARGET)
    boxes = jnp.array([[[20.0, 12, 44, 50]], [[8, 30, 40, 44]]] * 4)
    at = jnp.arange(SIZE) + 0.5
    x, y = at[None, None, :, None], at[None, :, None, None]
    x1, y1, x2, y2 = (boxes[:, :, i, None, None].reshape(-1, 1, 1, 1) for i in range(4))
    image = jnp.where((x > x1) & (x < x2) & (y > y1) & (y < y2), 255, 0).astype(jnp.uint8)
    batch = {"image": jnp.repeat(image, 3, axis=-1)}
    target = {"boxes": boxes, "kinds": jnp.zeros((8, 1), int), "scores": jnp.ones((8, 1))}
    key = jax.random.key(3)
    found, _ = jax.jit(lambda k: task.moved(batch, target, jnp.ones(8), key=k))(key)
    seen = np.asarray(jax.jit(task.inputs)(batch, jax.random.split(key)[0]))[..., 0] > 0.5
    for picture, box, score in zip(seen, found["boxes"][:, 0], found["scores"][:, 0]):
        rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
        edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert score == 1
        np.testing.assert_allclose(box, edges, atol=1.01)


def test_task_of_boxes_fits_together():
    task = Task(
        inputs=ImageInput(view=ImageView(size=SIZE)), encoder=ResNet(width=4), target=TARGET
    )
    batch = {"image": jax.ShapeDtypeStruct((2, SIZE, SIZE, 3), np.uint8)}

    def run(key, batch):
        params, stats = task.init(key, batch)
        return task.pseudo(task.outputs(params, stats, batch, key=None, train=False)[0])

    found, sure = jax.eval_shape(run, jax.random.key(0), batch)
    assert found["boxes"].shape == (2, 10, 4) and sure.shape == (2, 10)
    other = Boxes(classes=NAMES, size=96, width=8, groups=2)
    outputs = {"centre": jnp.zeros((1, 85)), "logits": jnp.zeros((1, 85, 3))}
    with pytest.raises(ValueError, match="must give pictures of 96 pixels"):
        other.loss(outputs, {"scores": jnp.zeros((1, 0))}, jnp.ones(1))


def test_data_of_another_kind_is_refused():
    rows = {"image": np.zeros((2, SIZE, SIZE, 3), np.uint8)} | objects([[], []])
    data = Arrays(rows, classes=NAMES)
    TARGET.check(data)
    assert suggested(data) == Boxes(classes=NAMES, size=SIZE)
    with pytest.raises(ValueError, match="boxes of cell, dot, rod and the target of rod"):
        Boxes(classes=("rod",), size=SIZE).check(data)
    with pytest.raises(ValueError, match="32 x 32 pixels, and the data has 64 x 64"):
        Boxes(classes=NAMES, size=32).check(data)


def test_rounds_of_boxes_are_made_measured_and_read_again(tmp_path):
    rows = {"image": np.zeros((12, SIZE, SIZE, 3), np.uint8)} | TRUTH
    pool = Arrays(rows, classes=NAMES, names=EXAMPLES.names)
    given = Labels.given(np.arange(3), take(TRUTH, np.arange(3)))
    learnt = []

    class Teacher:
        def guess(self, data, **_):
            return Guess(GUESS, GUESS["scores"])

    def train(labels, *_):
        learnt.append(labels)
        return Teacher()

    told, reason = self_train(
        tmp_path,
        Rounds(count=1, select=Threshold(value=0.72)),
        pool=pool,
        given=given,
        target=TARGET,
        train=train,
        score=lambda teacher: TARGET.score(TRUTH, teacher.guess(pool).target),
        truth=TRUTH,
        names=NAMES,
    )
    labels = learnt[-1]
    np.testing.assert_array_equal(labels.index[:3], np.arange(3))
    chosen = labels.index[3:]
    want = np.flatnonzero(TARGET.whole(GUESS["scores"], GUESS) >= 0.72)
    np.testing.assert_array_equal(chosen, want[want >= 3])
    most = labels.target["boxes"].shape[1]
    np.testing.assert_array_equal(labels.target["boxes"][3:], GUESS["boxes"][chosen][:, :most])
    quality = TARGET.quality(
        take(TRUTH, np.arange(3, 12)),
        take(GUESS, np.arange(3, 12)),
        np.isin(np.arange(3, 12), chosen),
    )
    found = json.loads(json.dumps(told[1]))
    assert reason == "max_iter" and 0 < len(chosen) < 9
    assert quality["f1"] in [
        x for part in found.values() if isinstance(part, dict) for x in part.values()
    ]
    assert found["test"]["ap50"] == pytest.approx(TARGET.score(TRUTH, GUESS)["ap50"])
