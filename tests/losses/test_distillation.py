"""DINO's and iBOT's losses against loops in float64, with gradients by torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.distillation import centred_softmax, cross_view, masked_patches, move_centre


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def crops(rng):
    """Student logits of 5 crops and teacher probabilities of the first 2."""
    return rng.normal(size=(6, 5, 7)), softmax(3 * rng.normal(size=(6, 2, 7)))


def pairs(student, targets, temperature, skip=True):
    total = []
    for t in range(targets.shape[1]):
        for v in range(student.shape[1]):
            if t == v and skip:
                continue
            log_p = np.log(softmax(student[:, v] / temperature))
            total.append(-(targets[:, t] * log_p).sum(-1).mean())
    return np.mean(total)


def test_cross_view(crops):
    student, targets = crops
    value = cross_view(jnp.float32(student), jnp.float32(targets), temperature=0.1)
    np.testing.assert_allclose(value, pairs(student, targets, 0.1), rtol=1e-5)
    # the same crop is no pair
    assert abs(pairs(student, targets, 0.1, skip=False) - float(value)) > 1e-3


def test_cross_view_gradients_by_torch(crops):
    torch = pytest.importorskip("torch")
    student, targets = crops
    s, t = torch.tensor(student, requires_grad=True), torch.tensor(targets)
    log_p = torch.log_softmax(s / 0.1, dim=-1)
    terms = [-(t[:, i] * log_p[:, v]).sum(-1).mean() for i in range(2) for v in range(5) if v != i]
    (sum(terms) / len(terms)).backward()
    grad = jax.grad(lambda s, t: cross_view(s, t, temperature=0.1), (0, 1))
    to_student, to_targets = grad(jnp.float32(student), jnp.float32(targets))
    np.testing.assert_allclose(to_student, s.grad, atol=1e-5)
    np.testing.assert_array_equal(to_targets, 0)


def test_centre_is_subtracted_before_the_temperature(rng):
    logits, centre = rng.normal(size=(4, 2, 7)), rng.normal(size=7)
    value = centred_softmax(jnp.float32(logits), jnp.float32(centre), temperature=0.04)
    np.testing.assert_allclose(value, softmax((logits - centre) / 0.04), rtol=1e-4, atol=1e-7)
    assert np.abs(value - softmax(logits / 0.04 - centre)).max() > 0.1
    grads = jax.grad(lambda *a: centred_softmax(*a, temperature=0.04).max(), (0, 1))(
        jnp.float32(logits), jnp.float32(centre)
    )
    assert not any(np.any(g) for g in grads)


def test_centre_follows_raw_logits(rng):
    logits, centre = rng.normal(size=(4, 2, 7)), rng.normal(size=7)
    moved = move_centre(jnp.float32(centre), jnp.float32(logits), momentum=0.9)
    np.testing.assert_allclose(moved, 0.9 * centre + 0.1 * logits.mean((0, 1)), rtol=1e-5)


def test_masked_patches(rng):
    """Per image first, as a loop of the paper has it; an image without a mask counts as zero."""
    student, targets = rng.normal(size=(3, 6, 7)), softmax(rng.normal(size=(3, 6, 7)))
    mask = np.array([[1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1], [0] * 6], bool)

    def run(mask):
        arrays = jnp.float32(student), jnp.float32(targets), jnp.asarray(mask)
        return float(masked_patches(*arrays, temperature=0.1))

    def image(i, mask):
        entropies = [
            -(targets[i, n] * np.log(softmax(student[i, n] / 0.1))).sum()
            for n in np.nonzero(mask)[0]
        ]
        return np.mean(entropies) if entropies else 0.0

    np.testing.assert_allclose(run(mask), sum(image(i, mask[i]) for i in range(3)) / 3, rtol=1e-5)
    # more masked patches in the first image leave the weight of the second as it was
    more = mask.copy()
    more[0] = True
    change = (image(0, more[0]) - image(0, mask[0])) / 3
    np.testing.assert_allclose(run(more) - run(mask), change, rtol=1e-4, atol=1e-6)
    grad = jax.grad(lambda s: masked_patches(s, jnp.float32(targets), mask, temperature=0.1))(
        jnp.float32(student)
    )
    assert not np.any(grad[~mask])
    assert np.all(np.abs(grad[mask]).max(-1) > 1e-4)


def test_bad_input(crops):
    student, targets = crops
    with pytest.raises(ValueError, match="at least 2 student crops"):
        cross_view(student[:, :1], targets[:, :1], temperature=0.1)
    with pytest.raises(AssertionError):
        cross_view(student, targets[:, :, :3], temperature=0.1)
    with pytest.raises(AssertionError):
        masked_patches(student, student, np.ones((6, 4), bool), temperature=0.1)
