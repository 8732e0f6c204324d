"""UniMatch and Denoising against NumPy in float64, on the outputs of their networks."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_dense import CASES, JITTER, VIEW, masks
from laws import images

from ssljax import nets
from ssljax.method import State
from ssljax.methods import Denoising, UniMatch
from ssljax.nets import SmallConv, UNetDecoder
from ssljax.tasks import OneOf, SeriesInput
from ssljax.views import cut_boxes, view_batch

KEY = jax.random.key(5)


def softmax(x):
    e = np.exp(np.asarray(x, np.float64) - np.max(x, -1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def nats(y, label, weight):
    """The mean over pictures of the mean over their pixels, one pixel after the other."""
    total, p = np.zeros(len(y)), softmax(y)
    for i, row, column in np.ndindex(label.shape):
        if label[i, row, column] != 255:
            at = (i, row, column)
            total[i] -= weight[at] * np.log(p[(*at, label[at])])
    return np.mean(total / np.maximum((label != 255).sum((1, 2)), 1))


def test_unimatch_reference():
    method, rows = CASES["unimatch"].method, masks()
    task, image, pool = method.task, rows["image"] / 255, rows["pool"][:, 0] / 255
    params, extra = jax.jit(method.init)(KEY, rows)
    params = jax.tree.map(lambda w: 2 * np.asarray(w), params)  # less even predictions
    to_known, to_pool, to_drop, *to_strong = jax.random.split(KEY, 5)
    moved = replace(VIEW, jitter=0.0, mean=(0.0,), std=(1.0,))
    move = jax.jit(lambda key, image: view_batch(moved, key, image))
    x = np.asarray(move(to_known, rows["image"]))
    u = np.asarray(move(to_pool, rows["pool"][:, 0]))
    flipped = ~np.isclose(x, image, atol=1e-6).all((1, 2, 3))
    assert 0 < flipped.sum() < 16
    np.testing.assert_allclose(x[flipped], image[flipped][:, :, ::-1], atol=1e-6)
    assert np.isclose(u, pool, atol=1e-6).all((1, 2, 3)).sum() < 16

    def run(net, name, stats, x, method="__call__"):
        apply = partial(nets.apply, net, train=True, method=method)
        return jax.jit(apply)(params[name], stats, x)

    head = task.target.head(task.hidden)
    first = (np.concatenate([x, u]) - np.float32(0.5)) / np.float32(0.25)
    maps, after = run(task.encoder, "encoder", extra["stats"]["encoder"], first, "levels")
    both = []
    for i, m in enumerate(map(np.asarray, maps)):
        key = jax.random.fold_in(to_drop, i)
        kept = np.asarray(jax.random.bernoulli(key, 0.5, (16, 1, 1, m.shape[-1])))
        both.append(np.concatenate([m, m[16:] * kept * 2]))
    y, after_head = run(head, "head", extra["stats"]["head"], tuple(both))
    given, said, thinned = np.split(np.asarray(y), 3)
    label, sure = softmax(said).argmax(-1), softmax(said).max(-1)
    threshold = float(np.median(sure))
    weight = (sure >= threshold).astype(float)

    cut, labels, weights = [], [], []
    coloured = replace(VIEW, flip=0.0)
    colour = jax.jit(lambda key: view_batch(coloured, jax.random.fold_in(key, 1), u))
    for key in to_strong:
        boxes = np.asarray(cut_boxes(key, (16, 8, 8)))
        assert boxes.any((1, 2)).sum() in range(1, 16)
        strong = np.asarray(colour(key))
        parts = [a.copy() for a in (strong, label, weight)]
        for i in range(16):
            for part, source in zip(parts, (strong, label, weight), strict=True):
                part[i][boxes[i]] = source[i - 1][boxes[i]]
        for found, part in zip((cut, labels, weights), parts, strict=True):
            found.append(part)
    maps, _ = run(task.encoder, "encoder", after, np.concatenate(cut), "levels")
    y, last = run(head, "head", after_head, maps)
    one, two = np.split(np.asarray(y), 2)

    truth = np.where(flipped[:, None, None], rows["target"][:, :, ::-1], rows["target"])
    own = np.broadcast_to(rows["weight"][:, None, None], truth.shape)
    want = {
        "supervised": nats(given, truth, own),
        "strong1": nats(one, labels[0], weights[0]),
        "strong2": nats(two, labels[1], weights[1]),
        "thinned": nats(thinned, label, weight),
    }
    loss = jax.jit(replace(method, threshold=threshold).loss)
    value, (extra, found) = loss(params, extra, rows, KEY)
    for name, part in want.items():
        np.testing.assert_allclose(found[name], part, rtol=1e-5)
    total = (want["supervised"] + (want["strong1"] + want["strong2"]) / 4 + want["thinned"] / 2) / 2
    np.testing.assert_allclose(value, total, rtol=1e-5)
    np.testing.assert_allclose(found["sure"], weight.mean(), rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        extra["stats"]["head"],
        last,
    )


def test_denoising_reference():
    method, rows = replace(CASES["denoising_unet"].method, gamma=0.7), images()
    params, extra = jax.jit(method.init)(KEY, rows)

    @jax.jit
    def drawn(image):
        to_view, to_noise = jax.random.split(KEY)
        x = view_batch(JITTER, to_view, image)
        return x, jax.random.normal(to_noise, x.shape)

    @jax.jit
    def said(x):
        own = params["encoder"], extra["stats"]["encoder"]
        maps, _ = nets.apply(method.encoder, *own, x, train=True, method="levels")
        own = params["decoder"], extra["stats"]["decoder"]
        return nets.apply(method.decoder, *own, maps, train=True)[0]

    x, noise = (np.asarray(a, np.float64) for a in drawn(rows["image"]))
    seen = jnp.asarray(np.sqrt(0.7) * x + np.sqrt(0.3) * noise, jnp.float32)
    error = np.asarray(said(seen), np.float64) - noise
    value, _ = jax.jit(method.loss)(params, extra, rows, KEY)
    np.testing.assert_allclose(value, np.mean(error**2), rtol=1e-5)
    shown = jax.eval_shape(method.show, rows, KEY, State(0, params, None, extra))
    assert shown["views"].shape == (16, 2, 8, 8, 3)


def test_what_denoising_cannot_learn():
    with pytest.raises(ValueError, match="SmallConv has none"):
        Denoising(encoder=SmallConv())
    with pytest.raises(ValueError, match="gamma 1 must lie"):
        Denoising(gamma=1)
    wrong = replace(CASES["denoising_unet"].method, decoder=UNetDecoder(classes=1, widths=(4,)))
    with pytest.raises(ValueError, match="images of 3 channels need a decoder"):
        wrong.init(KEY, images())


def test_what_unimatch_cannot_learn():
    task = CASES["unimatch"].method.task
    with pytest.raises(ValueError, match="its task has OneOf and ImageInput"):
        UniMatch(task=replace(task, target=OneOf(classes=2)))
    with pytest.raises(ValueError, match="its task has Mask and SeriesInput"):
        UniMatch(task=replace(task, inputs=SeriesInput()))
    with pytest.raises(ValueError, match="drop in"):
        UniMatch(task=task, drop=1.0)
