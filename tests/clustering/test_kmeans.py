"""k-means against scikit-learn, its start, empty clusters, and the form on the sphere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from ssljax.clustering import assign, kmeans, plus_plus
from ssljax.clustering.kmeans import _multiply, _scatter

KEY = jax.random.key(0)


def blobs(n=600, d=5, k=6, *, spread=0.7, away=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(k, d))[rng.integers(0, k, n)] + spread * rng.normal(size=(n, d))
    return (x + away).astype(np.float32)


@pytest.mark.parametrize("away", [0.0, 1000.0])
@pytest.mark.parametrize("block", [None, 37, 600])
def test_the_same_start_ends_as_in_scikit_learn(block, away):
    x = blobs(away=away)
    start = x[:6]
    peer = KMeans(6, init=start, n_init=1, tol=0, algorithm="lloyd").fit(x.astype(np.float64))
    ours = kmeans(x, 6, key=KEY, start=start, tol=0, block=block)
    np.testing.assert_allclose(ours.inertia, peer.inertia_, rtol=1e-5)
    np.testing.assert_array_equal(ours.assignments, peer.labels_)
    np.testing.assert_allclose(ours.centroids, peer.cluster_centers_, rtol=1e-4, atol=1e-4)
    assert int(ours.iterations) == peer.n_iter_


def test_few_iterations_are_those_of_scikit_learn():
    """Before convergence too, so that not only the end agrees."""
    x = blobs()
    for steps in (1, 2, 3):
        peer = KMeans(6, init=x[:6], n_init=1, tol=0, max_iter=steps).fit(x.astype(np.float64))
        ours = kmeans(x, 6, key=KEY, start=x[:6], tol=0, iterations=steps)
        np.testing.assert_allclose(ours.inertia, peer.inertia_, rtol=1e-5)


def test_tolerance_stops_as_in_scikit_learn():
    x = blobs(n=2000)
    peer = KMeans(6, init=x[:6], n_init=1, tol=1e-2).fit(x.astype(np.float64))
    ours = kmeans(x, 6, key=KEY, start=x[:6], tol=1e-2)
    strict = kmeans(x, 6, key=KEY, start=x[:6], tol=0)
    assert int(ours.iterations) == peer.n_iter_ < int(strict.iterations)


def test_an_empty_cluster_takes_the_farthest_row():
    """Centroids 2 and 3 start where no row is; scikit-learn does the same with them."""
    x = blobs(n=200, d=3, k=4)
    start = np.concatenate([x[:2], np.full((2, 3), 50, np.float32) + np.eye(3)[:2]])
    peer = KMeans(4, init=start, n_init=1, tol=0).fit(x.astype(np.float64))
    ours = kmeans(x, 4, key=KEY, start=start, tol=0, block=64)
    assert np.bincount(ours.assignments, minlength=4).min() > 0
    np.testing.assert_allclose(ours.inertia, peer.inertia_, rtol=1e-5)
    # one step by hand: the farthest row becomes the centroid of the first empty cluster
    start = np.array([[0.0, 0], [90, 90]], np.float32)
    rows = np.array([[0, 0], [1, 0], [0, 1], [8, 0]], np.float32)
    one = kmeans(rows, 2, key=KEY, start=start, iterations=1)
    np.testing.assert_allclose(one.centroids, [[1 / 3, 1 / 3], [8, 0]], atol=1e-6)


def test_fewer_different_rows_than_clusters():
    rows = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    found = kmeans(rows, 5, key=KEY)
    assert np.isfinite(found.centroids).all()
    np.testing.assert_allclose(found.inertia, 0, atol=1e-10)


def test_inertia_is_that_of_its_assignments():
    x = blobs(away=100.0)
    found = kmeans(x, 4, key=KEY)
    exact = np.sum((x.astype(np.float64) - np.asarray(found.centroids)[found.assignments]) ** 2)
    np.testing.assert_allclose(found.inertia, exact, rtol=1e-5)
    np.testing.assert_array_equal(assign(x - 100, found.centroids - 100), found.assignments)


def test_a_key_decides_and_more_tries_are_no_worse():
    x = blobs(n=300, k=12, spread=0.3)
    one, same = (kmeans(x, 12, key=KEY, start="random") for _ in range(2))
    for a, b in zip(one, same):
        np.testing.assert_array_equal(a, b)
    other = kmeans(x, 12, key=jax.random.key(1), start="random")
    assert not np.array_equal(one.centroids, other.centroids)
    inertias = [
        float(kmeans(x, 12, key=k, start="random").inertia) for k in jax.random.split(KEY, 4)
    ]
    best = kmeans(x, 12, key=KEY, start="random", tries=4)
    np.testing.assert_allclose(best.inertia, min(inertias), rtol=1e-6)
    assert max(inertias) > 1.01 * min(inertias)


def test_plus_plus_finds_far_groups():
    """Twelve tight groups: k-means++ starts once in each of them, random rows do not."""
    rng = np.random.default_rng(0)
    centres = 100 * rng.normal(size=(12, 4))
    x = (np.repeat(centres, [5] * 6 + [200] * 6, axis=0)).astype(np.float32)
    x += 0.01 * rng.normal(size=x.shape).astype(np.float32)
    group = np.repeat(np.arange(12), [5] * 6 + [200] * 6)
    for seed in range(5):
        chosen = plus_plus(jax.random.key(seed), jnp.asarray(x), clusters=12)
        assert sorted(group[np.asarray(chosen)]) == list(range(12))
    random = jax.random.choice(KEY, len(x), (12,), replace=False)
    assert len(set(group[np.asarray(random)])) < 12


def test_plus_plus_is_as_good_as_that_of_scikit_learn():
    x = blobs(n=800, d=8, k=30, spread=0.2)
    peers = [
        KMeans(30, n_init=1, max_iter=1, random_state=seed).fit(x).inertia_ for seed in range(8)
    ]
    ours = [
        float(kmeans(x, 30, key=jax.random.key(seed), iterations=1).inertia) for seed in range(8)
    ]
    random = [
        float(kmeans(x, 30, key=jax.random.key(seed), iterations=1, start="random").inertia)
        for seed in range(8)
    ]
    assert np.mean(ours) < 1.1 * np.mean(peers)
    assert np.mean(ours) < 0.8 * np.mean(random)


def test_on_the_sphere():
    """Against a loop in float64; the length of a row does not matter."""
    x = blobs(n=200, d=4, k=3) * np.linspace(0.1, 10, 200, dtype=np.float32)[:, None]
    found = kmeans(x, 3, key=KEY, start=x[:3], spherical=True, iterations=8, tol=0, block=32)
    unit = x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True)
    centroids = unit[:3]
    for _ in range(8):
        best = np.argmax(unit @ centroids.T, axis=1)
        sums = np.stack([unit[best == k].sum(0) for k in range(3)])
        centroids = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    np.testing.assert_allclose(found.centroids, centroids, atol=1e-5)
    np.testing.assert_array_equal(found.assignments, np.argmax(unit @ centroids.T, axis=1))
    np.testing.assert_array_equal(
        assign(x, found.centroids, spherical=True, block=64), found.assignments
    )
    plain = kmeans(x, 3, key=KEY, start=x[:3], iterations=8, tol=0)
    assert not np.array_equal(plain.assignments, found.assignments)


def test_both_ways_to_sum_agree():
    """What runs on an accelerator equals what runs on a CPU, rows that are padding left out."""
    x = jnp.asarray(blobs(n=50))
    best = jnp.arange(50, dtype=jnp.int32) % 7
    real = jnp.arange(50) < 45
    for a, b in zip(_multiply(9, x, best, real), _scatter(9, x, best, real)):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(
        _scatter(9, x, best, real)[1], np.bincount(best[:45], minlength=9)
    )


def test_memory_does_not_grow_with_rows_times_clusters():
    """The compiled program for 50,000 x 512 rows and 1000 clusters holds no [N, K] (200 MB)."""
    x = jax.ShapeDtypeStruct((50_000, 512), jnp.float32)
    start = jax.ShapeDtypeStruct((1000, 512), jnp.float32)
    run = jax.jit(lambda x, start: kmeans(x, 1000, key=KEY, start=start, block=1024))
    memory = run.lower(x, start).compile().memory_analysis()
    rows = 50_000 * 512 * 4
    assert memory.temp_size_in_bytes < 3.2 * rows  # the rows centred, in blocks, and squared


@pytest.mark.parametrize(
    ("clusters", "options", "message"),
    [
        (7, {}, "7 clusters"),
        (0, {}, "0 clusters"),
        (2, {"start": "kmeans"}, "no start"),
        (2, {"start": np.zeros((3, 2))}, "give"),
        (2, {"start": np.zeros((2, 2)), "tries": 2}, "one try"),
        (2, {"tries": 0}, "at least 1"),
    ],
)
def test_bad_input(clusters, options, message):
    with pytest.raises(ValueError, match=message):
        kmeans(np.zeros((6, 2)), clusters, key=KEY, **options)
