"""DINO's head against torch; prototypes of length one; crops through a chain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import MLP, DINOHead, SmallConv

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
HEAD = DINOHead(prototypes=9, hidden=8, bottleneck=4)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


@pytest.mark.parametrize("norm", [False, True])
def test_head_and_its_gradients_by_torch(norm):
    """MLP with exact GELU, L2 norm, weight-normalised linear with a gain of one."""
    torch = pytest.importorskip("torch")
    head = HEAD.clone(norm=norm)
    params, stats = nets.init(head, jax.random.key(0), X)
    weights = {}
    layers = []
    for i in range(3):
        layer = torch.nn.Linear(*params[f"linear_{i}"]["kernel"].shape).double()
        layer.weight.data = torch.tensor(np.array(params[f"linear_{i}"]["kernel"].T)).double()
        layer.bias.data.zero_()
        weights[i] = layer.weight
        layers.append(layer)
        if i < 2:
            layers += [torch.nn.BatchNorm1d(8).double()] if norm else []
            layers.append(torch.nn.GELU())
    mlp = torch.nn.Sequential(*layers)
    last = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 9, bias=False).double())
    direction = last.parametrizations.weight.original1
    direction.data = torch.tensor(np.array(params["prototypes"]["kernel"].T)).double()
    last.parametrizations.weight.original0.data.fill_(1)
    y = last(torch.nn.functional.normalize(mlp(torch.tensor(X).double()), dim=-1))
    (y**3).sum().backward()

    def run(params):
        return nets.apply(head, params, stats, X, train=True)[0]

    ours = run(params)
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, y.detach(), atol=1e-5)
    assert np.abs(ours).max() <= 1 + 1e-6
    grads = jax.grad(lambda p: (run(p) ** 3).sum())(params)
    np.testing.assert_allclose(grads["prototypes"]["kernel"], direction.grad.T, atol=1e-5)
    for i in range(3):
        kernel = grads[f"linear_{i}"]["kernel"]
        np.testing.assert_allclose(kernel, weights[i].grad.T, rtol=1e-5, atol=1e-4)


def test_the_length_of_a_prototype_does_not_matter():
    params, stats = nets.init(HEAD, jax.random.key(0), X)
    longer = params | {"prototypes": {"kernel": 7 * params["prototypes"]["kernel"]}}
    y, _ = nets.apply(HEAD, params, stats, X, train=False)
    np.testing.assert_allclose(nets.apply(HEAD, longer, stats, X, train=False)[0], y, atol=1e-6)


def test_bad_heads():
    with pytest.raises(ValueError, match="at least one layer"):
        nets.init(HEAD.clone(layers=0), jax.random.key(0), X)
    with pytest.raises(ValueError, match="features"):
        HEAD.init(jax.random.key(0), X[0])
    with pytest.raises(ValueError, match="activation"):
        nets.init(MLP(widths=(3, 2), activation="tanh"), jax.random.key(0), X)


def test_unit_rows_twice_is_once():
    w = np.random.default_rng(0).normal(size=(50, 128)).astype(np.float32)
    once = nets.unit_rows(jnp.asarray(w))
    expected = w / np.linalg.norm(w.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(once, expected, atol=1e-6)
    np.testing.assert_array_equal(nets.unit_rows(once), once)


def test_hold():
    def loss(w, frozen):
        return (nets.freeze({"w": w}, frozen)["w"] ** 2).sum()

    w = jnp.arange(3.0)
    np.testing.assert_array_equal(jax.grad(loss)(w, jnp.array(True)), 0)
    np.testing.assert_array_equal(jax.grad(loss)(w, jnp.array(False)), 2 * w)
    assert loss(w, jnp.array(True)) == loss(w, jnp.array(False))


def test_crops_run_once_a_size_and_meet_in_the_head():
    """The encoder's batch norm sees one size, the head's all; crops stay in order."""
    rng = np.random.default_rng(0)
    large, small = rng.normal(size=(3, 2, 8, 8, 3)), rng.normal(size=(3, 4, 4, 4, 3))
    large, small = jnp.float32(large), jnp.float32(small)
    chain = {"encoder": SmallConv(widths=(4,)), "projector": MLP(widths=(5, 6))}
    params, stats = nets.init_chain(chain, jax.random.key(0), large[:, 0])
    y, new = nets.apply_crops(chain, params, stats, (large, small), train=True)
    assert y.shape == (3, 6, 6)
    features = []
    encoder = params["encoder"], stats["encoder"]
    for x in (large, small):
        f, _ = nets.apply(chain["encoder"], *encoder, x.reshape(-1, *x.shape[2:]), train=True)
        features.append(f.reshape(3, -1, 4))
    together = jnp.concatenate(features, axis=1)
    expected, _ = nets.apply(
        chain["projector"], params["projector"], stats["projector"], together, train=True
    )
    np.testing.assert_allclose(y, expected, atol=1e-6)
    assert not np.allclose(new["encoder"]["bn1"]["mean"], stats["encoder"]["bn1"]["mean"])
    alone, _ = nets.apply_crops(chain, params, stats, (large, small[:, :0]), train=False)
    np.testing.assert_allclose(
        alone, nets.apply_crops(chain, params, stats, (large,), train=False)[0]
    )
