"""What DeepCluster v2, SCAN and its self-labelling must not get wrong."""

import dataclasses
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_cluster import CASES, neighbors
from laws import NET, VIEW, images

from ssljax.clustering import kmeans
from ssljax.data import Arrays, Neighbors
from ssljax.losses.clusters import assigned, scan
from ssljax.method import from_pretrained
from ssljax.methods import SCAN
from ssljax.training.train import Cadence, fit

KEY = jax.random.key(0)
TX = optax.sgd(0.05, momentum=0.9)
DEEP = CASES["deepcluster"].method


def dataset(size=40):
    return Arrays({k: v for k, v in images(size).items() if k != "index"})


@pytest.fixture(scope="module")
def clustered():
    method = DEEP.build(TX, updates=10)
    state = jax.jit(method.init)(KEY, images())
    return method, state, method.refresh(state, dataset())


def test_refresh_clusters_the_memory(clustered):
    """Head h clusters crop h mod 2; centroids have length one and are the nearest of their rows."""
    _, before, after = clustered
    assert (before.extra["assignments"] == -1).all()
    memory = np.asarray(after.extra["memory"])
    np.testing.assert_allclose(np.linalg.norm(memory, axis=-1), 1, rtol=1e-5)
    assert not np.allclose(memory[0], memory[1])  # two random crops
    for h, count in enumerate(DEEP.prototypes):
        centroids = np.asarray(after.extra["centroids"][str(h)])
        assert centroids.shape == (count, 6)
        np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(
            after.extra["assignments"][h], np.argmax(memory[h % 2] @ centroids.T, axis=1)
        )
    for a, b in zip(jax.tree.leaves(before.params), jax.tree.leaves(after.params)):
        np.testing.assert_array_equal(a, b)


def test_refresh_is_a_function_of_the_state(clustered):
    method, before, after = clustered
    again = method.refresh(before, dataset())
    for a, b in zip(jax.tree.leaves(again.extra), jax.tree.leaves(after.extra)):
        np.testing.assert_array_equal(a, b)

    # later on the memory is taken as it is: no pass over the data
    class NoPass(Arrays):
        def once(self, *arguments, **options):
            raise AssertionError("the data was read")

    later = dataclasses.replace(after, step=jnp.asarray(5, jnp.int32))
    data = NoPass({k: v for k, v in images(40).items() if k != "index"})
    moved = method.refresh(later, data)
    np.testing.assert_array_equal(moved.extra["memory"], after.extra["memory"])
    expected = kmeans(
        after.extra["memory"][1],
        4,
        key=jax.random.fold_in(jax.random.key(1), 5),
        start="random",
        iterations=3,
        tol=0,
        spherical=True,
    )
    np.testing.assert_array_equal(moved.extra["assignments"][1], expected.assignments)


def test_deepcluster_reference(clustered):
    """Every crop, large or small, predicts its image's cluster in each head, by cosines at 0.1; no
    gradient reaches the centroids; the memory keeps the large crops of this batch, and no other."""
    _, _, state = clustered
    rows = {k: v[::2] for k, v in images(40).items()}
    value, (extra, metrics) = DEEP.loss(state.params, state.extra, rows, KEY)
    z, _ = DEEP._embeddings(state.params, state.extra["stats"], rows["image"], KEY)
    assert z.shape == (20, 3, 6)
    total, right = 0.0, 0.0
    for h in range(2):
        scores = np.asarray(z, np.float64) @ np.asarray(state.extra["centroids"][str(h)]).T / 0.1
        target = np.asarray(state.extra["assignments"])[h, rows["index"]]
        log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        total -= np.mean([log_p[i, :, target[i]] for i in range(20)]) / 2
        right += np.mean(scores.argmax(-1) == target[:, None]) / 2
    np.testing.assert_allclose(value, total, rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], right, rtol=1e-5)
    memory = np.asarray(state.extra["memory"]).copy()
    memory[:, rows["index"]] = np.swapaxes(z[:, :2], 0, 1)
    np.testing.assert_allclose(extra["memory"], memory, atol=1e-6)
    # Another batch's assignments by place in the batch, not by index, would be another number.
    wrong = assigned(
        jnp.einsum("bvd,kd->bvk", z, state.extra["centroids"]["0"]),
        state.extra["assignments"][0, :20],
        temperature=0.1,
    )[0]
    assert not np.isclose(wrong, total)


def test_before_the_first_refresh_nothing_is_learned():
    method = DEEP.build(TX, updates=10)
    state = jax.jit(method.init)(KEY, images())
    after, metrics = jax.jit(method.step)(state, images(), KEY)
    assert float(metrics["loss"]) == float(metrics["grad_norm"]) == 0
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(after.params)):
        np.testing.assert_array_equal(a, b)


def test_too_much_data():
    method = DEEP.build(TX, updates=10)
    state = jax.jit(method.init)(KEY, images())
    with pytest.raises(ValueError, match="41 examples"):
        method.refresh(state, dataset(41))


@pytest.mark.parametrize("save", [2, 3])
def test_a_resumed_run_is_that_which_never_stopped(tmp_path, save):
    """Saved at a step that is refreshed (2) and at one between two refreshes (3)."""
    method = DEEP.build(TX, updates=10)
    options = {"steps": 5, "batch": 16, "cadence": Cadence(log=1, save=save, refresh=2, keep=9)}
    straight = fit(method, dataset(), folder=tmp_path / "a", **options)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for step in range(save + 1, 6):
        shutil.rmtree(tmp_path / "b" / "checkpoints" / str(step), ignore_errors=True)
    resumed = fit(method, dataset(), folder=tmp_path / "b", **options)
    for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(resumed)):
        np.testing.assert_array_equal(a, b)


def test_scan_reference():
    """Two equal heads have twice the loss of one; the entropy is that of the images, the neighbours
    only have to agree."""
    method = CASES["scan"].method
    rows = neighbors()
    params, extra = method.init(KEY, rows)
    last = jax.tree.map(lambda w: w[..., :4], params["head"]["linear_0"])
    half = params["head"] | {"linear_0": last}
    both = jax.tree.map(lambda w: jnp.concatenate([w, w], axis=-1), last)
    params["head"] = params["head"] | {"linear_0": both}
    one = dataclasses.replace(method, heads=1)
    value, (after, metrics) = method.loss(params, extra, rows, KEY)
    single = {"stats": extra["stats"], "score": jnp.zeros(1)}
    alone, (_, same) = one.loss(params | {"head": half}, single, rows, KEY)
    np.testing.assert_allclose(value, 2 * alone, rtol=1e-5)
    np.testing.assert_allclose(metrics["entropy"], same["entropy"], rtol=1e-5)
    np.testing.assert_allclose(after["score"], 0.01 * alone, rtol=1e-5)
    np.testing.assert_allclose(alone, same["consistency"] - 5 * same["entropy"], rtol=1e-5)


def test_scan_predicts_by_its_best_head():
    method = CASES["scan"].method
    state = method.build(TX, updates=10).init(KEY, neighbors())
    both = method._logits(state, neighbors()).reshape(16, 2, 4)
    for best in range(2):
        score = jnp.array([1.0, 1.0]).at[best].set(-1.0)
        chosen = dataclasses.replace(state, extra=state.extra | {"score": score})
        np.testing.assert_array_equal(method.answer(chosen, neighbors()), both[:, best])


def test_scan_needs_neighbours():
    with pytest.raises(ValueError, match="Neighbors"):
        CASES["scan"].method.init(KEY, images())


def test_selflabel_reference():
    """The strong view alone is random, and only it gets a gradient."""
    method = dataclasses.replace(CASES["self_label"].method, threshold=0.0, balanced=False)
    params, extra = method.init(KEY, images())
    seen = []

    class Spy:
        def __call__(self, key, image):
            seen.append("strong")
            return VIEW(key, image)

        def plain(self, image):
            seen.append("weak")
            return VIEW.plain(image)

    spied = dataclasses.replace(method, view=Spy())
    value, (_, metrics) = spied.loss(params, extra, images(), KEY)
    assert seen == ["weak", "strong"]
    assert float(metrics["sure"]) == 1
    none = dataclasses.replace(method, threshold=0.999)
    value, (_, metrics) = none.loss(params, extra, images(), KEY)
    assert float(value) == float(metrics["sure"]) == 0


def test_started():
    """Pretrained networks replace the random ones at step 0 and never again; others and the
    optimizer start as ever, and `init` still gives the random network."""
    method = SCAN(encoder=NET, classes=4, view=VIEW).build(TX, updates=10)
    plain = jax.jit(method.init)(KEY, neighbors())
    given = jax.tree.map(lambda w: w + 1, plain.params["encoder"])
    stats = jax.tree.map(lambda w: w + 2, plain.extra["stats"]["encoder"])
    begun = from_pretrained(method, {"encoder": given}, {"encoder": stats})
    assert begun.init is method.init
    warm = begun.refresh(plain, None)
    chex.assert_trees_all_equal(warm.params["encoder"], given)
    chex.assert_trees_all_equal(warm.extra["stats"]["encoder"], stats)
    chex.assert_trees_all_equal(warm.params["head"], plain.params["head"])
    chex.assert_trees_all_equal(warm.opt, plain.opt)
    later = dataclasses.replace(plain, step=jnp.asarray(1, jnp.int32))
    assert begun.refresh(later, None) is later
    wrong = jax.tree.map(lambda w: w[..., :2], given)
    with pytest.raises(ValueError, match="'encoder' does not fit"):
        from_pretrained(method, {"encoder": wrong}, {"encoder": stats}).refresh(plain, None)
    with pytest.raises(ValueError, match="'encode' does not fit"):
        from_pretrained(method, {"encode": given}, {}).refresh(plain, None)


def test_scan_finds_classes_from_neighbours():
    """Four kinds of images, neighbours of the same kind: after a few steps heads and kinds agree.
    A sign error in the entropy would put all of them into one class."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, 64)
    colours = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250], [230, 230, 230]])
    image = (colours[kinds][:, None, None] + rng.integers(-20, 6, (64, 8, 8, 3))).clip(0, 255)
    table = np.stack([rng.choice(np.flatnonzero(kinds == k), 5) for k in kinds])
    data = Neighbors(Arrays({"image": image.astype(np.uint8)}), table)
    method = SCAN(encoder=NET, classes=4, view=VIEW)
    built = method.build(optax.adam(3e-2), updates=60)
    state = fit(built, data, steps=60, batch=64, cadence=Cadence(log=0, monitor=0))
    found = np.asarray(method.answer(state, {"image": image.astype(np.uint8)})).argmax(1)
    from ssljax.clustering import accuracy

    assert accuracy(found, kinds) > 0.9
    value = scan(*[method._logits(state, {"image": image.astype(np.uint8)})] * 2, entropy=5.0)[0]
    assert value < -5 * np.log(4) + 1.5
