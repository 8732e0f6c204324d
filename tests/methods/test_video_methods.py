"""CVRL against NumPy in float64, on the features of its encoder, and the clips that it draws."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_video import CASES, VIEW, videos

from ssljax import nets
from ssljax.data import Arrays
from ssljax.views import ImageView

KEY = jax.random.key(2)


def test_cvrl_reference():
    method, rows = replace(CASES["cvrl"].method, temperature=0.3), videos()
    params, extra = jax.jit(method.init)(KEY, rows)
    draw = jax.jit(VIEW.pair)
    pairs = [draw(jax.random.fold_in(KEY, i), clip) for i, clip in enumerate(rows["clip"])]
    x = np.stack([clip for pair in pairs for clip in pair])  # 2i and 2i + 1 are of one video
    run = partial(nets.apply_chain, method.chain, train=True)
    z, _ = jax.jit(run)(params, extra["stats"], x)
    z = np.asarray(z, np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    total = 0.0
    for i in range(32):
        likeness = [z[i] @ z[j] / 0.3 for j in range(32)]
        others = sum(np.exp(s) for j, s in enumerate(likeness) if j != i)
        total += np.log(others) - likeness[i ^ 1]
    value, _ = jax.jit(method.loss)(params, extra, rows, KEY)
    np.testing.assert_allclose(value, total / 32, rtol=1e-5)


def test_frames_of_a_clip_are_moved_alike_and_follow_each_other():
    video = jnp.arange(6.0)[:, None, None, None] / 10 + jnp.zeros((6, 8, 8, 1))
    video = video + jnp.linspace(0, 0.05, 8)[:, None]  # brighter to the right
    flip = replace(VIEW, view=ImageView(size=8, scale=(1.0, 1.0), jitter=0.0, blur=0.0))
    flip = replace(flip, view=replace(flip.view, grayscale=0.0), frames=2, stride=2)
    many = jax.jit(jax.vmap(lambda k: flip(k, video)))
    clips = np.asarray(many(jax.random.split(KEY, 200)))
    rises = np.diff(clips[..., 0, :, 0], axis=-1).mean(-1) > 0  # [200, 2]
    assert (rises[:, 0] == rises[:, 1]).all() and 60 < rises[:, 0].sum() < 140
    numbers = np.round(10 * (clips.mean((2, 3, 4)) - 0.025)).astype(int)
    assert (numbers[:, 1] == numbers[:, 0] + 2).all()
    assert set(numbers[:, 0]) == {0, 1, 2, 3}
    plain = np.asarray(flip.plain((255 * video).astype(np.uint8)[None]))
    np.testing.assert_allclose(plain.mean((0, 2, 3, 4)), [0.125, 0.325], atol=0.01)


def test_clips_near_each_other_are_drawn_more_often():
    video = jnp.arange(6.0)[:, None, None, None] / 10 + jnp.zeros((6, 8, 8, 1))
    still = replace(VIEW, view=replace(VIEW.view, mean=(0.0,), std=(1.0,)))
    many = jax.jit(jax.vmap(lambda k: jnp.stack(still.pair(k, video))))
    two = many(jax.random.split(KEY, 4000))
    start = np.round(10 * np.asarray(two)[:, :, 0].mean((2, 3, 4))).astype(int)  # [4000, 2]
    far = np.bincount(np.abs(start[:, 0] - start[:, 1]), minlength=4) / 4000
    np.testing.assert_allclose(far, np.array([4, 3, 2, 1]) / 10, atol=0.04)
    order = np.mean((start[:, 0] < start[:, 1])[start[:, 0] != start[:, 1]])
    assert 0.45 < order < 0.55
    assert set(start.ravel()) == {0, 1, 2, 3}


def test_bad_input():
    with pytest.raises(ValueError, match="does not fit into the 6 that are stored"):
        replace(VIEW, frames=7).plain(videos()["clip"])
    with pytest.raises(ValueError, match="stride 0 must be at least 1"):
        replace(VIEW, stride=0)
    with pytest.raises(ValueError, match="learns clips, and the data has"):
        CASES["cvrl"].method.check(Arrays({"x": np.zeros(3)}))
