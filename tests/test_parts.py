"""Parts that are left alone, against torch optimizers whose tensor has no gradient."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssljax.parts import late, locked
from ssljax.training.optimizers import Optimizer


@pytest.fixture(autouse=True)
def float64():
    """Adam's corrections in float32 are 1e-6 apart from those that torch computes in Python."""
    with jax.enable_x64(True):
        yield


STEPS, FREEZE, PART = 8, 3, "head/prototypes"
RNG = np.random.default_rng(0)


def tree():
    """Two networks; the prototypes are a part of the second."""
    make = lambda: RNG.normal(size=(3, 4))  # noqa: E731
    return {
        "encoder": {"kernel": make()},
        "head": {"linear": make(), "prototypes": {"kernel": make()}},
    }


def held_back(grads, frozen):
    """The gradients as `nets.freeze` makes them."""
    head = grads["head"]
    kernel = head["prototypes"]["kernel"] * (not frozen)
    return grads | {"head": head | {"prototypes": {"kernel": kernel}}}


PARAMS, GRADS = tree(), [tree() for _ in range(STEPS)]
OPTIMIZERS = {
    "adamw": Optimizer(
        name="adamw", learning_rate=0.1, warmup=2, weight_decay=0.1, weight_decay_end=0.4
    ),
    "sgd": Optimizer(name="sgd", learning_rate=0.1, weight_decay=0.1),
}


def torch_run(optimizer, absent):
    """Parameters after each step, where the prototypes have no gradient while `absent(k)`."""
    torch = pytest.importorskip("torch")
    leaves = [torch.nn.Parameter(torch.from_numpy(w.copy())) for w in jax.tree.leaves(PARAMS)]
    peer = (
        torch.optim.AdamW(leaves)
        if optimizer.name == "adamw"
        else torch.optim.SGD(leaves, lr=0.1, momentum=0.9)
    )
    rate, decay = optimizer.rate(steps=STEPS, batch=256), optimizer.decay(steps=STEPS)
    for k, grads in enumerate(GRADS):
        for group in peer.param_groups:
            group["lr"] = float(rate(k))
            group["weight_decay"] = float(decay(k)) if callable(decay) else decay
        for w, g in zip(leaves, jax.tree.leaves(grads), strict=True):
            w.grad = torch.from_numpy(g)
        if absent(k):
            leaves[2].grad = None  # as the authors of DINO and SwAV do it
        peer.step()
        yield [w.detach().numpy().copy() for w in leaves]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_begins_late_equals_torch_without_a_gradient(name):
    tx = late(OPTIMIZERS[name].build(steps=STEPS, batch=256), PART)
    update, params, opt = jax.jit(tx.update), PARAMS, tx.init(PARAMS)
    for k, expected in enumerate(torch_run(OPTIMIZERS[name], lambda k: k < FREEZE)):
        frozen = k < FREEZE
        updates, opt = update(held_back(GRADS[k], frozen), opt, params)
        params = optax.apply_updates(params, updates)
        for w, e in zip(jax.tree.leaves(params), expected, strict=True):
            np.testing.assert_allclose(w, e, rtol=1e-6, atol=1e-6)
        if frozen:
            np.testing.assert_array_equal(params["head"]["prototypes"]["kernel"], expected[2])


def test_a_zero_gradient_later_on_is_one():
    """Only the start is special: afterwards averages decay, as with every other tensor."""
    tx = optax.adam(0.1)
    slow, (params, opt) = late(tx, PART), (PARAMS, late(tx, PART).init(PARAMS))
    plain = tx.init(PARAMS)
    for grads in (GRADS[0], jax.tree.map(jnp.zeros_like, GRADS[0])):
        updates, opt = slow.update(grads, opt, params)
        expected, plain = tx.update(grads, plain, params)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9), updates, expected)
        assert np.all(updates["head"]["prototypes"]["kernel"] != 0)


def test_late_under_accumulation():
    """Two steps an update: the schedules of what waits go on with the updates."""

    def run(k):
        optimizer = Optimizer(name="adamw", learning_rate=0.1, accumulate=k)
        tx = late(optimizer.build(steps=4 * k, batch=256 // k), PART)
        params, opt = PARAMS, tx.init(PARAMS)
        for i in range(4):
            frozen = i < 2
            for _ in range(k):
                updates, opt = tx.update(held_back(GRADS[i], frozen), opt, params)
                params = optax.apply_updates(params, updates)
        return params

    once, twice = run(1), run(2)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), once, twice)


def test_locked():
    tx = locked(optax.adamw(0.1, weight_decay=0.5), "head/prototypes", "encoder")
    opt = tx.init(PARAMS)
    assert sum(a.size for a in jax.tree.leaves(opt) if a.ndim) == 2 * PARAMS["head"]["linear"].size
    updates, _ = tx.update(GRADS[0], opt, PARAMS)
    assert not np.any(updates["head"]["prototypes"]["kernel"]) and not np.any(
        updates["encoder"]["kernel"]
    )
    assert np.all(updates["head"]["linear"] != 0)
    assert locked(tx) is tx  # nothing is locked
