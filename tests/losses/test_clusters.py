"""DeepCluster's, SCAN's and the pretext losses against torch and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.classify import classification
from ssljax.losses.clusters import assigned, scan, self_label

torch = pytest.importorskip("torch")
F = torch.nn.functional
rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def test_classification_is_that_of_torch():
    logits, labels = normal(6, 4, 5), rng.integers(0, 5, (6, 4))
    value, accuracy = classification(logits, labels)
    peer = F.cross_entropy(torch.tensor(logits).reshape(-1, 5), torch.tensor(labels).reshape(-1))
    np.testing.assert_allclose(value, peer, rtol=1e-6)
    np.testing.assert_allclose(accuracy, np.mean(logits.argmax(-1) == labels), rtol=1e-6)
    # What has no label counts for nothing.
    hidden = np.where(rng.random((6, 4)) < 0.5, -1, labels)
    value, accuracy = classification(logits, hidden)
    target = torch.tensor(hidden).reshape(-1)
    peer = F.cross_entropy(torch.tensor(logits).reshape(-1, 5), target, ignore_index=-1)
    np.testing.assert_allclose(value, peer, rtol=1e-6)
    right = (logits.argmax(-1) == labels)[hidden >= 0]
    np.testing.assert_allclose(accuracy, np.mean(right), rtol=1e-6)
    assert [float(x) for x in classification(logits, np.full((6, 4), -1))] == [0, 0]


def test_assigned_is_that_of_torch():
    """Every crop predicts its image's cluster; images without one are left out of the mean."""
    scores, clusters = normal(7, 3, 5), np.array([0, 4, -1, 2, 2, -1, 1])
    z = torch.tensor(scores, requires_grad=True)
    target = torch.tensor(np.where(clusters < 0, -100, clusters)).repeat(3)
    # crop after crop, as the authors' loader stacks them
    peer = F.cross_entropy(z.transpose(0, 1).reshape(-1, 5) / 0.1, target, ignore_index=-100)
    peer.backward()
    (value, accuracy), gradient = jax.value_and_grad(
        lambda s: assigned(s, jnp.asarray(clusters), temperature=0.1), has_aux=True
    )(jnp.asarray(scores))
    np.testing.assert_allclose(value, peer.detach(), rtol=1e-5)
    np.testing.assert_allclose(gradient, z.grad, atol=1e-6)
    known = clusters >= 0
    right = scores[known].argmax(-1) == clusters[known][:, None]
    np.testing.assert_allclose(accuracy, right.mean(), rtol=1e-6)


def test_assigned_of_nobody_is_zero():
    value, accuracy = assigned(normal(3, 2, 5), np.full(3, -1), temperature=0.1)
    assert float(value) == float(accuracy) == 0


def test_scan_is_that_of_torch():
    """Binary cross-entropy of the dot product with one, minus the entropy of the mean anchor."""
    a, b = normal(8, 5), normal(8, 5)
    x, y = (torch.tensor(v, requires_grad=True) for v in (a, b))
    p, q = x.softmax(1), y.softmax(1)
    consistency = F.binary_cross_entropy((p * q).sum(1), torch.ones(8))
    mean = p.mean(0)
    entropy = -(mean * mean.log()).sum()
    (consistency - 5 * entropy).backward()
    (value, parts), gradients = jax.value_and_grad(
        lambda a, b: scan(a, b, entropy=5.0), argnums=(0, 1), has_aux=True
    )(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(value, (consistency - 5 * entropy).detach(), rtol=1e-5)
    np.testing.assert_allclose(parts, [consistency.detach(), entropy.detach()], rtol=1e-5)
    np.testing.assert_allclose(gradients[0], x.grad, atol=1e-6)
    np.testing.assert_allclose(gradients[1], y.grad, atol=1e-6)


def test_scan_prefers_sure_and_spread_predictions():
    """Its minimum -lambda ln K: everyone sure, clusters equally large. The entropy is that of the
    mean: the mean of the entropies would be zero there."""
    sure = 50 * np.eye(4, dtype=np.float32)
    np.testing.assert_allclose(scan(sure, sure, entropy=5.0)[0], -5 * np.log(4), rtol=1e-5)
    same = sure[[0, 0, 0, 0]]
    np.testing.assert_allclose(scan(same, same, entropy=5.0)[0], 0, atol=1e-4)
    unsure = np.zeros_like(sure)
    expected = np.log(4) - 5 * np.log(4)
    np.testing.assert_allclose(scan(unsure, unsure, entropy=5.0)[0], expected, rtol=1e-5)
    # opposite certainties: finite, where the logarithm of the product is not
    assert np.isfinite(scan(200 * sure, 200 * sure[::-1], entropy=5.0)[0])


@pytest.mark.parametrize("balanced", [True, False])
def test_self_label_is_that_of_torch(balanced):
    weak, strong = 4 * normal(40, 3), normal(40, 3)
    weak[:, 0] += 2  # so that labels are not equally frequent
    p, label = torch.tensor(weak).softmax(1).max(1)
    sure = p > 0.9
    assert 10 < sure.sum() < 38
    z = torch.tensor(strong, requires_grad=True)
    counts = torch.bincount(label[sure], minlength=3)
    assert counts.min() > 0
    weight = sure.sum() / counts if balanced else None
    peer = F.cross_entropy(z[sure], label[sure], weight=weight)
    peer.backward()

    def loss(weak, strong):
        return self_label(weak, strong, threshold=0.9, balanced=balanced)

    (value, share), (to_weak, to_strong) = jax.value_and_grad(loss, (0, 1), has_aux=True)(
        jnp.asarray(weak), jnp.asarray(strong)
    )
    np.testing.assert_allclose(value, peer.detach(), rtol=1e-5)
    np.testing.assert_allclose(share, sure.float().mean(), rtol=1e-6)
    np.testing.assert_allclose(to_strong, z.grad, atol=1e-6)
    assert not np.any(to_weak)
    other = loss(jnp.asarray(weak), jnp.asarray(strong))[0]
    assert not np.isclose(other, self_label(weak, strong, threshold=0.9, balanced=not balanced)[0])


def test_self_label_when_nobody_is_sure():
    value, share = self_label(np.zeros((4, 3)), normal(4, 3), threshold=0.99)
    assert float(value) == float(share) == 0
    gradient = jax.grad(lambda s: self_label(jnp.zeros((4, 3)), s, threshold=0.99)[0])
    assert not np.any(gradient(jnp.asarray(normal(4, 3))))
