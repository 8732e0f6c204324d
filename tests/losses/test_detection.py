"""FCOS against naive float64 loops over locations and boxes, and greedy suppression by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from ssljax.losses import detection

SIZE, STRIDES, K = 64, (8, 16, 32), 3
RNG = np.random.default_rng(0)


def places():
    """(x, y, stride, least, most) of every location."""
    found = []
    for i, s in enumerate(STRIDES):
        low = 0 if i == 0 else 4 * s
        high = np.inf if i == len(STRIDES) - 1 else 8 * s
        found += [(x, y, s, low, high) for y in range(0, SIZE, s) for x in range(0, SIZE, s)]
    return found


def some_boxes(n):
    corner = RNG.uniform(0, 50, (n, 2))
    return np.concatenate([corner, np.minimum(corner + RNG.uniform(6, 60, (n, 2)), SIZE)], axis=1)


def one_match(boxes, real):
    """The matching of FCOS, a location and a box at a time."""
    found = []
    for x, y, s, low, high in places():
        best, smallest = -1, np.inf
        for m, (x1, y1, x2, y2) in enumerate(boxes):
            sides = (x - x1, y - y1, x2 - x, y2 - y)
            near = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2)) < 1.5 * s
            size = (x2 - x1) * (y2 - y1)
            if real[m] and min(sides) > 0 and near and low < max(sides) < high and size < smallest:
                best, smallest = m, size
        found.append(best)
    return np.array(found)


def overlap(a, b):
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h, union


def test_locations_and_matches():
    where = detection.locations(SIZE, STRIDES)
    want = np.array(places())
    np.testing.assert_array_equal(np.stack([*where.at.T, *where[1:]], axis=-1), want)
    seen = set()
    match = jax.jit(lambda b, r: detection.assign(where, b, r))
    for _ in range(4):
        boxes, real = some_boxes(6), np.arange(6) < 5
        found = np.asarray(match(jnp.asarray(boxes, jnp.float32), real))
        np.testing.assert_array_equal(found, one_match(boxes, real))
        seen |= set(found)
    assert seen == {-1, 0, 1, 2, 3, 4}
    # A point in two boxes takes the smaller, whichever comes first.
    nested = np.array([[0, 0, 34, 34], [8, 8, 26, 26.0]])
    place = places().index((16, 16, 8, 0, 64))
    for order, smaller in (([0, 1], 1), ([1, 0], 0)):
        assert detection.assign(where, nested[order], np.ones(2, bool))[place] == smaller


def test_losses_are_those_of_loops():
    where, b = detection.locations(SIZE, STRIDES), 2
    n = len(where.at)
    logits, centre = RNG.normal(size=(b, n, K)), RNG.normal(size=(b, n))
    reach = RNG.uniform(0, 4, (b, n, 4))
    boxes, real = np.stack([some_boxes(4) for _ in range(b)]), np.array([[1, 1, 1, 0], [0] * 4]) > 0
    classes, weight = RNG.integers(0, K, (b, 4)), RNG.uniform(0.2, 1, (b, 5))
    want = np.zeros((4, b))
    for i in range(b):
        match = one_match(boxes[i], real[i])
        for j, (x, y, s, *_) in enumerate(places()):
            m = match[j]
            w = weight[i, m] if m >= 0 else weight[i, -1]
            for k in range(K):
                p, t = 1 / (1 + np.exp(-logits[i, j, k])), float(m >= 0 and classes[i, m] == k)
                pt = p if t else 1 - p
                want[0, i] += w * (0.25 if t else 0.75) * (1 - pt) ** 2 * -np.log(pt)
            if m < 0:
                continue
            l, t, r, d = reach[i, j] * s
            box, true = (x - l, y - t, x + r, y + d), boxes[i, m]
            both, union = overlap(box, true)
            hull = (max(box[2], true[2]) - min(box[0], true[0])) * (
                max(box[3], true[3]) - min(box[1], true[1])
            )
            want[1, i] += w * (1 - both / union + (hull - union) / hull)
            l, t, r, d = x - true[0], y - true[1], true[2] - x, true[3] - y
            c = np.sqrt(min(l, r) / max(l, r) * min(t, d) / max(t, d))
            p = 1 / (1 + np.exp(-centre[i, j]))
            want[2, i] -= w * (c * np.log(p) + (1 - c) * np.log(1 - p))
            want[3, i] += 1
    f = jax.jit(lambda *x: detection.fcos_parts(where, *x))
    given = (jnp.asarray(x, jnp.float32) for x in (logits, reach, centre, boxes))
    found = f(*given, classes, real, jnp.asarray(weight, jnp.float32))
    np.testing.assert_allclose(np.stack(found), want, rtol=1e-5)
    assert want[3, 0] > 0 and want[3, 1] == 0  # the second picture has no boxes
    at = jnp.array([5.0, 7.0])
    assert detection.centerness(at, jnp.array([0.0, 2, 10, 12])) == 1


def test_no_gradient_is_nan_where_boxes_are_empty():
    where = detection.locations(SIZE, STRIDES)
    n = len(where.at)

    def total(logits, reach, centre):
        boxes, real = jnp.zeros((1, 2, 4)).at[0, 0].set(jnp.array([3.0, 3, 29, 29])), jnp.eye(1, 2)
        one = jnp.zeros((1, 2), jnp.int32), real > 0, jnp.ones((1, 3))
        return sum(x.sum() for x in detection.fcos_parts(where, logits, reach, centre, boxes, *one))

    given = jnp.zeros((1, n, K)), jnp.zeros((1, n, 4)), jnp.zeros((1, n))
    assert all(np.isfinite(g).all() for g in jax.grad(total, argnums=(0, 1, 2))(*given))


def test_suppression_is_greedy_within_each_class():
    n, most, least, limit = 30, 12, 0.2, 0.4
    boxes = np.stack([some_boxes(n) for _ in range(2)]).astype(np.float32)
    scores = RNG.uniform(0, 1, (2, n, K)).astype(np.float32)
    scores[1] *= 0.205  # few are left
    options = {"most": most, "threshold": least, "overlap": limit, "candidates": 40}
    found = jax.jit(lambda b, s: detection.nms(b, s, **options))(boxes, scores)
    matrix = detection.iou_matrix(boxes, boxes)
    for i in range(2):
        pairs = sorted(((scores[i, j, k], j, k) for j in range(n) for k in range(K)), reverse=True)
        kept = []
        for score, j, k in pairs[:40]:
            clash = False
            for _, o, c in kept:
                both, union = overlap(boxes[i, j].astype(float), boxes[i, o].astype(float))
                np.testing.assert_allclose(matrix[i, j, o], both / union, atol=1e-5)
                clash |= c == k and both / union > limit
            if score > least and not clash:
                kept.append((score, j, k))
        kept = kept[:most]
        assert found.real[i].sum() == len(kept) and np.all(found.real[i][: len(kept)])
        for m, (score, j, k) in enumerate(kept):
            np.testing.assert_allclose(found.boxes[i, m], boxes[i, j])
            assert found.classes[i, m] == k and found.scores[i, m] == score
        assert not np.any(found.scores[i][len(kept) :])
    assert found.real[0].all() and not found.real[1].all()
