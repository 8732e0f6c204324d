"""The laws that hold for every method: one test, parametrised over all of them."""

import functools
import json
import shutil
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from laws import NOT_NOW, all_cases, has_its_turn

from ssljax import methods
from ssljax.data import Arrays
from ssljax.method import Recipe
from ssljax.probes import with_online_probe
from ssljax.training.checkpoint import Checkpoints
from ssljax.training.sharding import Parallel, batch_sharding, to_global
from ssljax.training.train import Cadence, fit

CASES = all_cases()
KEY = jax.random.key(0)
TX = optax.sgd(0.05, momentum=0.9)


# One of each structure that methods have: two views, targets, multi-crop with centring, refresh,
# masks, two optimizers, tokens, few labels and a pool, two towers, quantized sound. These keep
# every cheap law on every commit; the expensive ones (devices, accumulation, resuming a whole run)
# are those of one of each kind of step.
CORE = ("simclr", "byol", "dinov2", "deepcluster", "mae", "gan", "bert", "fixmatch", "clip")
CORE += ("wav2vec2",)
KINDS = ("simclr", "deepcluster", "gan")
# A second case of one class differs in options: its laws are among the slow tests.
FIRST = {type(case.method): name for name, case in reversed(CASES.items())}
OPTION = [name for name, case in CASES.items() if name != FIRST[type(case.method)]]


def _law(name, *, core=(), turns=False):
    """A method as a parameter. One worker takes all laws of a method, so that they share what was
    compiled. Outside of `core` methods come by turns; second cases of a class are slow, and with
    `turns` all outside of CORE are.
    """
    marks = [pytest.mark.xdist_group(name)]
    if name not in core:
        if (turns and name not in CORE) or name in OPTION:
            marks.append(pytest.mark.slow)
        if not has_its_turn(name):
            marks.append(NOT_NOW)
    return pytest.param(name, marks=marks)


def _each(**options):
    return pytest.mark.parametrize("name", [_law(name, **options) for name in CASES])


each_method = _each(core=CORE)
kinds_of_methods = _each(core=KINDS, turns=True)
# Without jit each operation is compiled by itself: the slowest of all.
one_method = _each(core=("simclr",), turns=True)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def build(name, tx=TX):
    return CASES[name].method.build(tx, updates=10)


class First(NamedTuple):
    """A method with its first state and its first step."""

    method: Any
    batch: Any
    state: Any
    step: Any
    after: Any
    metrics: Any


@functools.cache
def first(name):
    method, batch = build(name), CASES[name].batch(16)
    step = jax.jit(method.step)
    state = jax.jit(method.init)(KEY, batch)
    if method.refresh is not None:
        state = method.refresh(state, data_of(name, batch))
    return First(method, batch, state, step, *step(state, batch, KEY))


def data_of(name, rows):
    if CASES[name].data is not None:
        return CASES[name].data(rows)
    return Arrays({k: v for k, v in rows.items() if k != "index"})


def assert_equal(a, b):
    chex.assert_trees_all_equal(jax.device_get(a), jax.device_get(b))


def assert_close(a, b, *, rtol, atol):
    """Equal to float32's rounding: atol counts in units of the largest number of a leaf (where that
    is above 1), since sums of large gradients that nearly cancel are no more exact than those.
    """
    a, b = jax.device_get((a, b))
    chex.assert_trees_all_equal_shapes_and_dtypes(a, b)

    def close(path, x, y):
        x, y = (np.asarray(v, np.float64) for v in (x, y))
        scale = max(1.0, float(np.abs(y).max(initial=0.0)))
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol * scale, err_msg=name)

    jax.tree_util.tree_map_with_path(close, a, b)


def test_every_method_has_a_case():
    """Each exported method is under the laws."""
    assert {type(case.method).__name__ for case in CASES.values()} == set(methods.__all__)


@each_method
def test_step(name):
    _, batch, state, step, after, metrics = first(name)
    assert int(state.step) == 0
    assert int(after.step) == 1
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert "encoder" in after.params
    assert metrics.keys() >= {"loss"}
    for key, value in metrics.items():
        assert value.shape == (), key
        assert np.isfinite(value), key
    # the same seed gives the same numbers, another key others where anything is drawn
    assert_equal(step(state, batch, KEY), (after, metrics))
    other, _ = step(state, batch, jax.random.key(1))
    same = np.array_equal(jax.tree.leaves(other.params)[0], jax.tree.leaves(after.params)[0])
    assert same is not CASES[name].draws
    # every parameter tree moves, some of it
    moved = {
        k: any(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), state.params[k], v)))
        for k, v in after.params.items()
    }
    assert all(moved.values()), moved


@one_method
def test_jit_equals_no_jit(name):
    method, batch, state, _, after, metrics = first(name)
    with jax.disable_jit():
        slow, slow_metrics = method.step(state, batch, KEY)
    assert_close(metrics, slow_metrics, rtol=1e-4, atol=1e-5)
    assert_close(after.params, slow.params, rtol=1e-4, atol=1e-5)


@kinds_of_methods
def test_eight_devices_equal_one(name):
    check_devices(name, Parallel())


@kinds_of_methods
def test_eight_devices_with_split_parameters_equal_one(name):
    check_devices(name, Parallel(fsdp=True, model=2))


def check_devices(name, parallel):
    _, batch, state, step, after, metrics = first(name)
    mesh = parallel.mesh()
    assert mesh.size == 8
    shardings = parallel.place(state, mesh)
    many, many_metrics = step(
        jax.device_put(state, shardings), to_global(batch, batch_sharding(mesh)), KEY
    )
    norms = [dict(many_metrics), dict(metrics)]
    summed = [one.pop("grad_norm", 0.0) for one in norms]  # over all parameters
    assert_close(*norms, rtol=1e-5, atol=1e-6)
    assert_close(*summed, rtol=5e-5, atol=1e-6)
    assert_close(many.params, after.params, rtol=1e-4, atol=1e-5)
    assert_close(many.extra, after.extra, rtol=1e-4, atol=1e-5)


@each_method
def test_embed(name):
    method, batch, state, *_ = first(name)
    embed = jax.jit(method.embed)
    features = embed(state, batch)
    assert features.ndim == 2
    assert features.shape[0] == 16
    if CASES[name].data is not None:
        return
    # frozen: a row does not depend on the others, as it would with batch statistics
    others = jax.tree.map(lambda x: np.concatenate([x[:1], *([x[1:2]] * 15)]), batch)
    np.testing.assert_allclose(features[:1], embed(state, others)[:1], rtol=1e-4, atol=1e-5)


@each_method
def test_no_gradient_reaches_extra(name):
    """The loss gives `extra` no gradient that could be mistaken for training it."""
    case = CASES[name]
    if type(case.method).loss is Recipe.loss:
        pytest.skip("two optimizers: this method writes its own step")
    _, batch, state, *_ = first(name)
    params, extra = state.params, state.extra
    targets = {k: v for k, v in extra.items() if k != "stats"}
    if not targets:
        return

    def loss(targets):
        return case.method.loss(params, extra | targets, batch, KEY)[0]

    grads = jax.jit(jax.grad(loss, allow_int=True))(targets)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        if leaf.dtype != jax.dtypes.float0:
            assert not np.any(leaf), jax.tree_util.keystr(path)


@each_method
def test_a_state_from_disk_goes_on_bit_for_bit(name, tmp_path):
    """Whatever a method keeps in its state, a checkpoint holds all of it."""
    _, batch, state, step, after, _ = first(name)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, after)
    checkpoints.wait()
    # taken from its devices, or the step would be compiled again for where its arrays lie
    restored = jax.device_get(checkpoints.restore(state))
    checkpoints.close()
    key = jax.random.key(1)
    assert_equal(step(restored, batch, key), step(after, batch, key))


@kinds_of_methods
def test_interrupt_and_resume_bit_for_bit(name, tmp_path):
    """The 6 steps of a run that lost what came after its checkpoint of step 3 equal those of one
    that never stopped, with the online probe and momentum on. (fit() stops at any step in
    tests/training/test_train.py.)"""
    rows = CASES[name].batch(40)
    dataset = data_of(name, rows)
    method = build(name)
    if "label" in dataset.spec:
        method = with_online_probe(method, classes=4)
    # Refreshed at 0, 2 and 4: what step 4 learns from comes out of the checkpoint of step 3.
    refresh = 2 if method.refresh is not None else 0
    cadence = Cadence(log=1, save=3, monitor=0, refresh=refresh)
    options = {"batch": 16, "seed": 3, "cadence": cadence}
    straight = fit(method, dataset, steps=6, folder=tmp_path / "a", **options)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "checkpoints" / "6")
    resumed = fit(method, dataset, steps=6, folder=tmp_path / "b", **options)
    assert_equal(straight, resumed)
    lines = [
        [
            {k: v for k, v in json.loads(line).items() if not k.startswith("machine/")}
            for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()
        ]
        for run in "ab"
    ]
    assert lines[0] == lines[1]
    assert [row["step"] for row in lines[0]] == [1, 2, 3, 4, 5, 6]


@kinds_of_methods
def test_accumulation_moves_targets_once_per_update(name):
    """Two micro-batches make one update; nothing that follows the parameters moves in between."""
    batch = CASES[name].batch(8)
    method = build(name, optax.MultiSteps(TX, 2).gradient_transformation())
    step = jax.jit(method.step)
    state = jax.jit(method.init)(KEY, batch)
    if method.refresh is not None:
        state = method.refresh(state, data_of(name, batch))
    half, _ = step(state, batch, KEY)
    assert_equal(half.params, state.params)
    if "target" in state.extra:
        assert_equal(half.extra["target"]["params"], state.extra["target"]["params"])
        whole, _ = step(half, batch, KEY)
        assert not np.array_equal(
            jax.tree.leaves(whole.extra["target"]["params"])[0],
            jax.tree.leaves(half.extra["target"]["params"])[0],
        )
    assert jnp.isfinite(optax.tree.norm(half.params))
