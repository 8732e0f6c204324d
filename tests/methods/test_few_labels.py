"""What methods for few labels and a pool must not get wrong, against float64 NumPy."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_online import CASES, few
from laws import images

from ssljax import nets, probes
from ssljax.data import Arrays, FewLabels
from ssljax.method import State, online
from ssljax.methods import SCAN, SupCon
from ssljax.pods.compile import Examples
from ssljax.runs.evaluation import classifiers
from ssljax.runs.experiment import Experiment
from ssljax.runs.record import load_file
from ssljax.views import labelled_weak_strong, pool_views, view_batch

KEY = jax.random.key(0)
FILES = Path(__file__).resolve().parents[2] / "experiments"
STRONG = ("fixmatch", "flexmatch", "freematch", "softmatch", "adamatch", "uda")


def softmax(x):
    e = np.exp(np.asarray(x, np.float64) - np.max(x, -1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def start(name, **fields):
    """(method, params, extra); the average has weights of its own, as after some steps."""
    method = replace(CASES[name].method, **fields)
    params, extra = method.init(KEY, few())
    params = jax.tree.map(lambda w: 2.0 * w, params)  # less even predictions
    return method, params, extra


def logits(method, params, extra, rows):
    """Labelled, weak and strong logits of one pass in training mode."""
    x = labelled_weak_strong((method.weak, method.strong), KEY, rows)
    chain = method.chain
    flat, _ = nets.apply_chain(
        chain, params, extra["stats"], x.reshape(-1, *x.shape[2:]), train=True
    )
    y = np.asarray(flat, np.float64).reshape(*x.shape[:2], -1)
    return y[:, 0], *(part.reshape(-1, y.shape[-1]) for part in np.split(y[:, 1:], 2, axis=1))


def losses(labelled, strong, target, weight, rows):
    """(supervised, unsupervised) with classes as targets, example by example."""
    p, q = softmax(labelled), softmax(strong)
    supervised = np.mean([-np.log(p[i, y]) for i, y in enumerate(rows["label"])])
    terms = [-float(w) * np.log(q[i, c]) for i, (c, w) in enumerate(zip(target, weight))]
    return supervised, np.sum(terms) / len(terms)


def test_fixmatch_reference():
    """Labels of the online network on the weak view; one batch norm over all views."""
    rows = few()
    method, params, extra = start("fixmatch", weight=3.0)
    labelled, weak, strong = logits(method, params, extra, rows)
    p = softmax(weak)
    method = replace(method, threshold=float(np.median(p.max(1))))
    w = p.max(1) >= method.threshold
    assert 0 < w.sum() < len(w)
    supervised, unsupervised = losses(labelled, strong, p.argmax(1), w, rows)
    value, (_, metrics) = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(value, supervised + 3 * unsupervised, rtol=1e-4)
    np.testing.assert_allclose(metrics["utilisation"], w.mean(), rtol=1e-5)
    truth = rows["pool_label"].reshape(-1)
    np.testing.assert_allclose(metrics["pseudo_accuracy"], (p.argmax(1) == truth).mean(), rtol=1e-5)
    # the moving average is evaluated and teaches nothing, unless it is asked to
    other = extra | {"target": jax.tree.map(lambda w: w + 0.3, extra["target"])}
    assert method.loss(params, other, rows, KEY)[0] == value
    asked = replace(method, labels_from="average")
    assert asked.loss(params, other, rows, KEY)[0] != value


def test_flexmatch_reference():
    rows = few()
    method, params, extra = start("flexmatch", threshold=0.5)
    selected = np.full(80, -1)
    selected[:9] = [0, 0, 0, 0, 1, 1, 2, 3, 3]
    extra = extra | {"selected": jnp.asarray(selected, jnp.int32)}
    labelled, weak, strong = logits(method, params, extra, rows)
    p, index = softmax(weak), rows["pool_index"].reshape(-1)
    beta = np.bincount(selected[selected >= 0], minlength=4) / 71  # 71 without a prediction yet
    limit = 0.5 * beta / (2 - beta)
    w = [p[i].max() >= limit[p[i].argmax()] for i in range(len(p))]
    _, unsupervised = losses(labelled, strong, p.argmax(1), w, rows)
    _, (after, metrics) = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(metrics["unsupervised"], unsupervised, rtol=1e-4)
    for i, row in zip(index, p):
        if row.max() >= 0.5:  # the full threshold decides what is kept
            selected[i] = row.argmax()
    np.testing.assert_array_equal(after["selected"], selected)


def test_freematch_reference():
    rows = few()
    method, params, extra = start("freematch", threshold_decay=0.5, fairness_weight=0.2)
    labelled, weak, strong = logits(method, params, extra, rows)
    p = softmax(weak)
    t, prior = 0.5 * 0.25 + 0.5 * p.max(1).mean(), 0.5 * 0.25 + 0.5 * p.mean(0)
    w = p.max(1) >= t * prior[p.argmax(1)] / prior.max()
    supervised, unsupervised = losses(labelled, strong, p.argmax(1), w, rows)
    value, (after, metrics) = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(metrics["unsupervised"], unsupervised, rtol=1e-4)
    np.testing.assert_allclose(after["thresholds"].prior, prior, rtol=1e-4)
    assert metrics["fairness"] < 0
    want = supervised + unsupervised + 0.2 * float(metrics["fairness"])
    np.testing.assert_allclose(value, want, rtol=1e-4)


def test_softmatch_reference():
    rows = few()
    method, params, extra = start("softmatch", threshold_decay=0.5)
    labelled, weak, strong = logits(method, params, extra, rows)
    p = softmax(weak)
    aligned = p * (0.25 + 1e-6) / (p.mean(0) + 1e-6)  # the first batch is the whole average
    aligned /= aligned.sum(1, keepdims=True)
    assert np.any(aligned.argmax(1) != p.argmax(1))
    m = aligned.max(1)
    mean, var = 0.5 * 0.25 + 0.5 * m.mean(), 0.5 + 0.5 * m.var(ddof=1)
    w = np.exp(-(np.minimum(m - mean, 0) ** 2) / (2 * var / 4))
    _, unsupervised = losses(labelled, strong, p.argmax(1), w, rows)
    _, (_, metrics) = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(metrics["unsupervised"], unsupervised, rtol=1e-4)
    np.testing.assert_allclose(metrics["mean_weight"], w.mean(), rtol=1e-4)


def test_uda_reference():
    rows = few()
    method, params, extra = start("uda", threshold=0.7, temperature=0.5)
    extra = extra | {"limit": jnp.float32(0.3)}
    labelled, weak, strong = logits(method, params, extra, rows)
    w = softmax(weak).max(1) >= 0.7
    assert w.sum() < (softmax(weak / 0.5).max(1) >= 0.7).sum()
    terms = -(softmax(weak / 0.5) * np.log(softmax(strong))).sum(1) * w
    known = softmax(labelled)[np.arange(16), rows["label"]]
    assert 0 < np.sum(known <= 0.3) < 16
    _, (_, metrics) = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(metrics["unsupervised"], terms.mean(), rtol=1e-4)
    np.testing.assert_allclose(
        metrics["supervised"], -np.log(known[known <= 0.3]).mean(), rtol=1e-4
    )
    for annealing, half in {
        "linear": 0.5 * 0.75 + 0.25,
        "exp": np.exp(-2.5) * 0.75 + 0.25,
        "log": (1 - np.exp(-2.5)) * 0.75 + 0.25,
        "none": 1.0,
    }.items():
        limit = replace(method, annealing=annealing)._limit(jnp.asarray(5), 10)
        np.testing.assert_allclose(limit, half, rtol=1e-6)


def trained(chain, params, stats, *images):
    """Logits in training mode [N, K], images [n, ...] of all parts in one pass; float64."""
    y, _ = nets.apply_chain(chain, params, stats, jnp.concatenate(images), train=True)
    return np.asarray(y, np.float64)


def cross_entropy(logits, classes):
    return np.mean([-np.log(p[c]) for p, c in zip(softmax(logits), classes)])


def middle(x):
    """A threshold that half of x [N] passes, well apart from all of them."""
    low, high = np.sort(x)[len(x) // 2 - 1 : len(x) // 2 + 1]
    assert high - low > 1e-5
    return (low + high) / 2


def test_adamatch_reference():
    """Aligned to a target that has moved from even shares towards the labelled predictions."""
    rows = few()
    method, params, extra = start("adamatch", weight=3.0)
    extra = extra | {"ramp": jnp.float32(0.5)}
    labelled, weak, strong = logits(method, params, extra, rows)
    p, known = softmax(weak), softmax(labelled)
    target = 0.999 / 4 + 0.001 * known.mean(0)
    p = p * (target + 1e-6) / (p.mean(0) + 1e-6)
    p = p / p.sum(1, keepdims=True)
    limit = middle(p.max(1))
    w = p.max(1) >= limit
    method = replace(method, threshold=limit / known.max(1).mean())
    supervised, unsupervised = losses(labelled, strong, p.argmax(1), w, rows)
    value, (after, _) = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(value, supervised + 0.5 * 3 * unsupervised, rtol=1e-4)
    np.testing.assert_allclose(after["alignment"].target, target, rtol=1e-5)
    for k, ramp in ((0, 0.5 * (1 - np.cos(0.2 * np.pi))), (4, 1.0), (8, 1.0)):
        moved = method.after(params, after, jnp.asarray(k), updates=10)["ramp"]
        np.testing.assert_allclose(moved, ramp, rtol=1e-5)


def test_supervised_reference():
    rows = images()
    method, params, extra = start("supervised")
    x = view_batch(method.weak, KEY, rows["image"])
    y = trained(method.chain, params, extra["stats"], x)
    value, _ = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(value, cross_entropy(y, rows["label"]), rtol=1e-4)


def test_pseudolabel_reference():
    """The pool is a pass of its own, after that of the labelled images."""
    rows = few()
    method, params, extra = start("pseudo_label", weight=3.0)
    extra = extra | {"ramp": jnp.float32(0.5)}
    first, second = jax.random.split(KEY)
    x, pool = view_batch(method.weak, first, rows["image"]), pool_views(method.weak, second, rows)
    y = trained(method.chain, params, extra["stats"], x)
    u = trained(method.chain, params, extra["stats"], pool.reshape(-1, *pool.shape[2:]))
    p = softmax(u)
    method = replace(method, threshold=middle(p.max(1)))
    terms = -np.log(p.max(1)) * (p.max(1) >= method.threshold)
    expected = cross_entropy(y, rows["label"]) + 0.5 * 3 * terms.mean()
    value, _ = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_meanteacher_reference():
    """The student sees labelled images and one view of the pool in one pass; the teacher, with
    weights of its own, another view; the distance is that of probabilities."""
    rows = few()
    method, params, extra = start("mean_teacher", weight=7.0)
    target = extra["target"] | {"stats": jax.tree.map(lambda s: s + 1, extra["stats"])}
    extra = extra | {"ramp": jnp.float32(0.5), "target": target}
    keys = jax.random.split(KEY, 3)
    x = view_batch(method.weak, keys[0], rows["image"])
    pool, seen = (pool_views(method.weak, k, rows) for k in keys[1:])
    together = jnp.concatenate([x[:, None], pool], axis=1)
    student = trained(
        method.chain, params, extra["stats"], together.reshape(-1, *together.shape[2:])
    ).reshape(*together.shape[:2], -1)
    seen = seen.reshape(-1, *seen.shape[2:])
    teacher = trained(method.chain, target["params"], target["stats"], seen)
    _, moved = nets.apply_chain(method.chain, target["params"], target["stats"], seen, train=True)
    p, q = softmax(student[:, 1:].reshape(teacher.shape)), softmax(teacher)
    expected = cross_entropy(student[:, 0], rows["label"]) + 0.5 * 7 * np.mean((p - q) ** 2)
    value, (after, _) = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    for got, want in zip(*map(jax.tree.leaves, (after["target"]["stats"], moved)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_mean_teacher():
    """Two views, a teacher of its own weights and statistics, which follows after the update."""
    rows = few()
    method, params, extra = start("mean_teacher", decay=0.9)
    extra = extra | {"ramp": jnp.float32(0.5)}
    value, (after, metrics) = method.loss(params, extra, rows, KEY)
    want = metrics["supervised"] + 0.5 * 50 * metrics["unsupervised"]
    np.testing.assert_allclose(value, want, rtol=1e-5)
    assert metrics["unsupervised"] > 0
    stats = [jax.tree.leaves(t["stats"])[0] for t in (after, after["target"], extra)]
    assert not np.array_equal(stats[0], stats[1]) and not np.array_equal(stats[1], stats[2])
    for k, a in ((0, 0.0), (3, 0.75), (1000, 0.9)):
        moved = method.after(params, after, jnp.asarray(k), updates=100)
        w, old = (
            params["head"]["linear_0"]["kernel"],
            extra["target"]["params"]["head"]["linear_0"]["kernel"],
        )
        got = moved["target"]["params"]["head"]["linear_0"]["kernel"]
        np.testing.assert_allclose(got, a * old + (1 - a) * w, rtol=1e-5, atol=1e-6)
    for k, t in ((0, 0.0), (20, 0.5), (60, 1.0)):
        np.testing.assert_allclose(method._ramp(k, 100), np.exp(-5 * (1 - t) ** 2), rtol=1e-6)


def test_pseudo_label_leaves_the_statistics_to_the_labelled_images():
    rows = few()
    method, params, extra = start("pseudo_label")
    _, (after, metrics) = method.loss(params, extra, rows, KEY)
    other = rows | {"pool": rows["pool"] // 2}
    _, (same, others) = method.loss(params, extra, other, KEY)
    jax.tree.map(np.testing.assert_array_equal, after["stats"], same["stats"])
    assert metrics["unsupervised"] != others["unsupervised"]
    ramp = [float(method.after(params, after, k, updates=10)["ramp"]) for k in range(5)]
    np.testing.assert_allclose(ramp, [0.25, 0.5, 0.75, 1.0, 1.0])
    # at ramp 0 the pool has no say
    assert metrics["ramp"] == 0
    supervised = method.loss(params, extra, rows, KEY)[0]
    np.testing.assert_allclose(supervised, metrics["supervised"], rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in CASES if n != "supervised"])
def test_the_labels_of_the_pool_are_only_measured_with(name):
    rows, method = few(), CASES[name].method.build(optax.sgd(0.1), updates=10)
    state = method.init(KEY, rows)
    step = jax.jit(method.step)
    after, metrics = step(state, rows, KEY)
    wrong, others = step(state, rows | {"pool_label": np.full_like(rows["pool_label"], -1)}, KEY)
    jax.tree.map(np.testing.assert_array_equal, after, wrong)
    assert metrics["loss"] == others["loss"]
    assert metrics["pseudo_accuracy"] != others["pseudo_accuracy"]


def test_the_average_follows_and_predicts():
    rows, method = few(), CASES["fixmatch"].method
    built = method.build(optax.sgd(0.5), updates=10)
    state = built.init(KEY, rows)
    after, _ = jax.jit(built.step)(state, rows, KEY)
    jax.tree.map(
        lambda old, new, average: np.testing.assert_allclose(
            average, 0.9 * old + 0.1 * new, rtol=1e-5, atol=1e-6
        ),
        state.params, after.params, after.extra["target"]["params"],
    )  # fmt: skip
    y, z = built.predict(after, rows), built.predict(online(after), rows)
    assert y.shape == (16, 4) and not np.array_equal(y, z)
    x = method.weak.plain(rows["image"])
    own = nets.apply_chain(method.chain, after.params, after.extra["stats"], x, train=False)[0]
    np.testing.assert_allclose(z, own, rtol=1e-5, atol=1e-6)
    plain = State(after.step, after.params, after.opt, {"stats": after.extra["stats"]})
    assert online(plain) is plain


def test_accuracies_of_a_run():
    rows = {k: images(40)[k] for k in ("image", "label")}
    experiment = Experiment(
        method=CASES["fixmatch"].method, few=FewLabels(per_class=2, ratio=2), batch=16
    )
    feed = experiment.feed(Arrays(rows))
    method = experiment.build(feed)
    state = method.init(KEY, next(feed.batches(16, seed=0)))
    own = classifiers(experiment, method, state)
    found = probes.accuracies(own, Arrays(rows), batch=16)
    guess = np.argmax(method.predict(state, rows), axis=1)
    np.testing.assert_allclose(found["accuracy"], np.mean(guess == rows["label"]))
    assert found.keys() == {"accuracy", "accuracy_online", "agreement"}
    assert found["agreement"] == 1  # before the first step both are the same
    assert probes.accuracies(own, None, batch=16) == {}


def test_data_that_do_not_suit(caplog):
    rows = {k: images(40)[k] for k in ("image", "label")}
    data, method = Arrays(rows), CASES["flexmatch"].method
    with pytest.raises(ValueError, match="set few=FewLabels"):
        Experiment(method=method).feed(data)
    with pytest.raises(ValueError, match="data has 4 classes and the method 7"):
        Experiment(method=replace(method, classes=7), few=FewLabels()).feed(data)
    with pytest.raises(ValueError, match="pool has 40 examples"):
        Experiment(method=replace(method, examples=50), few=FewLabels()).feed(data)
    with pytest.raises(ValueError, match="has none"):
        method.check(Arrays({"image": rows["image"]}))
    Experiment(method=CASES["supervised"].method).feed(data)  # needs no pool
    part = Arrays(rows | {"label": np.where(np.arange(40) < 8, rows["label"], -1)})
    with caplog.at_level("INFO", logger="ssljax"):
        Experiment(method=CASES["supervised"].method).feed(part)
        Experiment(method=SupCon()).feed(part)
    assert caplog.text.count("8 of 40 examples") == 2
    with pytest.raises(ValueError, match="SupCon learns from labels, and the data has none"):
        SupCon().check(Arrays({"image": rows["image"], "label": np.full(40, -1)}))
    with pytest.raises(ValueError, match=r"data has 4 classes and the method 10.*classes 4"):
        Experiment(method=SCAN()).feed(data)
    with pytest.raises(ValueError, match="set few=FewLabels"):
        CASES["fixmatch"].method.loss(*CASES["fixmatch"].method.init(KEY, few()), images(), KEY)


@pytest.mark.parametrize(
    "name", [*(s for s in STRONG if s != "adamatch"), "mean_teacher", "pseudo_label"]
)
def test_experiment_files(name):
    """Each traces at its real size, without computing anything."""
    experiment = load_file(FILES / f"{name}_cifar10.py").EXPERIMENT
    experiment.cadence.check(experiment.steps)
    tx = experiment.optimizer.build(steps=experiment.steps, batch=experiment.batch)
    integer = np.dtype(np.int32)
    spec = {"image": ((32, 32, 3), np.uint8), "label": ((), integer), "index": ((), integer)}
    spec = experiment.few.spec(spec)
    recipe = experiment.method.filled(Examples(spec, True, tuple(map(str, range(10)))))
    method = recipe.build(tx, updates=experiment.steps)
    batch = {k: jax.ShapeDtypeStruct((experiment.batch, *s), d) for k, (s, d) in spec.items()}
    state = jax.eval_shape(method.init, KEY, batch)
    after, metrics = jax.eval_shape(method.step, state, batch, KEY)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert metrics["loss"].shape == ()
    assert jax.eval_shape(method.predict, state, batch).shape == (experiment.batch, 10)
