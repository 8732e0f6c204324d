"""The network of log-mel frames: its convolutions against loops, padding, input that is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import MelEncoder

NET = MelEncoder(
    width=8, depth=1, heads=2, hidden=12, channels=2, position_kernel=4, position_groups=2
)
MEL = np.random.default_rng(0).normal(size=(2, 15, 5)).astype(np.float32)
LENGTH = np.array([15, 9], np.int32)
X = {"mel": jnp.asarray(MEL), "length": jnp.asarray(LENGTH)}


@pytest.fixture(scope="module")
def params():
    with jax.default_matmul_precision("highest"):
        return nets.init(NET, jax.random.key(0), X)[0]


def outputs(params, x):
    with jax.default_matmul_precision("highest"):
        return nets.apply(NET, params, {}, x, train=False, method="outputs")[0]


def by_loop(x, kernel, bias):
    """ReLU of a convolution [T, M, C]: every second row and column, rows from two before."""
    kernel, bias = np.asarray(kernel, np.float64), np.asarray(bias, np.float64)
    t, m, _ = x.shape
    out = np.zeros((t // 2, (m + 1) // 2, kernel.shape[-1]))
    for i in range(t // 2):
        for j in range((m + 1) // 2):
            out[i, j] = bias
            for a in range(3):
                for b in range(3):
                    row, column = 2 * i + a - 1, 2 * j + b - 1
                    if row >= 0 and 0 <= column < m:
                        out[i, j] += x[row, column] @ kernel[a, b]
    return np.maximum(out, 0)


def test_four_frames_become_a_step_as_by_loops(params):
    found = outputs(params, X)
    assert found.real.tolist() == [[True] * 3, [True, True, False]]
    for mel, features in zip(MEL, np.asarray(found.features)):
        h = mel[:12, :, None].astype(np.float64)  # 3 frames fill no step
        for i in range(2):
            h = by_loop(h, **params[f"conv_{i}"])
        h = h.reshape(3, -1) @ np.float64(params["projection"]["kernel"])
        h = h + params["projection"]["bias"]
        h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-6)
        h = h * params["norm"]["scale"] + params["norm"]["bias"]
        np.testing.assert_allclose(features, h, rtol=1e-5, atol=1e-5)


def test_neither_padding_nor_its_length_matters(params):
    noisy = np.where(np.arange(15)[:, None] < LENGTH[:, None, None], MEL, 7.0)
    plain, other = (outputs(params, X | {"mel": jnp.asarray(mel)}) for mel in (MEL, noisy))
    short = outputs(params, {"mel": X["mel"][1:, :9], "length": X["length"][1:]})
    for layer, again, alone in zip(plain.layers, other.layers, short.layers):
        np.testing.assert_allclose(layer[1, :2], again[1, :2], atol=1e-6)
        np.testing.assert_allclose(layer[1, :2], alone[0], atol=1e-5)
    mean = nets.apply(NET, params, {}, X, train=False)[0]
    np.testing.assert_allclose(mean[1], np.asarray(plain.layers[-1])[1, :2].mean(0), atol=1e-6)


def test_input_that_is_none():
    for x, message in (
        (X["mel"], "takes {"),
        ({"mel": X["mel"][0]}, "float frames"),
        ({"mel": X["mel"][:, :3]}, "rows of 3 frames, and a step of MelEncoder has 4"),
    ):
        with pytest.raises(ValueError, match=message):
            nets.init(NET, jax.random.key(0), x)
    with pytest.raises(ValueError, match="not divisible by 3"):
        nets.init(NET.clone(heads=3), jax.random.key(0), X)
