"""What each self-distillation paper says, against NumPy on the logits of the same networks."""

import functools
import re
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_distill import CASES
from laws import images

from ssljax import nets
from ssljax.losses.koleo import koleo
from ssljax.losses.prototypes import swav
from ssljax.methods import DINO
from ssljax.views import block_masks, random_keep, spread_counts, view_batch

KEY = jax.random.key(3)
BATCH = images(8)
RATE = 0.1


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


class Run(NamedTuple):
    method: Any  # the dataclass
    built: Any
    state: Any
    step: Any


@functools.cache
def run(name, **fields) -> Run:
    method = replace(CASES[name].method, **fields)
    with jax.default_matmul_precision("highest"):
        built = method.build(optax.sgd(RATE), updates=10)
        return Run(method, built, jax.jit(built.init)(KEY, BATCH), jax.jit(built.step))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def assign(q):
    """Sinkhorn of positive q [B, K]."""
    q = q.T
    for _ in range(3):
        q = q / q.sum(1, keepdims=True) / q.shape[0]
        q = q / q.sum(0, keepdims=True) / q.shape[1]
    return (q * q.shape[1]).T


def distance(student, targets):
    """-sum targets log softmax(student / 0.1), in float64."""
    return -(targets * np.log(softmax(np.float64(student) / 0.1))).sum(-1)


def pairs(student, targets):
    """The mean over pairs of different crops, [B, V, K] and [B, 2, K]."""
    return np.mean(
        [
            distance(student[:, v], targets[:, t]).mean()
            for t in range(2)
            for v in range(student.shape[1])
            if v != t
        ]
    )


def crop_outputs(method, params, stats, key, *, local=True):
    crops = view_batch(method.crops, key, BATCH["image"])
    crops = crops if local else crops[:1]
    y, _ = nets.apply_crops(method.chain, params, stats, crops, train=True)
    return np.float64(y)


def with_update(state, k):
    return replace(state, extra=state.extra | {"update": jnp.int32(k)})


def same(a, b, **options):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **options), a, b)


def test_dino_reference():
    """Step 1 uses c = 0 and leaves 0.1 mean(t) of raw logits; step 2 uses that."""
    method, _, state, step = run("dino", teacher_temperature=0.06)
    assert (method.warmup, method.warmup_temperature) == (4, 0.04)
    centre = np.zeros(6)
    for temperature in (0.04, 0.045):  # two points of the line from 0.04 to 0.06
        student = crop_outputs(method, state.params, state.extra["stats"], KEY)
        target = state.extra["target"]
        teacher = crop_outputs(method, target["params"], target["stats"], KEY, local=False)
        state, metrics = step(state, BATCH, KEY)
        targets = softmax((teacher - centre) / temperature)
        np.testing.assert_allclose(metrics["loss"], pairs(student, targets), rtol=1e-4)
        entropy = -(targets * np.log(targets + 1e-30)).sum(-1).mean()
        np.testing.assert_allclose(metrics["teacher_entropy"], entropy, rtol=1e-3, atol=1e-6)
        centre = 0.9 * centre + 0.1 * teacher.mean((0, 1))
        np.testing.assert_allclose(state.extra["centre"], centre, rtol=1e-4, atol=1e-7)
    # without the centre the second loss would have been another
    assert abs(pairs(student, softmax(teacher / temperature)) - metrics["loss"]) > 1e-2


def test_dino_teacher_is_a_slow_copy_that_is_evaluated():
    method, built, state, step = run("dino")
    same(state.extra["target"]["params"], state.params, rtol=0)
    after, _ = step(state, BATCH, KEY)
    expected = jax.tree.map(lambda t, s: 0.996 * t + 0.004 * s, state.params, after.params)
    same(after.extra["target"]["params"], expected, rtol=1e-5, atol=1e-7)
    # half way through the run: m = 0.998
    middle = method.after(after.params, state.extra, jnp.int32(5), updates=10)
    expected = jax.tree.map(lambda t, s: 0.998 * t + 0.002 * s, state.params, after.params)
    same(middle["target"]["params"], expected, rtol=1e-5, atol=1e-7)
    # statistics are those of the teacher's own batches: the global crops only
    mean = after.extra["target"]["stats"]["encoder"]["bn1"]["mean"]
    assert not np.allclose(mean, after.extra["stats"]["encoder"]["bn1"]["mean"], rtol=1e-3)
    zero = replace(after, params=jax.tree.map(jnp.zeros_like, after.params))
    np.testing.assert_array_equal(built.embed(zero, BATCH), built.embed(after, BATCH))
    assert built.backbone(after)[0] is after.extra["target"]["params"]["encoder"]


@pytest.mark.parametrize("name", ["dino", "ibot", "dinov2", "swav"])
def test_prototypes_rest_at_first(name):
    """Without decay and moments: their first update is that of a fresh Adam, a rate long."""
    method = replace(CASES[name].method, freeze=2)
    built = method.build(optax.adamw(1e-3, b1=0.9, b2=0.999, weight_decay=0.1), updates=10)
    state, step = jax.jit(built.init)(KEY, BATCH), jax.jit(built.step)

    def prototypes(state):
        return (state.params | state.params.get("head", {}))["prototypes"]["kernel"]

    start = prototypes(state)
    for k in (1, 2):
        state, _ = step(state, BATCH, KEY)
        np.testing.assert_array_equal(prototypes(state), start)
        assert int(state.extra["update"]) == k  # `after` counts updates of the optimizer
    encoder = jax.tree.leaves(state.params["encoder"])[0]
    after, _ = step(state, BATCH, KEY)
    assert not np.array_equal(encoder, jax.tree.leaves(after.params["encoder"])[0])
    moved = prototypes(after) - start * (1 - 1e-3 * 0.1)
    np.testing.assert_allclose(np.median(np.abs(moved)), 1e-3, rtol=2e-3)


def test_lengths_may_be_shares_of_the_run():
    """A freeze of 0.2 in a run of 10 updates is one of 2: the programs are the same."""

    def program(freeze, updates):
        built = replace(CASES["dino"].method, freeze=freeze).build(optax.sgd(0.1), updates=updates)
        state = jax.eval_shape(built.init, KEY, BATCH)
        return re.sub("0x[0-9a-f]+", "", str(jax.make_jaxpr(built.step)(state, BATCH, KEY)))

    assert program(0.2, 10) == program(2, 10) != program(0.3, 10)


def test_dino_by_sinkhorn_assigns_both_crops_together():
    method, _, state, step = run("dino_sinkhorn")
    student = crop_outputs(method, state.params, state.extra["stats"], KEY)
    target = state.extra["target"]
    teacher = crop_outputs(method, target["params"], target["stats"], KEY, local=False)
    targets = assign(np.exp(teacher.reshape(-1, 6) / 0.04)).reshape(teacher.shape)
    _, metrics = step(state, BATCH, KEY)
    np.testing.assert_allclose(metrics["loss"], pairs(student, targets), rtol=1e-4)


def test_swav_starts_each_step_from_unit_prototypes():
    """w <- n(w) - rate * gradient at n(w): no gradient through the normalisation, no scale kept."""
    method, _, state, step = run("swav")
    unit = state.params["prototypes"]["kernel"]
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    long = replace(state, params=state.params | {"prototypes": {"kernel": 3 * unit}})
    after, _ = step(state, BATCH, KEY)
    same(step(long, BATCH, KEY)[0].params, after.params, rtol=1e-3, atol=1e-5)

    z = crop_outputs(method, state.params, state.extra["stats"], KEY)
    z = jnp.float32(z / np.linalg.norm(z, axis=-1, keepdims=True))
    options = {"epsilon": 0.05, "temperature": 0.1}
    grad = jax.grad(lambda w: swav(jnp.einsum("bvd,kd->bvk", z, w), **options))(unit)
    expected = unit - RATE * grad
    np.testing.assert_allclose(after.params["prototypes"]["kernel"], expected, atol=1e-5)


def swav_loss(scores, queued):
    """scores [B, V, K]: each large crop is assigned among its queue, and all others predict it."""
    total = []
    for v in (0, 1):
        rows = scores[:, v] if queued is None else np.concatenate([scores[:, v], queued[v]])
        targets = assign(np.exp(rows / 0.05))[: len(scores)]
        for u in range(scores.shape[1]):
            if u != v:
                total.append(-np.mean(np.sum(targets * np.log(softmax(scores[:, u] / 0.1)), -1)))
    return np.mean(total)


def test_swav_reference():
    """It holds embeddings, newest first; fills late; counts when full; is scored anew."""
    method, _, state, step = run("swav_queue", queue=16)
    assert method.queue_start == 1
    embeddings = []
    for i in range(5):
        key = jax.random.key(i)
        z = crop_outputs(method, state.params, state.extra["stats"], key)
        z = np.float32(z / np.linalg.norm(z, axis=-1, keepdims=True))
        w = nets.unit_rows(state.params["prototypes"]["kernel"])
        w, queue = np.asarray(w, np.float64), np.asarray(state.extra["queue"], np.float64)
        full = i >= 3  # two pushes of 8, from update 1 on
        value = swav_loss(z @ w.T, queue @ w.T if full else None)
        state, metrics = step(state, BATCH, key)
        np.testing.assert_allclose(metrics["loss"], value, rtol=1e-5)
        if i >= 1:
            embeddings.insert(0, z.swapaxes(0, 1))
        expected = np.concatenate([*embeddings, np.zeros((2, 16, 6))], axis=1)[:, :16]
        np.testing.assert_allclose(state.extra["queue"], expected, atol=1e-5)


def tokens(method, params, x, **masks):
    return nets.apply(
        method.encoder, params["encoder"], {}, x, train=True, method="tokens", **masks
    )[0]


def head(method, params, x):
    return np.float64(nets.apply(method.head, params["head"], {}, x, train=True)[0])


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("name", ["ibot", "dinov2"])
def test_whole_images_are_dino_where_nothing_is_hidden(name, pool):
    targets = {"ibot": "centre", "dinov2": "sinkhorn"}[name]
    encoder = CASES[name].method.encoder.clone(pool=pool)
    method, _, state, step = run(name, masked=0.0, encoder=encoder)
    _, metrics = step(state, BATCH, KEY)
    dino = DINO(encoder=method.encoder, head=method.head, crops=method.crops, targets=targets)
    extra = state.extra | {"centre": jnp.zeros(6)}
    key = jax.random.split(KEY, {"ibot": 4, "dinov2": 3}[name])[0]
    value, _ = jax.jit(dino.loss)(state.params, extra, BATCH, key)
    np.testing.assert_allclose(metrics["cls"], value, rtol=1e-5)
    assert float(metrics["patch"]) == 0


def test_ibot_reference():
    """Masked student against unmasked teacher of the same crop; a centre of all its patches."""
    method, _, state, step = run("ibot")
    centre = jnp.linspace(-1, 1, 6)
    state = replace(state, extra=state.extra | {"patch_centre": centre})
    key_views, key_masked, key_ratio, key_blocks = jax.random.split(KEY, 4)
    wide, _ = view_batch(method.crops, key_views, BATCH["image"])
    x = wide.reshape(-1, 8, 8, 3)
    ratio = jax.random.uniform(key_ratio, (16,), minval=0.1, maxval=0.5)
    counts = ratio * jax.random.bernoulli(key_masked, 0.5, (16,)) * 16
    mask = block_masks(key_blocks, counts, grid=(4, 4), smallest=2)
    assert 0 < mask.sum() < 16 * 8
    student = head(method, state.params, tokens(method, state.params, x, mask=mask))[:, 1:]
    target = state.extra["target"]["params"]
    teacher = head(method, target, tokens(method, target, x))[:, 1:]
    after, metrics = step(state, BATCH, KEY)
    entropy = distance(student, softmax((teacher - np.float64(centre)) / 0.04))
    per_image = [
        np.mean(e[m]) if m.any() else 0 for e, m in zip(entropy, np.array(mask), strict=True)
    ]
    np.testing.assert_allclose(metrics["patch"], np.mean(per_image), rtol=1e-4)
    np.testing.assert_allclose(metrics["loss"], metrics["cls"] + metrics["patch"], rtol=1e-6)
    moved = 0.9 * np.float64(centre) + 0.1 * teacher.mean((0, 1))
    np.testing.assert_allclose(after.extra["patch_centre"], moved, rtol=1e-4, atol=1e-6)


def test_dinov2_reference():
    method, _, state, step = run("dinov2")
    key_views, key_counts, key_blocks = jax.random.split(KEY, 3)
    wide, _ = view_batch(method.crops, key_views, BATCH["image"])
    x = wide.reshape(-1, 8, 8, 3)
    counts = spread_counts(key_counts, 16, patches=16, share=0.5, ratio=(0.1, 0.5))
    mask = np.array(block_masks(key_blocks, counts, grid=(4, 4), smallest=method.smallest))
    seen = tokens(method, state.params, x, mask=jnp.asarray(mask))
    student = head(method, state.params, seen)[:, 1:]
    teacher = head(method, state.params, tokens(method, state.params, x))[:, 1:]
    # one assignment for the hidden patches of the whole batch, none for the others
    targets = np.zeros_like(teacher)
    targets[mask] = assign(np.exp(teacher[mask] / 0.04))
    entropy = distance(student, targets)
    per_image = [np.mean(e[m]) if m.any() else 0 for e, m in zip(entropy, mask, strict=True)]
    after, metrics = step(state, BATCH, KEY)
    np.testing.assert_allclose(metrics["patch"], np.mean(per_image), rtol=1e-4)
    spread = sum(koleo(seen[crop::2, 0]) for crop in range(2))
    np.testing.assert_allclose(metrics["koleo"], spread, rtol=1e-3)
    total = metrics["cls"] + metrics["patch"] + 0.1 * metrics["koleo"]
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-5)
    expected = jax.tree.map(lambda t, s: 0.992 * t + 0.008 * s, state.params, after.params)
    same(after.extra["target"]["params"], expected, rtol=1e-5, atol=1e-7)


def test_msn_reference():
    """Anchors: the second large crop without some patches, and small ones. Target: the first."""
    method, _, state, step = run("msn", drop=0.5)
    key_views, key_keep = jax.random.split(KEY)
    wide, small = view_batch(method.crops, key_views, BATCH["image"])
    keep = random_keep(key_keep, 8, patches=16, keep=8)
    params, stats = state.params, state.extra["stats"]["projector"]

    def project(y):
        z, _ = nets.apply(method.projector, params["projector"], stats, y, train=True)
        return np.float64(z)

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    large = project(tokens(method, params, wide[:, 1], keep=keep)[:, 0])
    local = tokens(method, params, small.reshape(-1, 4, 4, 3))[:, 0].reshape(8, 2, -1)
    anchors = np.concatenate([large[:, None], project(local)], axis=1)
    target = project(tokens(method, params, wide[:, 0])[:, 0])
    w = unit(np.float64(params["prototypes"]))
    p, q = softmax(unit(anchors) @ w.T / 0.1), softmax(unit(target) @ w.T / 0.1) ** 4
    q = assign(q / q.sum(-1, keepdims=True))
    mean = p.mean((0, 1))
    spread = np.log(5) + (mean * np.log(mean)).sum()
    after, metrics = step(state, BATCH, KEY)
    expected = -(q[:, None] * np.log(p)).sum(-1).mean() + spread
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-3)
    np.testing.assert_allclose(metrics["regulariser"], spread, rtol=1e-3)
    # a straight line over a quarter more than the run; prototypes have no average
    moved = method.after(after.params, state.extra, jnp.int32(6), updates=10)["target"]["params"]
    assert set(moved) == {"encoder", "projector"}
    m = 0.996 + 0.004 * 6 / 12
    ours = jax.tree.map(
        lambda t, s: m * t + (1 - m) * s,
        {k: state.params[k] for k in moved},
        {k: after.params[k] for k in moved},
    )
    same(moved, ours, rtol=1e-5, atol=1e-6)  # 1 - m has float32's rounding of m


def test_lejepa_reference():
    """Both terms on the projections of all crops; every crop moves the loss, none is stopped."""
    method, _, state, step = run("lejepa")
    key_views, _ = jax.random.split(KEY)
    z = crop_outputs(method, state.params, state.extra["stats"], key_views)
    _, metrics = step(state, BATCH, KEY)
    invariance = np.mean((z - z[:, :2].mean(1, keepdims=True)) ** 2)
    np.testing.assert_allclose(metrics["invariance"], invariance, rtol=1e-4)
    total = 0.95 * metrics["invariance"] + 0.05 * metrics["sigreg"]
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-6)
    # Collapsed embeddings have no invariance to gain and SIGReg to pay.
    flat = jax.tree.map(jnp.zeros_like, state.params["projector"])
    dead = replace(state, params=state.params | {"projector": flat})
    _, metrics = step(dead, BATCH, KEY)
    np.testing.assert_allclose(metrics["loss"], 0.05 * 0.402 * 8, rtol=1e-3)


def test_unknown_targets_are_refused():
    with pytest.raises(ValueError, match="'centre' or 'sinkhorn'"):
        replace(CASES["dino"].method, targets="softmax").init(KEY, BATCH)
