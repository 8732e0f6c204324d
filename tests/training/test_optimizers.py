"""Optimizers against hand-written updates and torch; masks, schedules and accumulation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssljax.training.optimizers import Optimizer, matrices

PARAMS = {
    "dense": {"kernel": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.array([1.0, -1.0])},
    "norm": {"scale": jnp.array([1.0, 2.0])},
    "heads": {"bias": jnp.ones((2, 3))},
}
GRADS = jax.tree.map(lambda x: 0.1 * x + 0.05, PARAMS)


def run(optimizer, *, steps=3, length=10, params=PARAMS, grads=GRADS):
    tx = optimizer.build(steps=length, batch=256)
    state = tx.init(params)
    for _ in range(steps):
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return params


def test_mask_skips_biases_norms_and_vectors():
    mask = matrices(PARAMS)
    assert mask == {
        "dense": {"kernel": True, "bias": False},
        "norm": {"scale": False},
        "heads": {"bias": False},
    }
    tables = {"prototypes": jnp.ones((2, 3)), "head": {"prototypes": {"kernel": jnp.ones((2, 3))}}}
    assert matrices(tables) == {"prototypes": False, "head": {"prototypes": {"kernel": True}}}


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "lars", "lamb", "muon"])
def test_decay_leaves_biases_and_norms_alone(name):
    """With zero gradients only the kernel moves, and only through weight decay."""
    zero = jax.tree.map(jnp.zeros_like, PARAMS)
    optimizer = Optimizer(name=name, learning_rate=0.1, weight_decay=0.1, schedule="constant")
    after = run(optimizer, grads=zero)
    assert not np.allclose(after["dense"]["kernel"], PARAMS["dense"]["kernel"])
    for part, leaf in (("dense", "bias"), ("norm", "scale"), ("heads", "bias")):
        np.testing.assert_array_equal(after[part][leaf], PARAMS[part][leaf])


def test_lars_by_hand():
    """One parameter, float64: trust ratio on kernels only, momentum after the rate."""
    after = run(
        Optimizer(
            name="lars", learning_rate=0.5, weight_decay=0.01, schedule="constant", momentum=0.9
        )
    )
    w = np.asarray(PARAMS["dense"]["kernel"], np.float64)
    b = np.asarray(PARAMS["dense"]["bias"], np.float64)
    gw, gb = 0.1 * w + 0.05, 0.1 * b + 0.05
    vw, vb = np.zeros_like(w), np.zeros_like(b)
    for _ in range(3):
        d = gw + 0.01 * w
        ratio = 1e-3 * np.linalg.norm(w) / np.linalg.norm(d)
        vw = 0.9 * vw + 0.5 * ratio * d
        vb = 0.9 * vb + 0.5 * gb
        w, b = w - vw, b - vb
    np.testing.assert_allclose(after["dense"]["kernel"], w, rtol=1e-6)
    np.testing.assert_allclose(after["dense"]["bias"], b, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad"])
def test_against_torch(name):
    torch = pytest.importorskip("torch")
    optimizer = Optimizer(name=name, learning_rate=0.01, weight_decay=0.1, schedule="constant")
    kernel = {"kernel": PARAMS["dense"]["kernel"]}
    ours = run(optimizer, params=kernel, grads=jax.tree.map(lambda x: 0.1 * x + 0.05, kernel))
    w = torch.nn.Parameter(torch.tensor(np.asarray(kernel["kernel"]).copy()))
    peer = {
        "sgd": lambda: torch.optim.SGD([w], lr=0.01, momentum=0.9, weight_decay=0.1),
        "adam": lambda: torch.optim.Adam([w], lr=0.01, weight_decay=0.1),
        "adamw": lambda: torch.optim.AdamW([w], lr=0.01, weight_decay=0.1),
        "adagrad": lambda: torch.optim.Adagrad([w], lr=0.01, weight_decay=0.1),
    }[name]()
    grad = 0.1 * w.detach().clone() + 0.05
    for _ in range(3):
        w.grad = grad.clone()
        peer.step()
    np.testing.assert_allclose(ours["kernel"], w.detach().numpy(), rtol=1e-6)


def test_schedule_scales_warms_up_and_ends_at_zero():
    rate = Optimizer(learning_rate=0.2, warmup=10).rate(steps=110, batch=512)
    assert float(rate(0)) == 0
    assert float(rate(5)) == pytest.approx(0.2)
    assert float(rate(10)) == pytest.approx(0.4)
    assert float(rate(60)) == pytest.approx(0.2)
    assert float(rate(110)) == pytest.approx(0.0, abs=1e-7)
    flat = Optimizer(learning_rate=0.2, per_batch=None, schedule="constant")
    assert float(flat.rate(steps=10, batch=512)(7)) == pytest.approx(0.2)


def test_warmup_stable_decay_by_hand():
    """Of 20 updates 4 rise, 11 stay, 5 fall: a loop over updates beside the schedule."""
    made = Optimizer(learning_rate=0.5, per_batch=None, schedule="wsd", warmup=4, cooldown=0.25)
    expected = []
    for k in range(21):
        rise, fall = k / 4, (20 - k) / 5
        expected.append(0.5 * min(rise, 1.0, fall))
    rate = made.rate(steps=20, batch=8)
    np.testing.assert_allclose([float(rate(k)) for k in range(21)], expected, atol=1e-7)
    # Two steps an update: the same line in half as many updates.
    halved = Optimizer(
        learning_rate=0.5, per_batch=None, schedule="wsd", warmup=8, cooldown=10, accumulate=2
    ).rate(steps=40, batch=8)
    np.testing.assert_allclose([float(halved(k)) for k in range(21)], expected, atol=1e-7)
    with pytest.raises(ValueError, match="longer than the run's 20 steps"):
        Optimizer(schedule="wsd", warmup=10, cooldown=11).rate(steps=20, batch=8)


def test_clip_bounds_the_global_norm():
    optimizer = Optimizer(
        name="sgd", learning_rate=1.0, momentum=0.0, clip=0.1, schedule="constant"
    )
    moved = jax.tree.map(lambda a, b: a - b, run(optimizer, steps=1), PARAMS)
    assert float(optax.tree.norm(moved)) == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "lars", "lamb", "muon"])
def test_constant_decay_is_a_cosine_that_ends_where_it_starts(name):
    flat = Optimizer(name=name, learning_rate=0.1, weight_decay=0.1)
    moving = Optimizer(name=name, learning_rate=0.1, weight_decay=0.1, weight_decay_end=0.1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), run(flat), run(moving))


def test_rising_decay_and_clipped_tensors_by_torch():
    """DINO's loop: decay of this iteration on the kernel only, every tensor clipped by itself."""
    torch = pytest.importorskip("torch")
    optimizer = Optimizer(
        name="adamw",
        learning_rate=0.01,
        weight_decay=0.04,
        weight_decay_end=0.4,
        clip_each=0.3,
        schedule="constant",
    )
    params = PARAMS["dense"]
    grads = {"kernel": jnp.array([[1.0, 2.0], [-3.0, 0.5]]), "bias": jnp.array([0.1, 0.05])}
    ours = run(optimizer, steps=4, length=8, params=params, grads=grads)
    w, b = (torch.nn.Parameter(torch.tensor(np.array(params[k]))) for k in ("kernel", "bias"))
    peer = torch.optim.AdamW(
        [{"params": [w]}, {"params": [b], "weight_decay": 0.0}], lr=0.01, eps=1e-8
    )
    for k in range(4):
        peer.param_groups[0]["weight_decay"] = 0.4 - 0.36 * (1 + np.cos(np.pi * k / 8)) / 2
        for p, name in ((w, "kernel"), (b, "bias")):
            g = torch.tensor(np.array(grads[name]))
            factor = 0.3 / (float(g.norm()) + 1e-6)
            p.grad = g * factor if factor < 1 else g
        peer.step()
    np.testing.assert_allclose(ours["kernel"], w.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours["bias"], b.detach().numpy(), rtol=1e-5)


def test_decay_counts_updates_not_steps():
    decay = Optimizer(weight_decay=0.04, weight_decay_end=0.4, accumulate=2).decay(steps=20)
    assert float(decay(0)) == pytest.approx(0.04)
    assert float(decay(5)) == pytest.approx(0.22)
    assert float(decay(10)) == float(decay(99)) == pytest.approx(0.4)


def test_clip_each_leaves_small_tensors_alone():
    """With one global norm the small tensor would shrink beside the large one."""
    optimizer = Optimizer(
        name="sgd", learning_rate=1.0, momentum=0.0, clip_each=3.0, schedule="constant"
    )
    grads = {"large": jnp.array([30.0, 40.0]), "small": jnp.array([0.6, 0.8]), "zero": jnp.zeros(2)}
    params = jax.tree.map(jnp.zeros_like, grads)
    moved = run(optimizer, steps=1, params=params, grads=grads)
    np.testing.assert_allclose(moved["large"], [-1.8, -2.4], rtol=1e-6)
    np.testing.assert_array_equal(moved["small"], -grads["small"])
    np.testing.assert_array_equal(moved["zero"], 0)


def test_accumulation_equals_one_update_with_the_mean_gradient():
    optimizer = Optimizer(
        name="adamw", learning_rate=0.1, accumulate=2, per_batch=None, schedule="constant"
    )
    tx = optimizer.build(steps=10, batch=8)
    state, params = tx.init(PARAMS), PARAMS
    for factor in (0.5, 1.5):
        grads = jax.tree.map(lambda g, f=factor: f * g, GRADS)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    once = run(
        Optimizer(name="adamw", learning_rate=0.1, per_batch=None, schedule="constant"), steps=1
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), params, once)


def test_bad_input():
    with pytest.raises(ValueError, match="warmup 50 must be below"):
        Optimizer(warmup=50).build(steps=50, batch=8)


def test_a_network_at_a_constant_rate():
    """SimSiam's predictor: after the warm-up its rate is the peak, while the others' falls."""
    params = {name: {"kernel": jnp.ones((2, 2))} for name in ("encoder", "predictor")}
    optimizer = Optimizer(
        name="sgd", learning_rate=0.2, per_batch=None, momentum=0.0, constant=("predictor",)
    )
    after = run(optimizer, steps=7, length=10, params=params, grads=params)
    falling = sum(0.1 * (1 + np.cos(np.pi * k / 10)) for k in range(7))
    np.testing.assert_allclose(after["encoder"]["kernel"], 1 - falling, rtol=1e-5)
    np.testing.assert_allclose(after["predictor"]["kernel"], 1 - 7 * 0.2, rtol=1e-5)
    with pytest.raises(ValueError, match="names predicter, but the networks are encoder"):
        run(dataclasses.replace(optimizer, constant=("predicter",)), params=params, grads=params)


@pytest.mark.parametrize("name", ["sgd", "lars", "adamw"])
def test_biases_and_norms_at_a_rate_of_their_own(name):
    """Barlow Twins: as if their learning rate were multiplied, momentum included."""
    slow, fast = (
        run(Optimizer(name=name, learning_rate=rate, schedule="constant", vectors=vectors))
        for rate, vectors in ((0.1, 1.0), (0.4, 0.25))
    )
    kernels = run(Optimizer(name=name, learning_rate=0.4, schedule="constant"))
    np.testing.assert_allclose(fast["dense"]["bias"], slow["dense"]["bias"], rtol=1e-6)
    np.testing.assert_allclose(fast["norm"]["scale"], slow["norm"]["scale"], rtol=1e-6)
    np.testing.assert_array_equal(fast["dense"]["kernel"], kernels["dense"]["kernel"])


def test_a_warmup_may_be_a_share_of_the_run():
    """Then a shorter run warms up shorter, and no other flag has to follow."""
    share, steps = Optimizer(warmup=0.1, per_batch=None), Optimizer(warmup=5, per_batch=None)
    for k in (0, 3, 5, 40):
        rates = [o.rate(steps=50, batch=8)(k) for o in (share, steps)]
        np.testing.assert_array_equal(*rates)
    with pytest.raises(ValueError, match="is no number of steps"):
        Optimizer(warmup=1.5).rate(steps=50, batch=8)
