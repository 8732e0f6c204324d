"""Barlow Twins, VICReg and TiCo against naive float64 loops and torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.redundancy import barlow_twins, tico, vicreg


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10, 4))
    # columns of other sizes and means, which a normalisation over the wrong axis would leave
    views = np.stack([x, x + 0.5 * rng.normal(size=x.shape)]) * [1, 2, 5, 0.1] + [0, 3, -1, 2]
    return views.astype(np.float32)


def white(n, d):
    """[n, d] whose columns have mean 0, variance 1 (ddof 0) and no correlation."""
    x = np.random.default_rng(2).normal(size=(n, d))
    x -= x.mean(0)
    q, _ = np.linalg.qr(x)
    return (q * np.sqrt(n)).astype(np.float32)


def naive_barlow(z1, z2, weight, ddof=0):
    a, b = (z.astype(np.float64) for z in (z1, z2))
    n, d = a.shape
    total = 0.0
    for i in range(d):
        for j in range(d):
            x, y = a[:, i] - a[:, i].mean(), b[:, j] - b[:, j].mean()
            sx = np.sqrt((x**2).sum() / (n - ddof) + 1e-5)
            sy = np.sqrt((y**2).sum() / (n - ddof) + 1e-5)
            c = (x * y).sum() / n / (sx * sy)
            total += (c - 1) ** 2 if i == j else weight * c**2
    return total


def test_barlow_twins(pair):
    value = barlow_twins(*pair, weight=0.0051)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, naive_barlow(*pair, 0.0051), rtol=1e-5)
    assert abs(value - naive_barlow(*pair, 0.0051, ddof=1)) > 1e-2


def test_barlow_twins_of_white_embeddings_is_zero():
    z = white(32, 4)
    assert barlow_twins(z, z, weight=0.0051) < 1e-8
    # One column twice: two entries off the diagonal are one.
    twice = np.concatenate([z, z[:, :1]], axis=1)
    np.testing.assert_allclose(barlow_twins(twice, twice, weight=0.0051), 2 * 0.0051, rtol=1e-4)
    # A sum, not a mean: no correlation at all costs one a column.
    z = white(32, 8)
    np.testing.assert_allclose(barlow_twins(z[:, :4], z[:, 4:], weight=0.0), 4, rtol=1e-4)


def test_barlow_twins_gradient_equals_torch(pair):
    torch = pytest.importorskip("torch")
    t = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in pair]
    norm = torch.nn.BatchNorm1d(4, affine=False, dtype=torch.float64)
    c = norm(t[0]).T @ norm(t[1]) / 10
    off = c[~torch.eye(4, dtype=torch.bool)]
    ((c.diagonal() - 1).square().sum() + 0.0051 * off.square().sum()).backward()
    grads = jax.grad(lambda a, b: barlow_twins(a, b, weight=0.0051), (0, 1))(*pair)
    for grad, reference in zip(grads, t, strict=True):
        np.testing.assert_allclose(grad, reference.grad, rtol=1e-4, atol=1e-6)


def torch_vicreg(torch, x, y):
    inv = torch.nn.functional.mse_loss(x, y)
    var = sum(torch.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2 for z in (x, y))
    off = ~torch.eye(x.shape[1], dtype=torch.bool)
    cov = sum(torch.cov(z.T)[off].square().sum() / x.shape[1] for z in (x, y))
    return inv, var, cov


def test_vicreg_equals_torch(pair):
    torch = pytest.importorskip("torch")
    t = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in pair]
    terms = torch_vicreg(torch, *t)
    ours = vicreg(*pair)
    for term, reference in zip(ours, terms, strict=True):
        assert term.dtype == jnp.float32
        np.testing.assert_allclose(term, reference.item(), rtol=1e-5)
    (25 * terms[0] + 25 * terms[1] + terms[2]).backward()

    def loss(a, b):
        inv, var, cov = vicreg(a, b)
        return 25 * inv + 25 * var + cov

    for grad, reference in zip(jax.grad(loss, (0, 1))(*pair), t, strict=True):
        np.testing.assert_allclose(grad, reference.grad, rtol=1e-4, atol=1e-5)


def test_vicreg_by_hand(pair):
    """The terms as sums over pairs of entries, in float64."""
    inv, var, cov = vicreg(*pair)
    x, y = pair.astype(np.float64)
    np.testing.assert_allclose(inv, np.sum((x - y) ** 2) / 40, rtol=1e-6)
    expected = 0.0
    for z in (x, y):
        c = np.cov(z.T)  # ddof 1
        expected += sum(c[i, j] ** 2 for i in range(4) for j in range(4) if i != j) / 4
    np.testing.assert_allclose(cov, expected, rtol=1e-5)
    spreads = np.concatenate([np.sqrt(z.var(0, ddof=1) + 1e-4) for z in (x, y)])
    np.testing.assert_allclose(var, np.maximum(1 - spreads, 0).sum() / 8, rtol=1e-5)
    assert var > 0.1  # the narrow column counts


def test_vicreg_of_a_constant():
    z = jnp.full((8, 4), 3.0)
    inv, var, cov = vicreg(z, z)
    np.testing.assert_allclose(25 * var, 24.75, rtol=1e-6)
    assert inv == cov == 0
    grads = jax.grad(lambda a, b: vicreg(a, b)[1], (0, 1))(z, z)
    assert all(np.isfinite(g).all() for g in grads)


def test_vicreg_of_white_embeddings_is_zero():
    z = white(32, 4) * np.sqrt(31 / 32)  # standard deviation one with ddof 1
    np.testing.assert_allclose(vicreg(z, z), 0, atol=1e-5)


def naive_tico(z1, z2, moment, beta, rho):
    a, b = (z.astype(np.float64) for z in (z1, z2))
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    moment = beta * moment + (1 - beta) * np.mean([np.outer(r, r) for r in a], axis=0)
    terms = [1 - x @ y + rho * x @ moment @ x for x, y in zip(a, b, strict=True)]
    return np.mean(terms), moment


def test_tico(pair):
    moment = expected = np.zeros((4, 4))
    for scale in (1.0, 2.0, 3.0):  # the memory goes from batch to batch
        z1 = pair[0] + np.float32(scale)
        wanted, expected = naive_tico(z1, pair[1], expected, 0.9, 8.0)
        value, moment = tico(z1, pair[1], moment, beta=0.9, rho=8.0)
        assert value.dtype == moment.dtype == jnp.float32
        np.testing.assert_allclose(value, wanted, rtol=1e-5)
        np.testing.assert_allclose(moment, expected, rtol=1e-5, atol=1e-6)


def test_tico_of_a_collapse_and_of_a_sphere():
    """The second term is rho for one direction, and rho / D where all are used alike."""
    one = jnp.ones((8, 4))
    value, moment = tico(one, one, jnp.ones((4, 4)) / 4, beta=0.9, rho=8.0)
    np.testing.assert_allclose(value, 8, rtol=1e-6)
    np.testing.assert_allclose(jnp.trace(moment), 1, rtol=1e-6)
    axes = jnp.tile(jnp.eye(4), (2, 1))
    value, _ = tico(axes, axes, jnp.eye(4) / 4, beta=0.9, rho=8.0)
    np.testing.assert_allclose(value, 2, rtol=1e-6)


def test_tico_gradient_equals_torch(pair):
    torch = pytest.importorskip("torch")
    moment = np.cov(pair[1].T) / 10
    t = torch.tensor(pair[0], dtype=torch.float64, requires_grad=True)
    a = torch.nn.functional.normalize(t, dim=1)
    b = torch.nn.functional.normalize(torch.tensor(pair[1], dtype=torch.float64), dim=1)
    c = 0.9 * torch.tensor(moment) + 0.1 * (a.T @ a).detach() / 10
    (1 - (a * b).sum(1).mean() + 8 * ((a @ c) * a).sum(1).mean()).backward()
    to_z1, to_z2, to_moment = jax.grad(lambda *x: tico(*x, beta=0.9, rho=8.0)[0], (0, 1, 2))(
        *pair, moment.astype(np.float32)
    )
    np.testing.assert_allclose(to_z1, t.grad, atol=1e-6)
    np.testing.assert_array_equal(to_z2, 0)
    np.testing.assert_array_equal(to_moment, 0)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_float32(pair, dtype):
    half = jnp.asarray(pair, dtype)
    whole = half.astype(jnp.float32)
    for loss in (
        lambda a, b: barlow_twins(a, b, weight=0.1),
        lambda a, b: jnp.stack(vicreg(a, b)),
        lambda a, b: tico(a, b, jnp.zeros((4, 4)), beta=0.9, rho=8.0)[0],
    ):
        assert loss(*half).dtype == jnp.float32
        np.testing.assert_allclose(loss(*half), loss(*whole), rtol=1e-6)


def test_bad_input(pair):
    with pytest.raises(ValueError, match="at least 2"):
        vicreg(pair[0][:1], pair[1][:1])
    with pytest.raises(AssertionError):
        vicreg(pair[0], pair[1][:, :2])
    with pytest.raises(AssertionError):
        barlow_twins(pair[0], pair[1][:-1], weight=0.1)
