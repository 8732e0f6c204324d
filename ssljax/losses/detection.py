"""FCOS: every location of the feature maps says which box it lies in, or that it lies in none.

Tian, Shen, Chen, He, "FCOS: Fully Convolutional One-Stage Object Detection", 2019,
arXiv:1904.01355; focal loss: Lin et al. 2017, arXiv:1708.02002; GIoU: Rezatofighi et al. 2019,
arXiv:1902.09630.

    L = (sum focal(alpha .25, gamma 2) + sum_fg (1 - GIoU) + sum_fg BCE(c, c*)) / max(1, #fg)
    c* = sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))

A location of stride s belongs to a box that it lies in, at most 1.5 s from the centre on each axis,
whose farthest side is between 4 s and 8 s away (the first level from 0, the last to infinity); of
several boxes to the smallest. As torchvision has it, and unlike the paper, location (i, j) lies at
(i, j) times the stride, without half a stride. Boxes are x1, y1, x2, y2 in pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

_EPS = 1e-7
_LARGE = 1e8  # more than the area of any box, in pixels


class Locations(NamedTuple):
    """Where the L locations of all levels lie, the finest level first, row by row."""

    at: jax.Array
    """float32 [L, 2], x and y in pixels."""
    stride: jax.Array
    """float32 [L], the nominal stride of the level: the unit of distances."""
    least: jax.Array
    """float32 [L], the distance of the farthest side above which a box is of this level."""
    most: jax.Array
    """float32 [L], the distance below which it is."""


def locations(size: int, strides: Sequence[int]) -> Locations:
    """The locations on a square picture.

    size: its side in pixels. strides: of the levels, each a power of two. A level has
    ceil(size / stride) places a side, as stride-2 convolutions with padding give.
    """
    parts = []
    for i, stride in enumerate(strides):
        n = -(-size // stride)
        # Where the stride does not divide the size, locations move together, as in torchvision.
        line = jnp.arange(n, dtype=jnp.float32) * max(size // n, 1)
        at = jnp.stack([jnp.tile(line, n), jnp.repeat(line, n)], axis=-1)
        least = 0.0 if i == 0 else 4.0 * stride
        most = jnp.inf if i == len(strides) - 1 else 8.0 * stride
        parts.append((at, *(jnp.full(n * n, x, jnp.float32) for x in (stride, least, most))))
    return Locations(*(jnp.concatenate(x) for x in zip(*parts, strict=True)))


def assign(
    where: Locations, boxes: jax.Array, real: jax.Array, *, radius: float = 1.5
) -> jax.Array:
    """The box of each location, int32 [L], -1 for none.

    boxes: float [M, 4]. real: bool [M], which of them are no padding. radius: in strides.
    """
    reach = _reach(where.at, boxes[None])
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = jnp.max(jnp.abs(where.at[:, None] - centre), axis=-1)
    far = jnp.max(reach, axis=-1)
    fits = (jnp.min(reach, axis=-1) > 0) & (away < radius * where.stride[:, None]) & real
    fits &= (far > where.least[:, None]) & (far < where.most[:, None])
    size = jnp.where(fits, area(boxes), _LARGE)
    return jnp.where(jnp.any(fits, axis=1), jnp.argmin(size, axis=1), -1).astype(jnp.int32)


def _reach(at: jax.Array, boxes: jax.Array) -> jax.Array:
    """Distances to left, top, right and bottom: at [L, 2], boxes [L or 1, M, 4] -> [L, M, 4]."""
    at = at[:, None]
    return jnp.concatenate([at - boxes[..., :2], boxes[..., 2:] - at], axis=-1)


def decode(where: Locations, reach: jax.Array) -> jax.Array:
    """Boxes from distances to left, top, right and bottom in strides: [..., L, 4] of both."""
    reach = reach * where.stride[:, None]
    return jnp.concatenate([where.at - reach[..., :2], where.at + reach[..., 2:]], axis=-1)


def area(boxes: jax.Array) -> jax.Array:
    """[...] of boxes [..., 4]; 0 where a side is negative."""
    sides = jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def _overlap(a: jax.Array, b: jax.Array) -> jax.Array:
    corner = jnp.maximum(a[..., :2], b[..., :2]), jnp.minimum(a[..., 2:], b[..., 2:])
    return area(jnp.concatenate(corner, axis=-1))


def iou_matrix(a: jax.Array, b: jax.Array) -> jax.Array:
    """Intersection over union of each with each: [..., N, 4], [..., M, 4] -> [..., N, M]; 0 where
    both are empty."""
    both = _overlap(a[..., :, None, :], b[..., None, :, :])
    union = area(a)[..., :, None] + area(b)[..., None, :] - both
    return both / jnp.where(union > 0, union, 1.0)


def giou_loss(boxes: jax.Array, truth: jax.Array) -> jax.Array:
    """1 - GIoU, in [0, 2]: two arrays [..., 4] -> [...]."""
    both = _overlap(boxes, truth)
    union = area(boxes) + area(truth) - both
    low = jnp.minimum(boxes[..., :2], truth[..., :2])
    hull = area(jnp.concatenate([low, jnp.maximum(boxes[..., 2:], truth[..., 2:])], axis=-1))
    return 1 - (both / (union + _EPS) - (hull - union) / (hull + _EPS))


def focal_loss(
    logits: jax.Array, target: jax.Array, *, alpha: float = 0.25, gamma: float = 2.0
) -> jax.Array:
    """Sigmoid focal loss of each logit; target in {0, 1}, of the same shape."""
    p = jax.nn.sigmoid(logits)
    wrong = p * (1 - target) + (1 - p) * target
    share = alpha * target + (1 - alpha) * (1 - target)
    return share * wrong**gamma * bce(logits, target)


def bce(logits: jax.Array, target: jax.Array) -> jax.Array:
    """Binary cross-entropy of each logit; target in [0, 1], of the same shape."""
    return jax.nn.softplus(logits) - logits * target


def centerness(at: jax.Array, box: jax.Array) -> jax.Array:
    """How near places [..., 2] lie to the centres of the boxes [..., 4] that they lie in: 1 there,
    0 on the edges, [...]."""
    left, top = jnp.moveaxis(at - box[..., :2], -1, 0)
    right, bottom = jnp.moveaxis(box[..., 2:] - at, -1, 0)
    across = _ratio(left, right) * _ratio(top, bottom)
    return jnp.sqrt(jnp.maximum(across, 0))


def _ratio(a: jax.Array, b: jax.Array) -> jax.Array:
    most = jnp.maximum(a, b)
    return jnp.minimum(a, b) / jnp.where(most > 0, most, 1.0)


class Parts(NamedTuple):
    """Sums over the locations of each picture, [B] each, and how many lie in a box."""

    focal: jax.Array
    giou: jax.Array
    centre: jax.Array
    count: jax.Array


def fcos_parts(
    where: Locations,
    logits: jax.Array,
    reach: jax.Array,
    centre: jax.Array,
    boxes: jax.Array,
    classes: jax.Array,
    real: jax.Array,
    weight: jax.Array,
) -> Parts:
    """The three losses of a batch, not yet divided by the number of locations in boxes.

    Args:
      logits: [B, L, K] of the classes. reach: [B, L, 4], not negative, in strides. centre: [B, L],
        logits of the centerness.
      boxes: [B, M, 4] in pixels. classes: int [B, M]. real: bool [B, M].
      weight: [B, M + 1], of the locations of each box, and last of those in none.
    """

    def one(logits, reach, centre, boxes, classes, real, weight):  # type: ignore[no-untyped-def]
        mine = assign(where, boxes, real)
        inside, w = mine >= 0, weight[mine]  # -1 is the last
        box = jnp.where(inside[:, None], boxes[mine], _around(where))
        wanted = jax.nn.one_hot(jnp.where(inside, classes[mine], -1), logits.shape[-1])
        focal = jnp.sum(focal_loss(logits, wanted), axis=-1)
        giou = giou_loss(decode(where, reach), box)
        middle = bce(centre, centerness(where.at, box))
        mine = jnp.where(inside, w, 0.0)
        return Parts(
            jnp.sum(w * focal), jnp.sum(mine * giou), jnp.sum(mine * middle), jnp.sum(mine > 0)
        )

    return jax.vmap(one)(logits, reach, centre, boxes, classes, real, weight)


def _around(where: Locations) -> jax.Array:
    """[L, 4], some box around each location, for those that have none."""
    return decode(where, jnp.ones((len(where.at), 4)))


class Detections(NamedTuple):
    """The M surest boxes of each picture, surest first, then padding."""

    boxes: jax.Array
    """float32 [B, M, 4]."""
    classes: jax.Array
    """int32 [B, M], 0 in padding."""
    scores: jax.Array
    """float32 [B, M], 0 in padding."""
    real: jax.Array
    """bool [B, M], what is no padding."""


def nms(
    boxes: jax.Array,
    scores: jax.Array,
    *,
    most: int,
    threshold: float,
    overlap: float,
    candidates: int,
) -> Detections:
    """Non-maximum suppression, each class by itself: of two boxes that overlap by more than
    `overlap` the less sure is left out, unless one surer still had already left out the surer.

    Args:
      boxes: [B, L, 4]. scores: [B, L, K].
      most: boxes of a picture that are given, M. threshold: the least score, exclusive.
      candidates: the surest pairs of box and class that are looked at.
    """
    k = scores.shape[-1]
    candidates = min(candidates, scores.shape[1] * k)

    def one(boxes: jax.Array, scores: jax.Array) -> Detections:
        score, place = jax.lax.top_k(scores.reshape(-1), candidates)
        box, kind = boxes[place // k], (place % k).astype(jnp.int32)
        hits = (iou_matrix(box, box) > overlap) & (kind[:, None] == kind)

        def step(i: jax.Array, kept: jax.Array) -> jax.Array:
            later = jnp.arange(candidates) > i
            return kept & ~(kept[i] & hits[i] & later)

        kept = jax.lax.fori_loop(0, candidates, step, score > threshold)
        score = jnp.where(kept, score, 0.0)
        size = min(most, candidates)
        score, order = jax.lax.top_k(score, size)
        real = kept[order]
        found = (
            jnp.where(real[:, None], box[order], 0.0), jnp.where(real, kind[order], 0), score, real
        )  # fmt: skip
        return Detections(*(_filled(x, most) for x in found))

    return jax.vmap(one)(boxes, scores)


def _filled(x: jax.Array, n: int) -> jax.Array:
    return jnp.pad(x, [(0, n - len(x)), *[(0, 0)] * (x.ndim - 1)])
