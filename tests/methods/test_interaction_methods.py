"""Methods on interactions against loops in float64, on given arrays."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from cases_interactions import CASES, answered, clicks, of_graph, seen

from ssljax import nets
from ssljax.method import State
from ssljax.methods import DeepFM
from ssljax.nets import MLP, DeepFields, FieldVectors
from ssljax.training.sharding import Parallel, batch_sharding, to_global

BATCHES = {"rating": answered(), "click": clicks()}


def start(name):
    """The method without dropout, with numbers as large as trained ones."""
    method = CASES[name].method
    if isinstance(method, DeepFM):
        method = replace(method, dropout=0.0)
    params, extra = method.init(jax.random.key(3), BATCHES["rating"])
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: rng.normal(0, 0.4, x.shape).astype(np.float32), params)
    return method, params, extra


def vectors_of(rows, batch, b, slots):
    """w and v of each field of example b, a number at a time."""
    found = []
    for field in slots:
        total = np.zeros(rows.shape[1])
        for s in field:
            total += np.float64(batch["amount"][b, s]) * rows[batch["feature"][b, s]]
        found.append(total)
    return found


def naive(method, params, batch, *, pairs, deep):
    """(loss, answers) of a batch."""
    rows, total, said = np.float64(params["encoder"]["rows"]), 0.0, []
    for b in range(len(batch["feature"])):
        fields = vectors_of(rows, batch, b, ((0,), (1,), (2, 3)))
        logit = float(params["bias"]["logit"]) + sum(f[0] for f in fields)
        for i in range(3 if pairs else 0):
            for j in range(i + 1, 3):
                logit += sum(fields[i][k] * fields[j][k] for k in range(1, rows.shape[1]))
        if deep:
            x = np.concatenate([f[1:] for f in fields])
            first, last = (params["deep"][f"linear_{i}"] for i in range(2))
            x = np.maximum(x @ np.float64(first["kernel"]) + np.float64(first["bias"]), 0)
            logit += (x @ np.float64(last["kernel"]) + np.float64(last["bias"]))[0]
        if "clicked" in batch:
            p = 1 / (1 + np.exp(-logit))
            total -= np.log(p if batch["clicked"][b] else 1 - p)
            said.append(logit)
        else:
            rating = 3 + 2 * logit
            total += (rating - batch["rating"][b]) ** 2
            said.append(min(max(rating, 1), 5))
        total += method.decay * sum((f**2).sum() for f in fields)
    return total / len(batch["feature"]), np.array(said)


def check(name, *, pairs, deep):
    method, params, extra = start(name)
    for batch in BATCHES.values():
        expected, said = naive(method, params, batch, pairs=pairs, deep=deep)
        value, _ = jax.jit(method.loss)(params, extra, batch, jax.random.key(0))
        np.testing.assert_allclose(float(value), expected, rtol=1e-5)
        answers = jax.jit(method.predict)(State(0, params, None, extra), batch)
        np.testing.assert_allclose(answers[:, 0], said, rtol=1e-5, atol=1e-6)


def test_lr_reference():
    check("lr", pairs=False, deep=False)


def test_fm_reference():
    check("fm", pairs=True, deep=False)


def test_deepfm_reference():
    check("deepfm", pairs=True, deep=True)


def test_what_dropout_hides_is_hidden_from_the_network_alone():
    method, params, extra = start("deepfm")
    hidden = replace(method, dropout=0.5)
    fields = method.fields(params, BATCHES["click"])
    key = jax.random.key(5)
    plain, _ = method.logits(params, extra["stats"], fields, key)
    without = params | {"deep": jax.tree.map(np.zeros_like, params["deep"])}
    fm, _ = method.logits(without, extra["stats"], fields, None)
    kept = np.asarray(jax.random.bernoulli(key, 0.5, (16, 9)))
    masked = np.concatenate([fields[..., :1], 2 * fields[..., 1:] * kept.reshape(16, 3, 3)], -1)
    expected = fm + (
        method.logits(params, extra["stats"], masked, None)[0]
        - method.logits(without, extra["stats"], masked, None)[0]
    )
    found, _ = hidden.logits(params, extra["stats"], fields, key)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(found, plain)
    unseen, _ = hidden.logits(params, extra["stats"], fields, None)
    np.testing.assert_allclose(unseen, method.logits(params, extra["stats"], fields, None)[0])


def test_a_large_table_is_split_over_eight_devices_and_the_step_is_the_same():
    """As ten million rows would be: each device holds an eighth, of Adam's numbers too."""
    deep = MLP(widths=(4, 1), norm=False)
    method = DeepFM(width=7, features=2_100, sizes=(1, 1, 2), scale=(1.0, 5.0), deep=deep)
    run, batch = method.build(optax.adam(0.05), updates=1), BATCHES["rating"]
    batch = batch | {"feature": batch["feature"] * 200}
    state = jax.jit(run.init)(jax.random.key(0), batch)
    assert state.params["encoder"]["rows"].shape == (2176, 8)
    parallel = Parallel(fsdp=True)
    mesh = parallel.mesh()
    spread = jax.device_put(state, parallel.place(state, mesh))
    step = jax.jit(run.step)
    many, _ = step(spread, to_global(batch, batch_sharding(mesh)), jax.random.key(1))
    for tree in (many.params, many.opt[0].mu, many.opt[0].nu):
        rows = tree["encoder"]["rows"]
        assert {s.data.shape for s in rows.addressable_shards} == {(272, 8)}
    one, _ = step(state, batch, jax.random.key(1))
    for a, b in zip(jax.tree.leaves(many.params), jax.tree.leaves(one.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_linear_layer_behind_deep_fields_is_deepfm():
    method, params, extra = start("deepfm")
    net = DeepFields(
        table=FieldVectors(count=128, width=4, sizes=(1, 1, 2)), deep=MLP(widths=(5,), norm=False)
    )
    own = {
        "table": params["encoder"],
        "deep": {"linear_0": params["deep"]["linear_0"]},
    }
    batch = BATCHES["click"]
    features, _ = nets.apply(net, own, {}, method.inputs(batch), train=False)
    last = params["deep"]["linear_1"]
    head = np.concatenate([np.ones((2, 1)), last["kernel"]])
    said = features @ head + last["bias"] + params["bias"]["logit"]
    expected = method.predict(State(0, params, None, extra), batch)
    np.testing.assert_allclose(said, expected, rtol=1e-5, atol=1e-6)


def test_a_feature_that_the_table_lacks_is_no_number():
    method, params, _ = start("lr")
    batch = BATCHES["rating"] | {"feature": BATCHES["rating"]["feature"] + np.int32(119)}
    found = np.asarray(method.fields(params, batch))
    there = batch["feature"] < 128
    whole = [there[:, 0], there[:, 1], there[:, 2:].all(1)]
    assert whole[0].all() and 0 < whole[2].sum() < 16
    np.testing.assert_array_equal(np.isfinite(found[..., 0]), np.stack(whole, axis=1))


def test_bpr_reference():
    method, batch = CASES["bpr"].method, seen()
    params, extra = method.init(jax.random.key(3), batch)
    users, items = (np.float64(params[k]["rows"]) for k in ("encoder", "items"))
    total = 0.0
    for u, i, wrong in zip(batch["user"], batch["item"], batch["negative"], strict=True):
        for j in wrong:
            total += np.log1p(np.exp(-(users[u] @ items[i] - users[u] @ items[j]))) / 2
        total += method.decay * sum((x**2).sum() for x in (users[u], items[i], *items[wrong]))
    value, _ = method.loss(params, extra, batch, jax.random.key(0))
    np.testing.assert_allclose(float(value), total / 16, rtol=1e-5)
    np.testing.assert_allclose(
        method.scores(State(0, params, None, extra), batch),
        users[batch["user"]] @ items.T,
        rtol=1e-5,
        atol=1e-7,
    )


def test_simgcl_reference():
    method, batch = CASES["simgcl"].method, seen()
    params, extra = method.init(jax.random.key(3), batch)
    state = method.refresh(State(0, params, None, extra), of_graph(batch))
    key = jax.random.key(4)
    start = [np.float64(params[k]["rows"]) for k in ("encoder", "items")]
    counts = [np.bincount(batch[k], minlength=n) for k, n in (("user", 5), ("item", 7))]

    def smoothed(key):
        tables, kept = start, []
        for layer in range(2):
            new = [np.zeros_like(x) for x in tables]
            for u, i in zip(batch["user"], batch["item"], strict=True):
                share = 1 / np.sqrt(counts[0][u] * counts[1][i])
                new[0][u] += share * tables[1][i]
                new[1][i] += share * tables[0][u]
            if key is not None:
                keys = jax.random.split(jax.random.fold_in(key, layer))
                for x, k in zip(new, keys, strict=True):
                    drawn = np.float64(jax.random.uniform(k, x.shape))
                    for row, n in zip(x, drawn, strict=True):
                        row += np.sign(row) * method.noise * n / np.sqrt((n**2).sum())
            tables = new
            kept.append(new)
        return [(kept[0][side] + kept[1][side]) / 2 for side in range(2)]

    users, items = smoothed(None)
    total = 0.0
    for u, i, wrong in zip(batch["user"], batch["item"], batch["negative"], strict=True):
        for j in wrong:
            total += np.log1p(np.exp(-(users[u] @ items[i] - users[u] @ items[j]))) / 2
        rows = (start[0][u], start[1][i], *start[1][wrong])
        total += method.decay * sum((x**2).sum() for x in rows)
    total /= 16
    one, two = (smoothed(k) for k in jax.random.split(key))
    for side, name in enumerate(("user", "item")):
        ids = np.unique(batch[name])
        a, b = (x[side][ids] / np.linalg.norm(x[side][ids], axis=1)[:, None] for x in (one, two))
        s = np.exp(a @ b.T / method.temperature)
        total += method.weight * np.mean(-np.log(np.diag(s) / s.sum(axis=1)))
    value, _ = jax.jit(method.loss)(params, state.extra, batch, key)
    np.testing.assert_allclose(float(value), total, rtol=1e-5)


def test_what_does_not_fit_is_said():
    method = CASES["fm"].method
    with pytest.raises(ValueError, match="fields of"):
        replace(method, sizes=(1, 1)).init(jax.random.key(0), BATCHES["click"])
