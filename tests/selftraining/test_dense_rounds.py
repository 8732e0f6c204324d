"""Rounds of masks and of boxes from files to files: the engine, with networks as small as it goes,
then labels in the format of their field, and a run that was killed."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ssljax.cli import commands as cli
from ssljax.tasks import Boxes, Mask

SIDE = 32
BASE = """
import flax.linen as nn

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import BoxedImages, Masks
from ssljax.nets import UNetEncoder
from ssljax.pseudolabels.refine import Parts
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy, Threshold
from ssljax.selftraining.learners import Network
from ssljax.tasks import Boxes, ImageInput, Mask, Task
from ssljax.views import ImageView

VIEW = ImageView(
    size={side}, scale=(1.0, 1.0), flip=0.5, jitter=0.0, grayscale=0.0, blur=0.0, mean=(0.5,),
    std=(0.25,),
)
"""
MASKS = """
SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=ImageInput(view=VIEW),
            encoder=UNetEncoder(widths=(4, 4)),
            target=Mask(classes=2, plain=True),
            hidden=(4,),
        ),
        optimizer=Optimizer(name="adamw", learning_rate=0.05, per_batch=None),
        steps=20,
        batch=8,
    ),
    reader=Masks(size={side}, channels=1, classes=("ground", "square"), test=0.3),
    few=2,
    rounds=Rounds(count=1, select=Greedy(budget=3), refine=(Parts(value=0.6),)),
    seeds=(0,),
)
"""
ONLINE = """
from ssljax.selftraining.online import Online

TASK = Task(
    inputs=ImageInput(view=VIEW),
    encoder=UNetEncoder(widths=(4, 4)),
    target=Mask(classes=2, plain=True),
    hidden=(4,),
)
HOW = Optimizer(name="adamw", learning_rate=0.05, per_batch=None)
SELFTRAIN = SelfTraining(
    learner=Online(
        task=TASK, optimizer=HOW, steps=20, batch=8, threshold=0.6, ratio=1,
        cadence=Cadence(log=10, save=20, monitor=0),
    ),
    student=Network(task=TASK, optimizer=HOW, steps=20, batch=8),
    reader=Masks(size={side}, channels=1, classes=("ground", "square"), test=0.3),
    few=2,
    rounds=Rounds(count=0),
    seeds=(0,),
)
"""
BOXES = '''
class Shrunk(nn.Module):
    """The picture itself at strides 1, 8, 16 and 32: brightness finds its squares."""

    def levels(self, x, train=False):
        return (x, *(nn.avg_pool(x, (s, s), (s, s)) for s in (8, 16, 32)))

    def __call__(self, x, train=False):
        return self.levels(x, train)[-1].mean((1, 2))


SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=ImageInput(view=VIEW),
            encoder=Shrunk(),
            target=Boxes(
                classes=("square",), size={side}, width=4, convolutions=0, groups=1, most=4,
                candidates=8, sure=0.3,
            ),
        ),
        optimizer=Optimizer(name="adamw", learning_rate=0.05, per_batch=None),
        steps=120,
        share=0.5,
        batch=8,
    ),
    reader=BoxedImages(size={side}, channels=1),
    few=3,
    rounds=Rounds(count=1, select=Threshold(value=0.3)),
    seeds=(0,),
)
'''  # fmt: skip


def squares(count=10):
    """(pictures, corners) of a bright square each, on dark ground."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        y, x = (8 * rng.integers(0, 3, 2)).tolist()
        inside = np.zeros((SIDE, SIDE), np.uint8)
        inside[y : y + 12, x : x + 12] = 1
        image = 40 + 160 * inside + rng.integers(-20, 20, inside.shape)
        yield Image.fromarray(image.astype(np.uint8)), inside, [x, y, 12, 12]


def run(tmp_path, kind, text):
    file = tmp_path / "mine.py"
    file.write_text((BASE + text).replace("{side}", str(SIDE)))
    data = ["--data", f"{kind}:{tmp_path / 'data'}", "--workdir", str(tmp_path / "run")]

    def command():
        cli.main(["selftrain", str(file), *data])
        return json.loads((tmp_path / "run" / "results.json").read_text())

    return command, file


def killed(tmp_path, command, before):
    """The same numbers come from a run that was stopped before the last line of its last round."""
    done = tmp_path / "run" / "seed0" / "rounds" / "01" / "round.json"
    said = done.read_text()
    done.unlink()
    assert command()["seeds"] == before["seeds"] and done.read_text() == said


def put_masks(tmp_path):
    for i, (image, inside, _) in enumerate(squares()):
        inside[0, 31] = 255 if i == 9 else 0
        for name, picture in (("image", image), ("mask", Image.fromarray(inside))):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            picture.save(tmp_path / "data" / name / f"{i:02}.png")


@pytest.mark.slow
def test_masks_are_learned_from_the_pool_at_every_step(tmp_path):
    put_masks(tmp_path)
    command, _ = run(tmp_path, "masks", ONLINE)
    found = command()
    (row,) = found["seeds"][0]["rounds"]
    assert row["test"]["miou"] > 0.6 and found["full"]["mean"] > 0.7  # always the ground: a half
    (log,) = (tmp_path / "run" / "seed0" / "rounds" / "00").rglob("metrics.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert any({"strong1", "strong2", "thinned", "sure"} <= set(row) for row in rows)
    done = tmp_path / "run" / "seed0" / "rounds" / "00" / "round.json"
    said = done.read_text()
    done.unlink()
    assert command()["seeds"] == found["seeds"] and done.read_text() == said


@pytest.mark.turns
def test_masks_go_through_rounds_and_into_png_files(tmp_path):
    put_masks(tmp_path)
    command, file = run(tmp_path, "masks", MASKS)
    found = command()
    row = found["seeds"][0]["rounds"][1]
    assert found["measure"]["key"] == "miou" and row["coverage"] == 3 / 5
    assert found["full"]["mean"] > 0.7  # always the ground: below a half
    here = tmp_path / "run" / "seed0" / "rounds" / "01"
    labels = pq.read_table(here / "labels.parquet")
    cells = Mask(classes=2).from_column(labels["target"])
    weight = np.array(labels["weight"].to_pylist())
    with np.load(here / "guess.npz") as guess:
        index = labels["index"].to_numpy()
        np.testing.assert_array_equal(guess["target"][index], cells)
        np.testing.assert_array_equal(weight, guess["confidence"][index] >= 0.6)
    page = (tmp_path / "run" / "report.html").read_text()
    for words in ("wrong, in red", "sure white", "<th>IoU</th>", "iou_1", "dice"):
        assert words in page
    with np.load(tmp_path / "run" / "report.npz") as stored:
        assert stored["drawn"].shape == (3, 4, SIDE, SIDE, 3)
    killed(tmp_path, command, found)

    cli.main(
        ["label", str(tmp_path / "run"), "--experiment", str(file), "--out", str(tmp_path / "png")]
    )
    files = sorted(p.name for p in (tmp_path / "png").rglob("*.png"))
    assert files == [f"{i:02}.png" for i in range(7)]
    with Image.open(next((tmp_path / "png").rglob("00.png"))) as mask:
        assert mask.mode == "P" and mask.size == (SIDE, SIDE) and set(np.unique(mask)) <= {0, 1}


@pytest.mark.slow
def test_boxes_go_through_rounds_and_into_coco_json(tmp_path):
    (tmp_path / "data" / "pictures").mkdir(parents=True)
    tables = {"train": ([], []), "test": ([], [])}
    for i, (image, _, box) in enumerate(squares(12)):
        image.save(tmp_path / "data" / "pictures" / f"{i:02}.png")
        images, things = tables["train" if i < 8 else "test"]
        images.append({"id": i, "file_name": f"{i:02}.png", "width": SIDE, "height": SIDE})
        things.append({"id": i, "image_id": i, "category_id": 1, "bbox": box})
    for split, (images, things) in tables.items():
        table = {"images": images, "annotations": things}
        table["categories"] = [{"id": 1, "name": "square"}]
        (tmp_path / "data" / f"{split}.json").write_text(json.dumps(table))
    command, file = run(tmp_path, "boxes", BOXES)
    found = command()
    assert found["measure"]["key"] == "ap50" and found["full"]["mean"] > 0.5
    labels = pq.read_table(tmp_path / "run" / "seed0" / "rounds" / "01" / "labels.parquet")
    kept = Boxes(classes=("square",), size=SIDE).from_column(labels["target"])
    row = found["seeds"][0]["rounds"][1]
    assert row["coverage"] == len(kept["boxes"]) / 5 and row["quality"]["recall"] > 0
    page = (tmp_path / "run" / "report.html").read_text()
    for words in ("right green, wrong red, missed blue", "ap50_square"):
        assert words in page
    killed(tmp_path, command, found)

    out = tmp_path / "labels.json"
    cli.main(["label", str(tmp_path / "run"), "--experiment", str(file), "--out", str(out)])
    coco = pytest.importorskip("pycocotools.coco").COCO(str(out))
    assert sorted(x["file_name"].split("/")[-1] for x in coco.imgs.values()) == [
        f"{i:02}.png" for i in range(8)
    ]
    scores = [a["score"] for a in coco.anns.values()]
    assert scores.count(1) == 3 and len(scores) > 3  # a box that somebody gave is sure
