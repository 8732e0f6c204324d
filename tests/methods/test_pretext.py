"""What rotation, jigsaw, relative patches and colourisation must not get wrong."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_pretext import CASES
from laws import images

from ssljax.methods.jigsaw import permutations
from ssljax.methods.relative_patch import PLACES
from ssljax.methods.rotation import rotations
from ssljax.views import rgb_to_lab

KEY = jax.random.key(0)


def start(name):
    method = CASES[name].method
    state = jax.jit(method.build(optax.sgd(0.1), updates=10).init)(KEY, images())
    return method, state


def test_rotations_are_those_of_the_authors():
    """Counter-clockwise: flip the transpose for one quarter, flip both for two, and so on."""
    x = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    found = rotations(jnp.asarray(x))
    for image, turned in zip(x, found):
        across = np.transpose(image, (1, 0, 2))
        np.testing.assert_array_equal(turned[0], image)
        np.testing.assert_array_equal(turned[1], across[::-1])
        np.testing.assert_array_equal(turned[2], image[::-1, ::-1])
        np.testing.assert_array_equal(turned[3], across[:, ::-1])


def test_rotation_reference():
    """The loss of a head that says 'none' is ln of its odds on three of four images, and a network
    that says nothing has ln 4."""
    method, state = start("rotation")
    head = {"linear_0": {"kernel": jnp.zeros((8, 4)), "bias": jnp.zeros(4)}}
    value, (_, metrics) = method.loss(state.params | {"head": head}, state.extra, images(), KEY)
    np.testing.assert_allclose(value, np.log(4), rtol=1e-6)
    head["linear_0"]["bias"] = jnp.array([10.0, 0, 0, 0])
    value, (_, metrics) = method.loss(state.params | {"head": head}, state.extra, images(), KEY)
    np.testing.assert_allclose(value, 0.75 * 10 + np.log(1 + 3 * np.exp(-10)), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], 0.25)
    assert method.answer(state, images()).shape == (16, 4)


def test_permutations():
    """The greedy choice of the paper, anew by brute force over four places; nine for nine tiles."""
    chosen = [tuple(p) for p in permutations(24, 4)]
    assert len(set(chosen)) == 24
    assert chosen[0] == (0, 1, 2, 3)
    for n in range(1, 24):
        distances = {
            p: np.array([sum(a != b for a, b in zip(p, q)) for q in chosen[:n]]) for p in chosen[n:]
        }
        assert distances[chosen[n]].sum() == max(d.sum() for d in distances.values())
        tied = [d.min() for d in distances.values() if d.sum() == distances[chosen[n]].sum()]
        assert distances[chosen[n]].min() == max(tied)
    with pytest.raises(ValueError, match="24 permutations"):
        permutations(25, 4)


def test_permutations_of_nine_tiles_are_far_apart():
    """The sum alone would take neighbours of those chosen once nine are there: see the ties."""
    found = permutations(20, 9)
    distance = (found[:, None] != found).sum(-1)
    assert (distance[:9, :9] + 9 * np.eye(9) == 9).all()
    assert distance[np.triu_indices(20, 1)].min() >= 6
    assert [sorted(p) for p in found] == [list(range(9))] * 20


def test_jigsaw_reference():
    """Tile pi(i) comes i-th and the label is the number of pi, whatever the network says: a head
    that reads the brightness of tiles whose place is known by it must find the label."""
    method, state = start("jigsaw")
    orders = permutations(6, 4)
    x = jnp.arange(4.0).reshape(1, 4, 1, 1, 1) * jnp.ones((6, 4, 3, 3, 3))
    seen = {}

    def solve(params, stats, x, *, train):
        seen["order"] = x[:, :, 0, 0, 0]
        return jnp.zeros((len(x), 6)), stats

    def tiles(images, key):
        return x

    spied = dataclasses.replace(method)
    object.__setattr__(spied, "_solve", solve)
    object.__setattr__(spied, "_tiles", tiles)
    drawn = set()
    for seed in range(10):
        key = jax.random.key(seed)
        which = jax.random.randint(jax.random.split(key, 3)[2], (6,), 0, 6)
        value, _ = spied.loss(state.params, state.extra, images(6), key)
        np.testing.assert_array_equal(seen["order"], orders[np.asarray(which)])
        np.testing.assert_allclose(value, np.log(6), rtol=1e-6)
        drawn |= set(np.asarray(which).tolist())
    assert drawn == set(range(6))
    assert method.answer(state, images()).shape == (16, 6)


def test_jigsaw_sees_no_brightness_of_tiles():
    """Each tile is standardised by itself: adding light to an image, or to one tile, is unseen."""
    method, _ = start("jigsaw")
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 3)), jnp.float32)
    brighter = x.at[:, :4, :4].add(5.0).at[:, 4:].multiply(2.0)
    np.testing.assert_allclose(method._tiles(x, None), method._tiles(brighter, None), atol=1e-4)


def test_relativepatch_reference():
    """Label k is the place of the second patch, row by row without the centre: the authors' map."""
    authors = {(-1, -1): 0, (0, -1): 1, (1, -1): 2, (-1, 0): 3, (1, 0): 4, (-1, 1): 5, (0, 1): 6,
               (1, 1): 7}  # (x, y) of the second patch, y down  # fmt: skip
    for label, place in enumerate(PLACES):
        row, column = divmod(place, 3)
        assert authors[column - 1, row - 1] == label
    method, state = start("relative_patch")
    x = jnp.arange(9.0).reshape(1, 9, 1, 1, 1) * jnp.ones((2, 9, 2, 2, 3))
    seen = {}

    def head_input(params, stats, x, *, train):
        seen["pairs"] = x
        return jnp.zeros((*x.shape[:2], 8)), stats

    import ssljax.methods.relative_patch as module

    real = module.nets.apply_chain
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module.nets,
            "apply_chain",
            lambda chain, p, s, x, *, train: (
                (x.mean((1, 2)), s) if "encoder" in chain else head_input(p, s, x, train=train)
            ),
        )
        logits, _ = method._locate(state.params, state.extra["stats"], x, train=True)
    assert module.nets.apply_chain is real
    assert logits.shape == (2, 8, 8)
    np.testing.assert_array_equal(seen["pairs"][0, :, 0], np.full(8, 4.0))
    np.testing.assert_array_equal(seen["pairs"][0, :, 3], PLACES)
    assert method.answer(state, images()).shape == (16, 8, 8)


def test_colorization_sees_lightness_only():
    """The features of two images that differ in colour alone are equal."""
    method, state = start("colorization")
    rows = images()
    lab = rgb_to_lab(rows["image"])
    features = method.embed(state, rows)
    # a grey of the same lightness, as float so that nothing is rounded
    from ssljax.views import lab_to_rgb

    grey = lab_to_rgb(lab.at[..., 1:].set(0))
    np.testing.assert_allclose(rgb_to_lab(grey)[..., 0], lab[..., 0], atol=1e-3)
    method = dataclasses.replace(method, view=_Plain())
    same = method.embed(state, {"image": grey})
    colour = method.embed(state, {"image": jnp.asarray(rows["image"], jnp.float32) / 255})
    np.testing.assert_allclose(same, colour, atol=1e-4)
    assert features.shape == same.shape


@dataclasses.dataclass(frozen=True)
class _Plain:
    """Images in [0, 1] as they are."""

    size: int = 8
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __call__(self, key, image):
        return image

    def plain(self, image):
        return image

    def denormalize(self, images):
        return images


def test_colorization_counts_no_grey_images():
    method, state = start("colorization")
    method = dataclasses.replace(method, view=_Plain())
    rows = np.random.default_rng(0).random((8, 8, 8, 3), np.float32)
    grey = np.broadcast_to(rows[..., :1], rows.shape)
    value, _ = method.loss(state.params, state.extra, {"image": jnp.asarray(grey)}, KEY)
    assert float(value) == 0
    value, (extra, _) = method.loss(state.params, state.extra, {"image": jnp.asarray(rows)}, KEY)
    assert float(value) > 0.5
    np.testing.assert_allclose(extra["prior"].sum(), 1, rtol=1e-5)
    # the weights of a step are those of the batches before it
    again, _ = method.loss(state.params, extra, {"image": jnp.asarray(rows)}, KEY)
    assert float(again) != float(value)


def test_colorization_reference():
    """Half the mean squared distance in units of 110, at the coarse pixels."""
    method, state = start("colorization_regression")
    method = dataclasses.replace(method, view=_Plain())
    rows = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    head = jax.tree.map(jnp.zeros_like, state.params["head"])
    value, _ = method.loss(state.params | {"head": head}, state.extra, {"image": rows}, KEY)
    # the maps of the network are 4x4, the head doubles them: nothing is coarse here
    ab = np.asarray(rgb_to_lab(rows))[..., 1:]
    np.testing.assert_allclose(value, 0.5 * np.mean(np.sum((ab / 110) ** 2, -1)), rtol=1e-5)


@pytest.mark.parametrize("name", ["colorization", "colorization_regression"])
def test_colorization_shows_three_pictures(name):
    method, state = start(name)
    shown = method.show({k: v[:2] for k, v in images().items()}, KEY, state)["views"]
    assert shown.shape == (2, 3, 8, 8, 3)
    np.testing.assert_allclose(np.ptp(np.asarray(shown[:, 1]), axis=-1), 0, atol=1e-3)
    assert 0 <= shown.min() <= shown.max() <= 1


@pytest.mark.parametrize("name", ["rotation", "jigsaw", "relative_patch"])
def test_pictures(name):
    shown = CASES[name].method.show({k: v[:2] for k, v in images().items()}, KEY, None)["views"]
    assert shown.ndim == 5
    assert shown.shape[:2] == (2, {"rotation": 4, "jigsaw": 4, "relative_patch": 9}[name])
