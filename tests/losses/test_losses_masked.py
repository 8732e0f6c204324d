"""Errors on hidden patches against loops in float64 and torch, and what a misreading would give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.masked import (
    layer_targets,
    masked_mae,
    masked_mse,
    masked_smooth_l1,
    patch_statistics,
    patchify,
    standardize,
    unpatchify,
)

RNG = np.random.default_rng(0)
PREDICTION, TARGET = RNG.normal(size=(2, 3, 7, 5)).astype(np.float32) * 2
# Another number of hidden patches in each image, so that a mean of means differs.
MASK = np.arange(7) < np.array([[1], [6], [3]])
LOSSES = {
    "mse": (masked_mse, lambda d: d * d),
    "mae": (masked_mae, abs),
    "smooth_l1": (
        lambda *a: masked_smooth_l1(*a, beta=2.0),
        lambda d: d * d / 4 if abs(d) < 2 else abs(d) - 1,
    ),
}


def test_patches_are_in_order_and_their_pixels_too():
    images = RNG.normal(size=(2, 4, 6, 3)).astype(np.float32)
    patches = patchify(images, 2)
    assert patches.shape == (2, 6, 12)
    for n in range(6):
        for pixel in range(12):
            p, q, c = pixel // 6, pixel // 3 % 2, pixel % 3
            expected = images[:, n // 3 * 2 + p, n % 3 * 2 + q, c]
            np.testing.assert_array_equal(patches[:, n, pixel], expected)
    np.testing.assert_array_equal(unpatchify(patches, 2, height=4, width=6), images)


def test_patches_equal_the_authors_order():
    torch = pytest.importorskip("torch")
    images = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).reshape(2, 3, 2, 4, 2, 4)
    theirs = torch.einsum("nchpwq->nhwpqc", x).reshape(2, 4, 48)
    np.testing.assert_array_equal(patchify(images, 4), theirs)
    others = torch.einsum("nchpwq->nhwcpq", x).reshape(2, 4, 48)
    assert not np.allclose(patchify(images, 4), others)


def test_patch_statistics_divide_by_one_less():
    patches = RNG.normal(3, 2, size=(2, 4, 12))
    mean, deviation = patch_statistics(patches)
    np.testing.assert_allclose(mean, patches.mean(-1, keepdims=True), rtol=1e-6)
    expected = np.sqrt(patches.var(-1, keepdims=True, ddof=1) + 1e-6)
    np.testing.assert_allclose(deviation, expected, rtol=1e-6)
    assert not np.allclose(deviation, np.sqrt(patches.var(-1, keepdims=True) + 1e-6), rtol=1e-2)
    np.testing.assert_allclose(patch_statistics(np.ones((1, 1, 12)))[1], 1e-3, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_masked_losses_against_a_loop(name):
    loss, error = LOSSES[name]
    total, means = 0.0, []
    for b in range(3):
        hidden = [n for n in range(7) if MASK[b, n]]
        errors = [
            np.mean([error(float(p) - float(t)) for p, t in zip(*rows, strict=True)])
            for rows in ((PREDICTION[b, n], TARGET[b, n]) for n in hidden)
        ]
        total += sum(errors)
        means.append(np.mean(errors))
    value = loss(PREDICTION, TARGET, MASK)
    np.testing.assert_allclose(value, total / MASK.sum(), rtol=1e-6)
    assert abs(float(value) - np.mean(means)) > 1e-2  # one ratio, not a mean of means
    assert value.dtype == jnp.float32
    assert float(loss(PREDICTION, TARGET, np.zeros_like(MASK))) == 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_predictions_on_visible_patches_do_not_matter(name):
    loss = LOSSES[name][0]
    other = np.where(MASK[..., None], PREDICTION, 99.0)
    np.testing.assert_array_equal(loss(other, TARGET, MASK), loss(PREDICTION, TARGET, MASK))
    grads = jax.grad(loss)(PREDICTION, TARGET, MASK)
    assert not np.any(grads[~MASK])
    assert np.all(grads[MASK] != 0)
    with pytest.raises(AssertionError):
        loss(PREDICTION, TARGET, MASK[..., None])


def test_smooth_l1_equals_torch():
    torch = pytest.importorskip("torch")
    hidden = torch.from_numpy(MASK)
    prediction = torch.from_numpy(PREDICTION).double().requires_grad_()
    for beta in (1.0, 2.0, 0.12):
        theirs = torch.nn.functional.smooth_l1_loss(
            prediction[hidden], torch.from_numpy(TARGET).double()[hidden], beta=beta
        )
        (expected,) = torch.autograd.grad(theirs, prediction)
        value, grads = jax.value_and_grad(masked_smooth_l1)(PREDICTION, TARGET, MASK, beta=beta)
        np.testing.assert_allclose(value, theirs.item(), rtol=1e-6)
        np.testing.assert_allclose(grads, expected, atol=1e-7)


def test_mae_equals_simmim_on_images():
    """The authors' code works on images: sum of errors / (hidden pixels + 1e-5) / channels."""
    torch = pytest.importorskip("torch")
    x, drawn = RNG.normal(size=(2, 2, 8, 8, 3)).astype(np.float32)
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0]], bool)
    pixels = torch.from_numpy(mask).reshape(2, 2, 2)
    pixels = pixels.repeat_interleave(4, 1).repeat_interleave(4, 2).unsqueeze(-1)
    error = torch.nn.functional.l1_loss(
        torch.from_numpy(x), torch.from_numpy(drawn), reduction="none"
    )
    theirs = (error * pixels).sum() / (pixels.sum() + 1e-5) / 3
    ours = masked_mae(patchify(drawn, 4), patchify(x, 4), mask)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_layer_targets_equal_torch():
    torch = pytest.importorskip("torch")
    # Layers of very different scale: normalising them only after averaging gives other targets.
    layers = RNG.normal(size=(3, 2, 4, 6)) * np.array([0.01, 1.0, 30.0])[:, None, None, None]
    norm = lambda x: torch.nn.functional.layer_norm(x, (6,))  # noqa: E731
    each = torch.from_numpy(layers)
    theirs = norm(sum(norm(layer) for layer in each) / 3)
    ours = layer_targets(layers)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for misread in (norm(each.mean(0)), norm(each).mean(0), each.mean(0)):
        assert np.abs(np.asarray(ours) - misread.numpy()).max() > 0.1
    # eps is torch's
    np.testing.assert_allclose(standardize(layers[0]), norm(each[0]), atol=1e-5)
    assert not np.any(jax.grad(lambda x: jnp.sum(layer_targets(x) ** 3))(jnp.asarray(layers)))
