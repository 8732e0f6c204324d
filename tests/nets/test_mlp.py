"""MLP heads against torch.nn in training mode, and the heads of the papers by their parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import MLP


def names(**fields):
    """Paths of parameters of a two-layer head, and which of the layers have statistics."""
    x = jax.ShapeDtypeStruct((4, 6), jnp.float32)
    params, stats = jax.eval_shape(
        lambda key: nets.init(MLP(widths=(5, 3), **fields), key, x), jax.random.key(0)
    )
    return {f"{layer}/{leaf}" for layer in params for leaf in params[layer]}, set(stats)


HIDDEN = {"linear_0/kernel", "linear_1/kernel", "bn_0/scale", "bn_0/bias"}


@pytest.mark.parametrize(
    ("fields", "expected", "stats"),
    [
        ({}, HIDDEN | {"linear_0/bias", "linear_1/bias"}, {"bn_0"}),
        ({"output_bias": False}, HIDDEN | {"linear_0/bias"}, {"bn_0"}),  # BYOL, VICReg
        ({"hidden_bias": False}, HIDDEN | {"linear_1/bias"}, {"bn_0"}),  # SimSiam's predictor
        (  # SimSiam's projector
            {
                "hidden_bias": False,
                "output_bias": False,
                "output_norm": True,
                "output_affine": False,
            },
            HIDDEN,
            {"bn_0", "bn_1"},
        ),
        (  # SimCLR
            {"output_bias": False, "output_norm": True},
            HIDDEN | {"linear_0/bias", "bn_1/scale", "bn_1/bias"},
            {"bn_0", "bn_1"},
        ),
        (
            {"input_norm": True, "norm": False, "output_bias": False},
            {"bn_input/scale", "bn_input/bias", "linear_0/kernel", "linear_0/bias"}
            | {"linear_1/kernel"},
            {"bn_input"},
        ),
        (  # MoCo v2
            {"norm": False},
            {"linear_0/kernel", "linear_0/bias", "linear_1/kernel", "linear_1/bias"},
            set(),
        ),
    ],
)
def test_heads_of_the_papers(fields, expected, stats):
    assert names(**fields) == (expected, stats)


def test_training_equals_torch():
    torch = pytest.importorskip("torch")
    module = MLP(widths=(7, 5), output_norm=True, output_affine=False, output_bias=False)
    x = np.random.default_rng(0).normal(1.0, 2.0, size=(16, 6)).astype(np.float32)
    params, stats = nets.init(module, jax.random.key(0), x)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), params)
    layers = [torch.nn.Linear(6, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU()]
    layers += [torch.nn.Linear(7, 5, bias=False), torch.nn.BatchNorm1d(5, affine=False)]
    peer = torch.nn.Sequential(*layers)
    with torch.no_grad():
        peer[0].weight[:] = torch.from_numpy(params["linear_0"]["kernel"].T.copy())
        peer[0].bias[:] = torch.from_numpy(params["linear_0"]["bias"])
        peer[1].weight[:] = torch.from_numpy(params["bn_0"]["scale"])
        peer[1].bias[:] = torch.from_numpy(params["bn_0"]["bias"])
        peer[3].weight[:] = torch.from_numpy(params["linear_1"]["kernel"].T.copy())
        expected = peer.train()(torch.from_numpy(x)).numpy()
    with jax.default_matmul_precision("highest"):
        y, moved = nets.apply(module, params, stats, x, train=True)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    for ours, theirs in (("bn_0", peer[1]), ("bn_1", peer[4])):
        np.testing.assert_allclose(moved[ours]["mean"], theirs.running_mean, rtol=1e-5, atol=1e-5)
        # torch averages the unbiased variance, Flax the biased one
        biased = 0.9 + (theirs.running_var.numpy() - 0.9) * 15 / 16
        np.testing.assert_allclose(moved[ours]["var"], biased, rtol=1e-5)


def test_weights_start_as_those_of_torch():
    """Uniform in +-1 / sqrt(inputs), biases too: 2000 of them have a mean and a spread."""
    torch = pytest.importorskip("torch")
    params, _ = nets.init(MLP(widths=(400, 2000)), jax.random.key(0), jnp.zeros((2, 100)))
    for name, inputs, outputs in (("linear_0", 100, 400), ("linear_1", 400, 2000)):
        peer = torch.nn.Linear(inputs, outputs)
        for ours, theirs in (("kernel", peer.weight), ("bias", peer.bias)):
            w, theirs = params[name][ours], theirs.detach().numpy()
            assert 0.98 * inputs**-0.5 < np.abs(w).max() <= inputs**-0.5
            np.testing.assert_allclose(np.std(w), np.std(theirs), rtol=0.08)
            assert abs(np.mean(w)) < 0.1 * inputs**-0.5


def test_the_norm_of_the_input_comes_first():
    """A head behind it is that of standardized features, whatever their mean and spread."""
    x = np.random.default_rng(0).normal(1.0, [0.5, 1.0, 3.0], size=(64, 3)).astype(np.float32)
    module = MLP(widths=(4,), input_norm=True)
    params, stats = nets.init(module, jax.random.key(0), x)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), params)
    with jax.default_matmul_precision("highest"):
        y, _ = nets.apply(module, params, stats, x, train=True)
    wide = x.astype(np.float64)
    standard = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5)
    standard = standard * params["bn_input"]["scale"] + params["bn_input"]["bias"]
    expected = standard @ params["linear_0"]["kernel"] + params["linear_0"]["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="at least one layer"):
        nets.init(MLP(widths=()), key, jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"\[B, D\]"):
        nets.init(MLP(widths=(3,)), key, jnp.zeros(3))
