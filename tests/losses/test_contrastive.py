"""NT-Xent, DCL, SupCon against naive float64 loops and torch; NT-Xent in chunks; eight devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from ssljax.losses.contrastive import dcl, nt_xent, nt_xent_chunked, supcon


@pytest.fixture
def views():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 12, 7)).astype(np.float32)


def naive(z1, z2, temperature):
    """Mean over 2B anchors, written as sums over pairs in float64."""
    z = np.concatenate([z1, z2]).astype(np.float64)
    z = [row / max(np.sqrt((row**2).sum()), 1e-12) for row in z]
    n, total = len(z), 0.0
    for i in range(n):
        partner = (i + n // 2) % n
        denominator = sum(np.exp(z[i] @ z[j] / temperature) for j in range(n) if j != i)
        total -= np.log(np.exp(z[i] @ z[partner] / temperature) / denominator)
    return total / n


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5, 1.0])
def test_value(views, temperature):
    value = nt_xent(*views, temperature=temperature)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, naive(*views, temperature), rtol=1e-6)


def test_gradient_equals_torch(views):
    torch = pytest.importorskip("torch")
    t1, t2 = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in views)
    z = torch.nn.functional.normalize(torch.cat([t1, t2]), dim=1)
    logits = (z @ z.T / 0.2).masked_fill(torch.eye(24, dtype=torch.bool), -torch.inf)
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(24).roll(12))
    loss.backward()
    value, grads = jax.value_and_grad(lambda a, b: nt_xent(a, b, temperature=0.2), (0, 1))(*views)
    np.testing.assert_allclose(value, loss.item(), rtol=1e-6)
    np.testing.assert_allclose(grads[0], t1.grad, atol=1e-6)
    np.testing.assert_allclose(grads[1], t2.grad, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 64])
def test_equal_embeddings_give_ln_2b_minus_1(size):
    z = jnp.ones((size, 5))
    np.testing.assert_allclose(nt_xent(z, z, temperature=0.1), np.log(2 * size - 1), atol=1e-5)


def test_the_partner_stays_in_the_denominator(views):
    """DCL, which drops it, is smaller and can be negative; NT-Xent is a cross-entropy, above 0."""
    z1 = views[0]
    z = np.concatenate([z1, z1]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    s = z @ z.T / 0.1
    partner = np.roll(np.arange(24), 12)
    positive = s[np.arange(24), partner]
    s[np.arange(24), np.arange(24)] = s[np.arange(24), partner] = -np.inf
    dcl = np.mean(np.log(np.exp(s).sum(1)) - positive)
    value = float(nt_xent(z1, z1, temperature=0.1))
    assert dcl < 0 < value
    np.testing.assert_allclose(value, naive(z1, z1, 0.1), rtol=1e-5, atol=1e-7)
    # One example has no negatives: nothing but the partner is left, and nothing to learn.
    single = jax.grad(lambda a: nt_xent(a, views[1][:1], temperature=0.1))(z1[:1])
    np.testing.assert_allclose(single, 0, atol=1e-6)


def test_the_authors_code_is_twice_as_large(views):
    """google-research/simclr adds the means of the two views: logits [B, 2B] each."""
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in views.astype(np.float64))
    total = 0.0
    for x, y in ((a, b), (b, a)):
        logits = np.concatenate([x @ y.T, x @ x.T - 1e9 * np.eye(12)], axis=1) / 0.3
        shift = logits.max(1)
        log_sum = np.log(np.exp(logits - shift[:, None]).sum(1)) + shift
        total += np.mean(log_sum - logits[np.arange(12), np.arange(12)])
    np.testing.assert_allclose(2 * nt_xent(*views, temperature=0.3), total, rtol=1e-6)


@pytest.mark.parametrize("loss", [nt_xent, lambda *z, **k: nt_xent_chunked(*z, **k, chunk=8)])
def test_views_may_be_swapped_and_rows_rescaled(views, loss):
    value = loss(*views, temperature=0.1)
    np.testing.assert_allclose(value, loss(views[1], views[0], temperature=0.1), rtol=1e-6)
    np.testing.assert_allclose(value, loss(views[0] * 1e3, views[1], temperature=0.1), rtol=1e-5)


@pytest.mark.parametrize("loss", [nt_xent, lambda *z, **k: nt_xent_chunked(*z, **k, chunk=8)])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-13, 1e15])
def test_extreme_rows_stay_finite(views, loss, scale):
    views[0][3] *= scale
    value, grads = jax.value_and_grad(lambda a, b: loss(a, b, temperature=0.1), (0, 1))(*views)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in grads)
    np.testing.assert_allclose(value, naive(*views, 0.1), rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_computes_in_float32(views, dtype):
    half = jnp.asarray(views, dtype)
    value = nt_xent(*half, temperature=0.05)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, naive(*np.asarray(half, np.float64), 0.05), rtol=1e-5)
    assert jax.grad(lambda a: nt_xent(a, half[1], temperature=0.05))(half[0]).dtype == dtype


@pytest.mark.parametrize("chunk", [1, 8, 24])
def test_chunked_equals_whole(views, chunk):
    def both(loss):
        return jax.jit(jax.value_and_grad(loss, (0, 1)))(*views)

    whole = both(lambda a, b: nt_xent(a, b, temperature=0.1))
    parts = both(lambda a, b: nt_xent_chunked(a, b, temperature=0.1, chunk=chunk))
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-6)
    for part, one in zip(parts[1], whole[1], strict=True):
        np.testing.assert_allclose(part, one, atol=1e-6)


def test_bad_input(views):
    with pytest.raises(ValueError, match="chunk 7 does not divide the 24 anchors"):
        nt_xent_chunked(*views, temperature=0.1, chunk=7)
    with pytest.raises(ValueError, match="chunk 0"):
        nt_xent_chunked(*views, temperature=0.1, chunk=0)
    with pytest.raises(ValueError, match="temperature 0 must be above 0"):
        nt_xent(*views, temperature=0)
    with pytest.raises(AssertionError):
        nt_xent(views[0], views[1][:-1], temperature=0.1)


def temp_bytes(anchors, loss, chunk=None):
    """Temporary memory of value and gradient for that many 128-d embeddings; compiles only."""
    z = jax.ShapeDtypeStruct((anchors // 2, 128), jnp.float32)
    options = {} if chunk is None else {"chunk": chunk}
    step = jax.jit(jax.value_and_grad(lambda a, b: loss(a, b, temperature=0.1, **options), (0, 1)))
    return step.lower(z, z).compile().memory_analysis().temp_size_in_bytes


def test_memory_of_chunks_grows_with_b_and_not_with_its_square():
    small, large = (temp_bytes(n, nt_xent_chunked, chunk=256) for n in (8192, 16384))
    assert large < 2.2 * small
    small_square, large_square = (temp_bytes(n, nt_xent) for n in (8192, 16384))
    assert large_square > 3.5 * small_square
    assert small < small_square / 5
    # 65,536 embeddings: their whole matrix would take 16 GiB, and its gradient as much again.
    assert temp_bytes(65536, nt_xent_chunked, chunk=512) < 1e9


@pytest.mark.parametrize("loss", [nt_xent, lambda *z, **k: nt_xent_chunked(*z, **k, chunk=16)])
def test_eight_devices_equal_one(loss):
    z = np.random.default_rng(1).normal(size=(2, 32, 8)).astype(np.float32)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    assert mesh.size == 8
    step = jax.jit(jax.value_and_grad(lambda a, b: loss(a, b, temperature=0.1), (0, 1)))
    one = step(*z)
    spread = NamedSharding(mesh, P("data"))
    many = step(*(jax.device_put(v, spread) for v in z))
    np.testing.assert_allclose(many[0], one[0], rtol=1e-6)
    for a, b in zip(many[1], one[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def planes(angles):
    """Views [B, 2B] twice: example i in a plane of its own, its two views `angles[i]` apart."""
    b = len(angles)
    z1, z2 = np.zeros((2, b, 2 * b))
    for i, angle in enumerate(angles):
        z1[i, 2 * i] = 1.0
        z2[i, 2 * i], z2[i, 2 * i + 1] = np.cos(angle), np.sin(angle)
    return z1.astype(np.float32), z2.astype(np.float32)


def naive_dcl(z1, z2, temperature, weight):
    z = np.concatenate([z1, z2]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    b, total = len(z1), 0.0
    for i in range(2 * b):
        negatives = [z[i] @ z[j] / temperature for j in range(2 * b) if j % b != i % b]
        assert len(negatives) == 2 * b - 2
        positive = z[i] @ z[(i + b) % (2 * b)] / temperature
        total += np.log(np.sum(np.exp(negatives))) - weight[i % b] * positive
    return total / (2 * b)


def dclw_weights(z1, z2, sigma):
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (z1, z2))
    e = np.exp(np.sum(a.astype(np.float64) * b, axis=1) / sigma)
    return 2 - len(a) * e / e.sum()


@pytest.mark.parametrize("sigma", [None, 0.5])
def test_dcl(views, sigma):
    weight = np.ones(12) if sigma is None else dclw_weights(*views, sigma)
    value = dcl(*views, temperature=0.1, sigma=sigma)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, naive_dcl(*views, 0.1, weight), rtol=1e-6)


def test_the_pull_of_dcl_is_the_same_for_every_pair():
    """Linear in the positive similarity with slope -1/(2B) an anchor, however close the pair is;
    in NT-Xent the pull fades."""
    rng = np.random.default_rng(0)
    for angles in rng.uniform(0, np.pi, size=(4, 5)):
        expected = np.log(8) - np.mean(np.cos(angles)) / 0.1
        np.testing.assert_allclose(dcl(*planes(angles), temperature=0.1), expected, rtol=1e-5)
        close = nt_xent(*planes(angles * 0.01), temperature=0.1)
        closer = nt_xent(*planes(angles * 0), temperature=0.1)
        np.testing.assert_allclose(close, closer, atol=1e-3)
    assert dcl(*planes([0.0] * 5), temperature=0.1) < -7


def test_dclw_weighs_far_pairs_more():
    angles = np.array([0.1, 0.5, 1.0, 2.0])
    weight = dclw_weights(*planes(angles), 0.5)
    assert np.all(np.diff(weight) > 0)
    np.testing.assert_allclose(weight.mean(), 1, rtol=1e-6)
    expected = np.log(6) - np.mean(weight * np.cos(angles)) / 0.1
    value = dcl(*planes(angles), temperature=0.1, sigma=0.5)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("sigma", [None, 0.5])
def test_dcl_gradient_equals_torch(views, sigma):
    torch = pytest.importorskip("torch")
    t = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in views]
    a, b = (torch.nn.functional.normalize(v, dim=1) for v in t)
    off = torch.eye(12, dtype=torch.bool)
    weight = torch.ones(12, dtype=torch.float64)
    if sigma is not None:
        weight = 2 - 12 * torch.softmax((a * b).sum(1).detach() / sigma, 0)
    total = 0
    for x, y in ((a, b), (b, a)):
        s = torch.cat([x @ y.T, x @ x.T], 1) / 0.2
        s = s.masked_fill(torch.cat([off, off], 1), -torch.inf)
        total = total + (s.logsumexp(1) - weight * (x * y).sum(1) / 0.2).mean() / 2
    total.backward()
    value, grads = jax.value_and_grad(lambda x, y: dcl(x, y, temperature=0.2, sigma=sigma), (0, 1))(
        *views
    )
    np.testing.assert_allclose(value, total.item(), rtol=1e-6)
    for grad, reference in zip(grads, t, strict=True):
        np.testing.assert_allclose(grad, reference.grad, atol=1e-6)


def naive_supcon(z1, z2, labels, temperature, *, inside=False):
    """Equation 2 of the paper, or equation 3 with the mean inside the logarithm."""
    z = np.concatenate([z1, z2]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    label, n, total = np.tile(labels, 2), 2 * len(labels), 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        e = {j: np.exp(z[i] @ z[j] / temperature) for j in others}
        p = [e[j] / sum(e.values()) for j in others if label[j] == label[i]]
        total -= np.log(np.mean(p)) if inside else np.mean(np.log(p))
    return total / n


def test_supcon(views):
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 4])
    value = supcon(*views, labels, temperature=0.1)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, naive_supcon(*views, labels, 0.1), rtol=1e-6)
    # "in", which the paper advises against, is smaller by Jensen's inequality.
    assert naive_supcon(*views, labels, 0.1, inside=True) < value - 0.1
    np.testing.assert_allclose(value, supcon(*views, 7 + labels, temperature=0.1), rtol=1e-6)


def test_supcon_without_labels_is_nt_xent(views):
    alone = nt_xent(*views, temperature=0.1)
    for labels in (np.arange(12), np.full(12, -1)):
        np.testing.assert_allclose(supcon(*views, labels, temperature=0.1), alone, rtol=1e-6)
    # An unknown label is not a class: two of them are negatives of each other.
    labels = np.array([0, 0, -1, -1, *range(1, 9)])
    spelt = np.array([0, 0, 20, 21, *range(1, 9)])
    value = supcon(*views, labels, temperature=0.1)
    np.testing.assert_allclose(value, supcon(*views, spelt, temperature=0.1), rtol=1e-6)
    assert abs(value - alone) > 1e-3


def test_supcon_of_one_class_of_equal_embeddings_is_ln_2b_minus_1():
    z = jnp.ones((6, 4))
    value = supcon(z, z, jnp.zeros(6, jnp.int32), temperature=0.1)
    np.testing.assert_allclose(value, np.log(11), atol=1e-5)


def test_supcon_gradient_equals_torch(views):
    torch = pytest.importorskip("torch")
    labels = np.array([0, 1, 2] * 4)
    t = torch.tensor(views.reshape(24, 7), dtype=torch.float64, requires_grad=True)
    z = torch.nn.functional.normalize(t, dim=1)
    s = (z @ z.T / 0.2).masked_fill(torch.eye(24, dtype=torch.bool), -torch.inf)
    target = torch.tensor(np.tile(labels, 2))
    target = (target[:, None] == target).double().fill_diagonal_(0)
    # a cross-entropy against the uniform distribution over the class
    target = target / target.sum(1, keepdim=True)
    loss = torch.nn.functional.cross_entropy(s.nan_to_num(neginf=-1e9), target)
    loss.backward()
    value, grads = jax.value_and_grad(lambda a, b: supcon(a, b, labels, temperature=0.2), (0, 1))(
        *views
    )
    np.testing.assert_allclose(value, loss.item(), rtol=1e-6)
    np.testing.assert_allclose(np.concatenate(grads), t.grad, atol=1e-6)


def test_bad_input_of_dcl_and_supcon(views):
    with pytest.raises(ValueError, match="at least 2"):
        dcl(views[0][:1], views[1][:1], temperature=0.1)
    with pytest.raises(AssertionError):
        supcon(*views, np.arange(11), temperature=0.1)
