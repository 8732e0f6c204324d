"""Maps of convolutional encoders, and the head that turns them into pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import PixelHead, ResNet, SmallConv

X = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("encoder", "shape"),
    [
        (SmallConv(widths=(4, 8)), (2, 8, 8, 8)),
        (ResNet(depth=18, width=4, stem="cifar"), (2, 2, 2, 32)),
    ],
)
def test_features_are_the_mean_of_the_maps(encoder, shape):
    params, stats = nets.init(encoder, jax.random.key(0), X)
    maps = nets.apply(encoder, params, stats, X, train=False, method="maps")[0]
    assert maps.shape == shape
    features = nets.apply(encoder, params, stats, X, train=False)[0]
    np.testing.assert_allclose(features, maps.mean((1, 2)), rtol=1e-5)


def test_pixel_head():
    head = PixelHead(outputs=5, widths=(6, 4))
    maps = jnp.asarray(X[:, :3, :3])
    params, stats = nets.init(head, jax.random.key(0), maps)
    out, moved = nets.apply(head, params, stats, maps, train=True)
    assert out.shape == (2, 12, 12, 5)
    assert out.dtype == jnp.float32
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), stats, moved)))
    # what one map says stays where it is: far corners do not see a change in the first
    other = nets.apply(head, params, stats, maps.at[:, 0, 0].add(1.0), train=False)[0]
    same = nets.apply(head, params, stats, maps, train=False)[0]
    np.testing.assert_array_equal(other[:, 11, 11], same[:, 11, 11])
    assert not np.allclose(other[:, 0, 0], same[:, 0, 0])
    with pytest.raises(ValueError, match="takes maps"):
        nets.init(head, jax.random.key(0), jnp.zeros((2, 4)))
