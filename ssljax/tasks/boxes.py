"""A target that is the objects of a picture: a box and a class for each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from ssljax.losses import detection
from ssljax.measure import Measure
from ssljax.nets.fcos import FCOS, STRIDES
from ssljax.tasks import box_pictures, coco
from ssljax.tasks.average_precision import average_precision, boxes_quality
from ssljax.tasks.quality import ratio
from ssljax.tasks.target import Examples, Target, padded
from ssljax.tasks.verify import check_numbers

Objects = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Boxes(Target):
    """Outputs are those of `FCOS`; a target is {"boxes": float32 [B, M, 4], x1, y1, x2, y2 in
    pixels of the stored picture, "kinds": int32 [B, M], the classes, "scores": float32 [B, M], how
    sure each box is, 1 where it is true and 0 in padding}.

    The encoder gives `levels`, of which the last three have strides 8, 16 and 32, and sees pictures
    of the stored size. Places in boxes less sure than `sure` teach nothing: they are neither object
    nor background. The number of the task is AP at an overlap of a half, as COCO counts it. The
    loss is divided by the boxes' places in the mean picture of the batch.
    """

    classes: tuple[str, ...]
    """Their names, by number."""
    size: int
    """Side of the stored picture in pixels."""
    width: int = 256
    """Channels of the pyramid and the head."""
    convolutions: int = 4
    """Convolutions of the head before each of its outputs."""
    groups: int = 32
    """Groups of the group norm of the head."""
    most: int = 100
    """Boxes of a picture that are given at most."""
    least: float = 0.05
    """How sure a box must be to be given at all."""
    sure: float = 0.5
    """How sure a box must be to count as a label."""
    overlap: float = 0.6
    """Of boxes of one class that overlap by more, intersection over union, the surest stays."""
    candidates: int = 500
    """The surest places of a picture that are looked at."""
    kept: float = 0.3
    """Boxes of which less than this share is left in a moved picture are dropped."""

    leaves = ("boxes", "kinds", "scores")
    reads = "levels"
    measure: ClassVar[Measure] = Measure(key="ap50", name="AP@.5")
    shown: ClassVar[tuple[Measure, ...]] = (
        Measure(key="f1", name="F1 of boxes"),
        Measure(key="precision", name="precision of boxes"),
        Measure(key="recall", name="recall of boxes"),
    )

    def head(self, hidden: tuple[int, ...]) -> FCOS:
        del hidden  # the head has its own shape
        return FCOS(
            classes=len(self.classes),
            width=self.width,
            convolutions=self.convolutions,
            groups=self.groups,
        )

    def _where(self, outputs: Objects) -> detection.Locations:
        where, found = detection.locations(self.size, STRIDES), outputs["centre"].shape[-1]
        if len(where.at) != found:
            raise ValueError(
                f"Boxes(size={self.size}) has {len(where.at)} places and the network {found}: the "
                f"view must give pictures of {self.size} pixels, and the last three levels of the "
                "encoder have strides 8, 16 and 32 (a ResNet with the imagenet stem)"
            )
        return where

    def loss(self, outputs: Objects, target: Objects, weight: jax.Array) -> jax.Array:
        where, scores = self._where(outputs), target["scores"]
        each = weight if weight.ndim == 2 else jnp.broadcast_to(weight[:, None], scores.shape)
        nowhere = jnp.max(weight, axis=1) if weight.ndim == 2 else weight
        each = jnp.where(scores >= self.sure, each, 0.0)
        logits, reach, centre = (
            outputs[name].astype(jnp.float32) for name in ("logits", "reach", "centre")
        )
        each = jnp.concatenate([each, nowhere[:, None]], axis=1)
        boxes, kinds = target["boxes"], target["kinds"]
        parts = detection.fcos_parts(where, logits, reach, centre, boxes, kinds, scores > 0, each)
        total = jnp.maximum(jnp.sum(parts.count), 1) / len(scores)
        return (parts.focal + parts.giou + parts.centre) / total

    def pseudo(self, outputs: Objects) -> tuple[Objects, jax.Array]:
        """(the surest boxes, [B, M]; how sure each is, the root of class times centerness)."""
        where = self._where(outputs)
        boxes = jnp.clip(detection.decode(where, outputs["reach"]), 0, self.size)
        p = jax.nn.sigmoid(outputs["logits"]) * jax.nn.sigmoid(outputs["centre"])[..., None]
        p = jnp.where(detection.area(boxes)[..., None] > 0, jnp.sqrt(p), 0.0)
        found = detection.nms(
            boxes, p, most=self.most, threshold=self.least, overlap=self.overlap,
            candidates=self.candidates,
        )  # fmt: skip
        target = {"boxes": found.boxes, "kinds": found.classes, "scores": found.scores}
        return target, found.scores

    def average(self, outputs: Objects) -> Objects:
        """The mean of logits and distances, place by place: of networks, or of views that leave
        objects where they are."""
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), outputs)

    def moved(
        self, target: Objects, weight: jax.Array, transform: jax.Array
    ) -> tuple[Objects, jax.Array]:
        """Boxes around the moved corners, cut to the picture; dropped where little is left."""
        back = jnp.linalg.inv(transform[..., :2])
        x1, y1, x2, y2 = jnp.moveaxis(target["boxes"], -1, 0)
        corners = jnp.stack([x1, y1, x2, y1, x1, y2, x2, y2], axis=-1)
        corners = corners.reshape(*x1.shape, 4, 2) - transform[:, None, None, :, 2]
        corners = jnp.einsum("bij,bmcj->bmci", back, corners)
        boxes = jnp.concatenate([corners.min(2), corners.max(2)], axis=-1)
        cut = jnp.clip(boxes, 0, self.size)
        whole = detection.area(boxes)
        left = (detection.area(cut) >= self.kept * whole) & (detection.area(cut) > 0)
        left &= target["scores"] > 0
        found = {
            "boxes": jnp.where(left[..., None], cut, 0.0),
            "kinds": jnp.where(left, target["kinds"], 0),
            "scores": jnp.where(left, target["scores"], 0.0),
        }
        return found, weight

    def check(self, data: Any) -> None:
        shape = data.spec["image"][0] if "image" in data.spec else ()
        if shape[:2] != (self.size, self.size):
            raise ValueError(
                f"boxes are of pictures of {self.size} x {self.size} pixels, and the data has "
                f"{' x '.join(map(str, shape[:2])) or 'no pictures'}: give reader and target one "
                "size"
            )
        if "boxes" in data.spec and data.classes is not None and data.classes != self.classes:
            raise ValueError(
                f"the data has boxes of {', '.join(data.classes)} and the target of "
                f"{', '.join(self.classes)}: give it the classes of the data, in that order"
            )

    def verify(self, target: Objects) -> None:
        if not isinstance(target, dict) or set(target) != set(self.leaves):
            raise ValueError(f"boxes are arrays called {', '.join(self.leaves)}")
        scores = check_numbers(target["scores"], "scores of boxes", shape=(None,), low=0, high=1)
        most, there = scores.shape[1], scores > 0
        boxes = check_numbers(target["boxes"], "corners of boxes", shape=(most, 4))
        kinds = check_numbers(target["kinds"], "classes of boxes", shape=(most,), whole=True)
        none = there & ~((kinds >= 0) & (kinds < len(self.classes)))
        none |= there & ~(boxes[..., :2] <= boxes[..., 2:]).all(-1)
        if none.any():
            i, j = (int(a[0]) for a in none.nonzero())
            raise ValueError(
                f"example {i + 1}: {boxes[i, j].tolist()} of class {kinds[i, j]} is no box x1, y1, "
                f"x2, y2 of one of {len(self.classes)} classes"
            )

    def fixed(self, target: Objects) -> Objects:
        """Room for `most` boxes, or for as many as the fullest picture has."""
        room = max(self.most, np.shape(target["scores"])[1])
        return {k: padded(x, (room, *np.shape(x)[2:])) for k, x in target.items()}

    def whole(self, confidence: np.ndarray, target: Objects) -> np.ndarray:
        """The mean over the boxes that are sure, 0 where there is none."""
        if len(confidence.shape) == 1:
            return confidence
        sure = np.asarray(target["scores"]) >= self.sure
        return ratio(np.where(sure, confidence, 0).sum(1), sure.sum(1)).astype(np.float32)

    def score(self, truth: Objects, guess: Objects) -> dict[str, float]:
        """ "ap50", "ap" (the mean over overlaps of .5 to .95), and "ap50_NAME" of each class."""
        found = average_precision(truth, guess, classes=len(self.classes))
        known = ~np.isnan(found[0])
        means = found[:, known].mean(1) if known.any() else np.zeros(len(found))
        each = {f"ap50_{self.classes[k]}": float(found[0, k]) for k in np.flatnonzero(known)}
        return {"ap50": float(means[0]), "ap": float(means.mean()), **each}

    def quality(self, truth: Objects, guess: Objects, chosen: np.ndarray) -> dict[str, Any]:
        """As `boxes_quality`, of boxes that are sure, at an overlap of a half."""
        scores = np.asarray(guess["scores"])
        guess = {**guess, "scores": np.where(scores >= self.sure, scores, 0)}
        return boxes_quality(truth, guess, np.asarray(chosen), classes=len(self.classes))

    def column(self, target: Objects) -> pa.Array:
        """Lists of {"class", "x1", "y1", "x2", "y2", "score"}."""
        kind = pa.struct(
            [
                ("class", pa.string()),
                *((n, pa.float32()) for n in ("x1", "y1", "x2", "y2", "score")),
            ]
        )
        rows = [
            [
                {"class": self.classes[k], "score": s, **dict(zip(("x1", "y1", "x2", "y2"), box))}
                for box, k, s in row
            ]
            for row in rows_of(target)
        ]
        return pa.array(rows, pa.list_(kind))

    def from_column(self, column: pa.Array) -> Objects:
        rows, number = [], {name: k for k, name in enumerate(self.classes)}
        for i, cell in enumerate(column.to_pylist(), start=1):
            if not isinstance(cell, list):
                raise ValueError(f"row {i}: no list of boxes: [] for a picture without any")
            rows.append([])
            for thing in cell:
                name = thing.get("class") if isinstance(thing, dict) else None
                if name not in number:
                    raise ValueError(
                        f"row {i}: {name!r} is none of the classes {', '.join(self.classes)}"
                    )
                numbers = [thing.get(n) for n in ("x1", "y1", "x2", "y2")]
                score = thing.get("score", 1.0)
                coco.check_box([*numbers, score], f"row {i}")
                rows[-1].append((numbers, number[name], score))
        return objects(rows)

    def write(
        self, path: Path, examples: Examples, target: Objects, confidence: np.ndarray
    ) -> None:
        """COCO JSON: images, annotations with scores, and categories, in pixels of the file where
        rows have its "sides"."""
        del confidence  # each box has its own
        coco.write(Path(path), examples, rows_of(target), self.classes, self.size)

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Objects, np.ndarray]:
        index, rows = coco.read(Path(path), examples, self.classes, self.size)
        found = objects(rows)
        return index, found, found["scores"]

    def show(self, target: Objects, classes: Sequence[str] | None) -> list[str]:
        """How many sure objects of each class there are."""
        del classes  # boxes have their own
        rows = [[k for _, k, s in row if s >= self.sure] for row in rows_of(target)]
        counts = (sorted(Counter(row).items()) for row in rows)
        named = (", ".join(f"{n} {self.classes[k]}" for k, n in row) for row in counts)
        return [text or "no object" for text in named]

    def draw(self, image: np.ndarray, target: Objects) -> np.ndarray:
        """Edges of sure boxes, a colour a class, on pictures uint8 [n, H, W, C]."""
        return box_pictures.by_class(image, rows_of(target), size=self.size, sure=self.sure)

    def compared(
        self, image: np.ndarray, truth: Objects | None, guess: Objects, confidence: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Truth and label, a colour a class, and which boxes are right, wrong, missed, unsure."""
        found = super().compared(image, truth, guess, confidence)
        if truth is None:
            return found
        rows, how = (rows_of(truth), rows_of(guess)), {"size": self.size, "sure": self.sure}
        return found | {box_pictures.COMPARED: box_pictures.compared(image, *rows, **how)}


def rows_of(target: Objects) -> list[list[tuple[list[float], int, float]]]:
    """(box, class, score) of the objects of each picture, without the padding."""
    rows = zip(*(np.asarray(target[k]) for k in ("boxes", "kinds", "scores")), strict=True)
    return [
        list(zip(*(x[scores > 0].tolist() for x in (boxes, kinds, scores)), strict=True))
        for boxes, kinds, scores in rows
    ]


def objects(rows: Sequence[Sequence[tuple[Sequence[float], int, float]]]) -> Objects:
    """The inverse of `rows_of`; M is the most that one picture holds."""
    n, m = len(rows), max(map(len, rows), default=0)
    found = {
        "boxes": np.zeros((n, m, 4), np.float32),
        "kinds": np.zeros((n, m), np.int32),
        "scores": np.zeros((n, m), np.float32),
    }
    for i, row in enumerate(rows):
        for j, values in enumerate(row):
            for name, value in zip(("boxes", "kinds", "scores"), values, strict=True):
                found[name][i, j] = value
    return found
