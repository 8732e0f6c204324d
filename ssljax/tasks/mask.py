"""A target that is a class for each pixel: organs, cells, roads and cars.

The number of the task is the mean intersection over union, of one table of all pixels of the split
(Everingham et al. 2010, doi:10.1007/s11263-009-0275-4): the mean over images is another number.

    IoU_k = right_k / (true_k + said_k - right_k)        Dice_k = 2 right_k / (true_k + said_k)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from ssljax.files import atomically
from ssljax.losses.classify import spread_weight
from ssljax.measure import Measure
from ssljax.nets import UNetDecoder
from ssljax.tasks.cells import confidences, read_csv, write_csv
from ssljax.tasks.mask_files import IGNORE, PALETTE, decoded, encoded, mask_name
from ssljax.tasks.quality import ratio
from ssljax.tasks.target import Examples, Rows, Target, Targets, joined
from ssljax.tasks.verify import check_alike, check_numbers

_SURE = "confidence.csv"
_WRONG = np.array([214, 40, 40], np.uint8)


@dataclass(frozen=True, kw_only=True)
class Mask(Target):
    """Outputs are logits [B, H, W, K]; a target is uint8 [B, H, W], 255 where a pixel is ignored.

    The head is the decoder of a U-Net, whose widths are `Task.hidden`; the encoder is a `ResNet`, a
    `UNetEncoder` or another network with `levels`. The loss of an image is the mean over the pixels
    that are not ignored. Views must keep the size of the image.
    """

    classes: int
    """How many there are, at most 255."""
    plain: bool = False
    """The decoder of the U-Net's paper, with learnt enlargement and without batch norm."""
    sure: Literal["mean", "minimum"] = "mean"
    """How sure an image is: as the mean of its pixels, or as its least sure pixel."""

    leaves = ("regions",)
    reads = "levels"
    measure: ClassVar[Measure] = Measure(key="miou", name="mean IoU")

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= IGNORE:
            raise ValueError(f"{self.classes} classes of pixels: from 2 to 255")

    @property
    def shown(self) -> tuple[Measure, ...]:
        said = {"precision": "precision", "recall": "recall", "f1": "F1"}
        more = tuple(Measure(key=k, name=f"{name} of pixels") for k, name in said.items())
        return (self.measure, *more)

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        how = {"up": "learnt", "norm": False} if self.plain else {}
        return UNetDecoder(classes=self.classes, **({"widths": hidden} if hidden else {}), **how)

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """Raises: ValueError for masks of another size than the logits, and weights of others."""
        if outputs.shape[:3] != target.shape:
            raise ValueError(
                f"logits of {outputs.shape[1]}x{outputs.shape[2]} pixels for masks of "
                f"{target.shape[1]}x{target.shape[2]}: give view and reader the same size"
            )
        counts = target < self.classes
        log_p = jax.nn.log_softmax(outputs.astype(jnp.float32), axis=-1)
        which = jnp.where(counts, target, 0).astype(jnp.int32)
        nll = -jnp.take_along_axis(log_p, which[..., None], axis=-1)[..., 0]
        each = jnp.where(counts, nll * spread_weight(weight, target.shape[1:]), 0.0)
        return jnp.sum(each, axis=(1, 2)) / jnp.maximum(jnp.sum(counts, axis=(1, 2)), 1)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(classes uint8 [B, H, W], the probability of each, float32 [B, H, W])."""
        p = jax.nn.softmax(outputs.astype(jnp.float32), axis=-1)
        return jnp.argmax(p, axis=-1).astype(jnp.uint8), jnp.max(p, axis=-1)

    def average(self, outputs: jax.Array) -> jax.Array:
        """Logits whose probabilities are the mean of those of several networks or views."""
        log_p = jax.nn.log_softmax(outputs.astype(jnp.float32), axis=-1)
        return jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(log_p))

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """ "accuracy", the share of pixels that are right."""
        counts = target < self.classes
        right = counts & (jnp.argmax(outputs, axis=-1) == target)
        return {"accuracy": jnp.sum(right, (1, 2)) / jnp.maximum(jnp.sum(counts, (1, 2)), 1)}

    def moved(
        self, target: jax.Array, weight: jax.Array, transform: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The class, and the weight if it is of pixels, of the nearest pixel; what comes from
        outside of the picture is ignored."""
        height, width = target.shape[1:]
        y, x = jnp.meshgrid(jnp.arange(height) + 0.5, jnp.arange(width) + 0.5, indexing="ij")
        places = jnp.stack([x, y, jnp.ones_like(x)], axis=-1)
        exact = jax.lax.Precision.HIGHEST
        at = jnp.einsum("hwj,bij->bhwi", places, transform, precision=exact)
        column, row = (jnp.floor(at[..., i]).astype(jnp.int32) for i in (0, 1))
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        flat = jnp.where(inside, row * width + column, 0).reshape(len(target), -1)

        def take(a: jax.Array, outside: int) -> jax.Array:
            found = jnp.take_along_axis(a.reshape(len(a), -1), flat, axis=1)
            return jnp.where(inside, found.reshape(inside.shape), outside).astype(a.dtype)

        return take(target, IGNORE), weight if weight.ndim == 1 else take(weight, 0)

    def check(self, data: Any) -> None:
        if "regions" not in data.spec:
            return
        if data.classes is not None and len(data.classes) != self.classes:
            raise ValueError(
                f"the data has {len(data.classes)} classes of pixels and the target "
                f"{self.classes}: set the target's classes to {len(data.classes)}"
            )
        self.truth(data.take(np.arange(len(data))))

    def truth(self, rows: Rows) -> Targets | None:
        """As `Target.truth`. Raises: ValueError for a number that is no class."""
        return self._checked(np.asarray(rows["regions"]), "image") if "regions" in rows else None

    def known(self, truth: Targets) -> np.ndarray:
        """A mask in which every pixel is ignored is unknown."""
        return (np.asarray(truth) != IGNORE).any((1, 2))

    def verify(self, target: np.ndarray) -> None:
        self._checked(check_numbers(target, "masks", shape=(None, None), whole=True), "mask")

    def join(self, parts: Sequence[Targets]) -> Targets:
        return joined(parts, fill=IGNORE)

    def whole(self, confidence: np.ndarray, target: Targets) -> np.ndarray:
        """That of the mean or of the least sure pixel (`sure`), 0 where all are ignored."""
        if len(confidence.shape) == 1:
            return confidence
        counts = np.asarray(target) != IGNORE
        if self.sure == "minimum":
            return np.where(counts.any((1, 2)), np.where(counts, confidence, 1).min((1, 2)), 0)
        return ratio(np.where(counts, confidence, 0).sum((1, 2)), counts.sum((1, 2)))

    def confusion(self, truth: Targets, guess: Targets) -> np.ndarray:
        """int64 [K, K + 1] of all pixels whose truth counts: row the true class, column the label,
        the last one for pixels that have none."""
        table = np.zeros((self.classes, self.classes + 1), np.int64)
        check_alike(np.asarray(truth), np.asarray(guess), "pixels")
        for true, said in zip(np.asarray(truth), np.asarray(guess), strict=True):  # one at a time
            counts = true < self.classes
            cell = true[counts].astype(np.int64) * (self.classes + 1)
            cell += np.minimum(said[counts], self.classes)
            table += np.bincount(cell, minlength=table.size).reshape(table.shape)
        return table

    def score(self, truth: Targets, guess: Targets) -> dict[str, float]:
        """ "miou", over the classes that occur or are said; "accuracy" of pixels; "iou_K" of each
        class; and "dice" of class 1 where there are two."""
        table = self.confusion(truth, guess)
        iou, occurs = _overlaps(table)
        right = table.diagonal()
        found = {"miou": _mean(iou, occurs), "accuracy": float(ratio(right.sum(), table.sum()))}
        found |= {f"iou_{k}": float(x) for k, x in enumerate(iou)}
        if self.classes == 2:
            found["dice"] = float(ratio(2 * right[1], table[1].sum() + table[:, 1].sum()))
        return found

    def quality(self, truth: Targets, guess: Targets, chosen: np.ndarray) -> dict[str, Any]:
        """Of pixels: precision, recall and f1 are means over classes, with lists per_class_*.
        Recall counts the pixels of all images; "miou", per_class_iou, "accuracy" and the table
        "confusion" those of the chosen ones, where "confusion" (truth, label) leaves out
        what got no class; "selected" and "prior" are numbers of pixels."""
        truth, guess, chosen = np.asarray(truth), np.asarray(guess), np.asarray(chosen, bool)
        table = self.confusion(truth[chosen], guess[chosen])
        count = np.bincount(truth.reshape(-1), minlength=self.classes)[: self.classes]
        right, said = table.diagonal(), table[:, :-1].sum(0)
        each = {
            "precision": ratio(right, said),
            "recall": ratio(right, count),
            "f1": ratio(2 * right, said + count),
        }
        iou, occurs = _overlaps(table)
        found = {k: _mean(x, said + count > 0) for k, x in each.items()}
        found |= {f"per_class_{k}": x.tolist() for k, x in (each | {"iou": iou}).items()}
        return found | {
            "coverage": float(np.mean(chosen)),
            "miou": _mean(iou, occurs),
            "accuracy": float(ratio(right.sum(), said.sum())),
            "confusion": table[:, :-1].tolist(),
            "selected": said.tolist(),
            "prior": count.tolist(),
        }

    def column(self, target: Targets) -> pa.Array:
        """Cells are the bytes of PNG files with a palette, the pixels as they are."""
        return pa.array([encoded(mask) for mask in np.asarray(target)], pa.binary())

    def from_column(self, column: pa.Array) -> Targets:
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
            raise ValueError(f"cells are no PNG files but {column.type}")
        cells = enumerate(column.to_pylist(), start=1)
        found = [decoded(cell, f"row {i}")[None] for i, cell in cells]
        masks = np.asarray(self.join(found)) if found else np.zeros((0, 0, 0), np.uint8)
        return self._checked(masks, "row")

    def _checked(self, masks: np.ndarray, what: str) -> np.ndarray:
        bad = ((masks >= self.classes) & (masks != IGNORE)) | (masks < 0)
        if bad.any():
            i, y, x = (int(a[0]) for a in bad.nonzero())
            raise ValueError(
                f"{what} {i + 1}: class {masks[i, y, x]} at row {y}, column {x}, but there are "
                f"{self.classes} classes, 0 to {self.classes - 1}, and 255 for ignored pixels"
            )
        return masks

    def write(
        self, path: Path, examples: Examples, target: Targets, confidence: np.ndarray
    ) -> None:
        """A folder of PNG files with a palette, called as the images are, and confidence.csv.
        Raises: ValueError where two images would have one mask."""
        path, files = Path(path), [mask_name(name) for name in examples.names]
        twice = {f for f in files if files.count(f) > 1} if len(set(files)) < len(files) else ()
        if twice:
            raise ValueError(f"{path}: two images would have the mask {min(twice)}: rename one")
        for file, mask in zip(files, np.asarray(target), strict=True):
            data = encoded(mask)
            atomically(path / file, lambda fresh, data=data: fresh.write_bytes(data))
        sure = self.whole(np.asarray(confidence), target)
        rows = ([n, f"{c:.6g}"] for n, c in zip(examples.names, sure, strict=True))
        write_csv(path / _SURE, ("name", "confidence"), rows)

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        """As `Target.read`, from such a folder; without confidence.csv all are sure."""
        path, found = Path(path), {mask_name(n): i for i, n in enumerate(examples.names)}
        files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*.png"))
        if not files:
            raise ValueError(f"{path} holds no masks (.png)")
        for file in files:
            if file not in found:
                raise ValueError(f"{path / file} is a mask of none of these {len(found):,} images")
        masks = [decoded((path / f).read_bytes(), str(path / f))[None] for f in files]
        for mask, file in zip(masks, files, strict=True):
            self._checked(mask, f"{path / file}, mask")
        index = np.array([found[f] for f in files], np.int64)
        sure = np.ones(len(examples.names), np.float32)
        if (path / _SURE).exists():
            rows, cells, places = read_csv(path / _SURE, examples.names, ())
            sure[rows] = confidences(cells, places)
        return index, self.join(masks), sure[index]

    def show(self, target: Targets, classes: Sequence[str] | None) -> list[str]:
        """The classes with their share of the pixels, the largest first."""
        said = []
        for mask in np.asarray(target):
            count = np.bincount(mask[mask < self.classes], minlength=self.classes)
            order = [k for k in np.argsort(-count, kind="stable")[:4] if count[k]]
            share = count / max(count.sum(), 1)
            named = (f"{classes[k] if classes else k} {share[k]:.0%}" for k in order)
            said.append(", ".join(named) or "nothing")
        return said

    def draw(self, image: np.ndarray, target: Targets) -> np.ndarray:
        """Half picture, half colour of the class; ignored pixels are the picture alone."""
        image, masks = np.asarray(image), np.asarray(target)
        rgb = np.broadcast_to(image, (*image.shape[:3], 3)).astype(np.uint16)
        over = (rgb + PALETTE[masks] + 1) // 2
        return np.where((masks == IGNORE)[..., None], rgb, over).astype(np.uint8)

    def compared(
        self, image: np.ndarray, truth: Targets | None, guess: Targets, confidence: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Truth and label, the pixels that are wrong in red, and how sure each is, from black (as
        sure as of any class, 1 / K) to white."""
        guess = np.asarray(guess)
        pictures = super().compared(image, truth, guess, confidence)
        if truth is not None:
            grey = np.asarray(image).mean(-1, keepdims=True) / 2 + 96
            wrong = (truth != guess) & (truth != IGNORE) & (guess != IGNORE)
            pictures["wrong, in red"] = np.where(wrong[..., None], _WRONG, grey).astype(np.uint8)
        if confidence.shape == guess.shape:
            sure = (confidence - 1 / self.classes) / (1 - 1 / self.classes)
            grey = (255 * np.clip(sure, 0, 1)).astype(np.uint8)
            pictures["sure white, unsure black"] = np.repeat(grey[..., None], 3, axis=-1)
        return pictures


def _overlaps(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(IoU of each class [K], whether it occurs or is said) of `Mask.confusion`."""
    union = table.sum(1) + table[:, :-1].sum(0) - table.diagonal()
    return ratio(table.diagonal(), union), union > 0


def _mean(x: np.ndarray, counts: np.ndarray) -> float:
    return float(x[counts].mean()) if counts.any() else 0.0
