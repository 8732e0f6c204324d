"""What each joint-embedding method does beyond its loss: passes, queues, averages, gradients."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_first import CASES as FIRST
from cases_joint import CASES
from laws import NET, VIEW, images

from ssljax import nets
from ssljax.losses.infonce import info_nce
from ssljax.methods import NNCLR, SupCon
from ssljax.methods.moco_v3 import VIT_PREDICTOR, VIT_PROJECTOR, MoCoV3
from ssljax.nets import MLP, ViT
from ssljax.views import view_batch, view_pair

KEY = jax.random.key(5)
ROWS = images(16)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def started(method, rows=ROWS):
    return method.init(jax.random.key(0), rows)


def run(method, params, extra, rows=ROWS):
    value, (extra, metrics) = jax.jit(method.loss)(params, extra, rows, KEY)
    return float(value), extra, metrics


def views_of(method):
    views = method.views if hasattr(method, "views") else (method.view, method.view)
    return view_pair(views, KEY, ROWS["image"])


def passes(method, names, params, stats, inputs):
    chain = {name: getattr(method, name) for name in names}
    run = jax.jit(lambda *trees: nets.apply_each(chain, *trees, train=True))
    return run(params, stats, inputs)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def unit(x):
    x = np.asarray(x, np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


ENCODE = ("encoder", "projector")


# DCL and SupCon


def dcl_loss(z1, z2, temperature, sigma):
    """Anchor by anchor: the views of other images only, and DCLW's weight of the own partner."""
    views, n, total = [unit(z1), unit(z2)], len(z1), 0.0
    for v in (0, 1):
        for i in range(n):
            weight = 1.0
            if sigma is not None:
                near = np.exp([views[0][j] @ views[1][j] / sigma for j in range(n)])
                weight = 2 - n * near[i] / near.sum()
            others = [views[u][j] for u in (0, 1) for j in range(n) if j != i]
            s = np.array([views[v][i] @ other for other in others]) / temperature
            own = views[v][i] @ views[1 - v][i] / temperature
            total += np.log(np.exp(s).sum()) - weight * own
    return total / (2 * n)


def supcon_loss(z1, z2, label, temperature):
    z, label, total = unit(np.concatenate([z1, z2])), np.tile(label, 2), 0.0
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        s = {j: z[i] @ z[j] / temperature for j in others}
        own = [s[j] for j in others if label[j] == label[i]]
        total += np.log(np.sum(np.exp(list(s.values())))) - np.mean(own)
    return total / len(z)


@pytest.mark.parametrize("name", ["dcl", "dclw"])
def test_dcl_reference(name):
    both_views_share_a_pass(name)


def test_supcon_reference():
    both_views_share_a_pass("supcon")


def both_views_share_a_pass(name):
    method = CASES[name].method
    params, extra = started(method)
    value, after, _ = run(method, params, extra)
    both = jnp.concatenate(views_of(method))
    (z,), stats = passes(method, ENCODE, params, extra["stats"], [both])
    apart, _ = passes(method, ENCODE, params, extra["stats"], views_of(method))

    def loss(z1, z2):
        if name == "supcon":
            return supcon_loss(z1, z2, ROWS["label"], 0.1)
        return dcl_loss(z1, z2, 0.1, method.sigma)

    np.testing.assert_allclose(value, loss(z[:16], z[16:]), rtol=1e-5)
    assert abs(value - loss(*apart)) > 1e-3
    np.testing.assert_allclose(flat(after["stats"]), flat(stats), rtol=1e-4, atol=1e-6)


def test_supcon_without_labels_is_simclr():
    """The same network, key and temperature; with labels the loss is another."""
    simclr = FIRST["simclr"].method
    method = SupCon(
        encoder=NET, projector=simclr.projector, view=VIEW, temperature=simclr.temperature
    )
    params, extra = started(method)
    plain, *_ = run(simclr, params, extra)
    unknown, *_ = run(method, params, extra, ROWS | {"label": np.full(16, -1, np.int32)})
    known, *_ = run(method, params, extra)
    np.testing.assert_allclose(unknown, plain, rtol=1e-5)
    assert abs(known - plain) > 1e-3
    with pytest.raises(ValueError, match="'label'"):
        started(method, {"image": ROWS["image"]})


# MoCo v2


def moco_loss(q, k, queue, temperature):
    q, k, queue = unit(q), unit(k), np.asarray(queue, np.float64)
    total = 0.0
    for i in range(len(q)):
        logits = np.array([q[i] @ k[i], *(queue @ q[i])]) / temperature
        total += np.log(np.exp(logits).sum()) - logits[0]
    return total / len(q)


@pytest.fixture(scope="module")
def moco():
    """MoCo v2 without groups: its keys can be made by one plain pass."""
    method = replace(CASES["moco_v2"].method, groups=1)
    params, extra = started(method)
    value, after, _ = run(method, params, extra)
    return method, params, extra, value, after


def moco_views(method):
    key, _ = jax.random.split(KEY)
    return view_pair((method.view, method.view), key, ROWS["image"])


def test_mocov2_reference(moco):
    method, params, extra, value, after = moco
    x1, x2 = moco_views(method)
    (q,), _ = passes(method, ENCODE, params, extra["stats"], [x1])
    (k,), _ = passes(method, ENCODE, extra["target"]["params"], extra["target"]["stats"], [x2])
    queue = extra["queue"]["rows"]
    np.testing.assert_allclose(value, moco_loss(q, k, queue, 0.2), rtol=1e-5)
    # Enqueued first, each positive would be a negative as well.
    early = np.concatenate([unit(k), queue[16:]])
    assert moco_loss(q, k, early, 0.2) > value + 0.1
    # The keys of x2 are what the queue gets, in place of the oldest.
    np.testing.assert_allclose(after["queue"]["rows"][:16], unit(k), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(after["queue"]["rows"][16:], queue[16:])
    assert int(after["queue"]["next"]) == 16


def test_moco_v2_sees_those_keys_in_the_next_step(moco):
    method, params, _, _, after = moco
    value, later, _ = run(method, params, after)
    other = after["queue"]["rows"].at[:16].multiply(-1.0)
    changed, *_ = run(method, params, after | {"queue": after["queue"] | {"rows": other}})
    assert abs(value - changed) > 0.1
    assert int(later["queue"]["next"]) == 0  # a queue of 32 is full after two batches of 16


def test_moco_v2_average(moco):
    method, params, extra, _, after = moco
    np.testing.assert_array_equal(
        flat(extra["target"]), flat({"params": params, "stats": extra["stats"]})
    )
    moved_on = jax.tree.map(lambda p: p + 1.0, params)
    moved = method.after(moved_on, after, jnp.int32(0), updates=10)
    np.testing.assert_allclose(flat(moved["target"]["params"]), flat(params) + 0.001, atol=1e-6)
    np.testing.assert_array_equal(flat(moved["target"]["stats"]), flat(after["target"]["stats"]))
    assert np.abs(flat(after["target"]["stats"]) - flat(after["stats"])).max() > 1e-4


def test_moco_v2_shuffles_keys_and_puts_them_back():
    """Without batch norm nothing depends on the groups: each key is back at its query."""
    method = replace(
        CASES["moco_v2"].method, encoder=ViT(patch=4, width=8, depth=1, heads=2), groups=4
    )
    params, extra = started(method)
    value, after, _ = run(method, params, extra)
    whole, same, _ = run(replace(method, groups=1), params, extra)
    np.testing.assert_allclose(value, whole, rtol=1e-5)
    np.testing.assert_allclose(after["queue"]["rows"], same["queue"]["rows"], atol=1e-5)


def test_moco_v2_batch_norm_of_groups(moco):
    """A query depends on its own group alone; keys meet other company than queries."""
    method, params, extra, whole, _ = moco
    grouped = replace(method, groups=4)
    value, after, _ = run(grouped, params, extra)
    assert abs(value - whole) > 1e-3
    x1, x2 = moco_views(method)
    parts, moved = zip(
        *(passes(method, ENCODE, params, extra["stats"], [x]) for x in np.split(x1, 4)),
        strict=True,
    )
    q = np.concatenate([part[0] for part in parts])
    mean = np.mean([flat(stats) for stats in moved], axis=0)
    np.testing.assert_allclose(flat(after["stats"]), mean, rtol=1e-4, atol=1e-6)
    keys = [passes(method, ENCODE, params, extra["stats"], [x])[0][0] for x in np.split(x2, 4)]
    unshuffled = moco_loss(q, np.concatenate(keys), extra["queue"]["rows"], 0.2)
    assert abs(value - unshuffled) > 1e-3


def test_moco_v2_refuses_what_does_not_fit():
    method = CASES["moco_v2"].method
    with pytest.raises(ValueError, match="whole batches of 16"):
        started(replace(method, queue=40))
    with pytest.raises(ValueError, match="groups 3 must divide the batch of 16"):
        started(replace(method, groups=3))


# MoCo v3


def test_mocov3_reference():
    method = replace(CASES["moco_v3"].method, temperature=0.3)
    params, extra = started(method)
    value, after, _ = run(method, params, extra)
    views, target = views_of(method), extra["target"]
    q, _ = passes(method, (*ENCODE, "predictor"), params, extra["stats"], views)
    k, stats = passes(method, ENCODE, target["params"], target["stats"], views)

    def ctr(q, k):
        e = np.exp(unit(q) @ unit(k).T / 0.3)
        return 2 * 0.3 * np.mean(np.log(e.sum(1) / np.diagonal(e)))

    np.testing.assert_allclose(value, ctr(q[0], k[1]) + ctr(q[1], k[0]), rtol=1e-5)
    assert abs(value - ctr(q[0], k[0]) - ctr(q[1], k[1])) > 1e-3
    np.testing.assert_allclose(flat(after["target"]["stats"]), flat(stats), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_moco_v3_of_equal_embeddings(temperature):
    """4 T ln B: two directions, each 2 T times a cross-entropy over the batch."""
    method = replace(CASES["moco_v3"].method, temperature=temperature)
    params, extra = started(method)
    params["predictor"]["linear_1"] = jax.tree.map(jnp.zeros_like, params["predictor"]["linear_1"])
    value, *_ = run(method, params, extra)
    np.testing.assert_allclose(value, 4 * temperature * np.log(16), rtol=1e-5)


@pytest.mark.parametrize("name", ["moco_v3", "tico"])
def test_the_average_before_a_step_is_that_of_its_number(name):
    """The authors move the copy at the start of step k with m(k): the first such move that does
    anything is that of step 1."""
    method = replace(CASES[name].method, tau=0.9)
    params, extra = started(method)
    target = jax.tree.map(lambda p: p + 1.0, extra["target"]["params"])
    extra = extra | {"target": extra["target"] | {"params": target}}
    online = {key: params[key] for key in target}
    for k, done in ((0, 0.01), (49, 0.5), (99, 1.0)):
        m = 1 - 0.1 * (1 + np.cos(np.pi * done)) / 2
        moved = method.after(params, extra, jnp.int32(k), updates=100)["target"]
        expected = m * flat(target) + (1 - m) * flat(online)
        np.testing.assert_allclose(flat(moved["params"]), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(flat(moved["stats"]), flat(extra["target"]["stats"]))


def test_moco_v3_heads():
    """No bias in any linear layer; normalised outputs, but for the predictor of a ResNet."""

    def names(head):
        params, _ = jax.eval_shape(lambda: nets.init(head, jax.random.key(0), jnp.zeros((2, 3))))
        assert all(set(layer) == {"kernel"} for n, layer in params.items() if "linear" in n)
        return set(params)  # a norm without scale and bias has no entry

    def normed(head):
        return head.output_norm and not head.output_affine

    resnet = MoCoV3()
    assert names(resnet.projector) == {"linear_0", "bn_0", "linear_1"}
    assert normed(resnet.projector)
    assert names(resnet.predictor) == {"linear_0", "bn_0", "linear_1"}
    assert not resnet.predictor.output_norm
    assert names(VIT_PROJECTOR) == {"linear_0", "bn_0", "linear_1", "bn_1", "linear_2"}
    assert normed(VIT_PROJECTOR)
    assert normed(VIT_PREDICTOR)


@pytest.mark.parametrize("freeze", [True, False])
def test_moco_v3_patches_stay_at_their_random_start(freeze):
    """Weight decay included, which needs no gradient to shrink them."""
    method = replace(CASES["moco_v3_vit"].method, freeze_patches=freeze)
    built = method.build(optax.adamw(0.1, weight_decay=0.5), updates=10)
    state = built.init(jax.random.key(0), ROWS)
    after, _ = jax.jit(built.step)(state, ROWS, KEY)
    before, now = state.params["encoder"], after.params["encoder"]
    still = np.array_equal(flat(before["patch_embed"]), flat(now["patch_embed"]))
    assert still is freeze
    assert not np.array_equal(flat(before["blocks_0"]), flat(now["blocks_0"]))
    if freeze:
        slope = jax.jit(jax.grad(lambda p: method.loss(p, state.extra, ROWS, KEY)[0]))
        grads = slope(state.params)
        assert not np.any(flat(grads["encoder"]["patch_embed"]))
        assert np.any(flat(grads["encoder"]["blocks_0"]))


def test_moco_v3_freezes_patches_only_where_there_are_some():
    with pytest.raises(ValueError, match="no patch embedding"):
        started(replace(CASES["moco_v3"].method, freeze_patches=True))


# NNCLR


def test_nnclr_with_the_embeddings_themselves_in_the_queue():
    """Its neighbours are then the embeddings, and the loss InfoNCE of them and the predictions."""
    method = CASES["nnclr"].method
    params, extra = started(method)
    value, after, _ = run(method, params, extra)
    z, stats = passes(method, ENCODE, params, extra["stats"], views_of(method))
    p, _ = passes(method, ("predictor",), params, stats, z)
    own = jnp.concatenate([unit(z[1]), unit(z[0])])
    mirrored, *_ = run(method, params, extra | {"queue": extra["queue"] | {"rows": own}})
    options = {"temperature": 0.1}
    expected = (info_nce(z[0], p[1], **options) + info_nce(z[1], p[0], **options)) / 2
    np.testing.assert_allclose(mirrored, expected, rtol=1e-5)
    assert abs(mirrored - value) > 0.1  # random neighbours
    swapped = (info_nce(z[0], p[0], **options) + info_nce(z[1], p[1], **options)) / 2
    assert abs(mirrored - swapped) > 1e-3
    # Rows are neighbours, columns predictions.
    turned = (info_nce(p[1], z[0], **options) + info_nce(p[0], z[1], **options)) / 2
    assert abs(mirrored - turned) > 1e-3
    # The queue gets the first view's embeddings, and those only.
    np.testing.assert_allclose(after["queue"]["rows"][:16], unit(z[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(after["queue"]["rows"][16:], extra["queue"]["rows"][16:])


def test_nnclr_reference():
    method = CASES["nnclr"].method
    params, extra = started(method)
    z, stats = passes(method, ENCODE, params, extra["stats"], views_of(method))
    p, _ = passes(method, ("predictor",), params, stats, z)
    queue = np.asarray(extra["queue"]["rows"], np.float64)
    expected = 0.0
    for i, j in ((0, 1), (1, 0)):
        neighbours = queue[np.argmax(unit(z[i]) @ queue.T, axis=1)]
        e = np.exp(neighbours @ unit(p[j]).T / 0.1)
        expected += np.mean(np.log(e.sum(1) / np.diagonal(e))) / 2
    np.testing.assert_allclose(run(method, params, extra)[0], expected, rtol=1e-5)


def test_nnclr_refuses_a_queue_that_does_not_fit():
    with pytest.raises(ValueError, match="whole batches of 16"):
        started(NNCLR(encoder=NET, views=(VIEW, VIEW), queue=24))


# SimSiam


def test_simsiam_reference():
    """Value and gradient are those of predictions against constants."""
    method = CASES["simsiam"].method
    params, extra = started(method)
    views = views_of(method)
    constants, _ = passes(method, ENCODE, params, extra["stats"], views)

    def against(params, targets):
        z, stats = passes(method, ENCODE, params, extra["stats"], views)
        (p1, p2), _ = passes(method, ("predictor",), params, stats, z)
        z1, z2 = z if targets is None else targets

        def cos(a, b):
            norms = jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1)
            return jnp.mean(jnp.sum(a * b, axis=1) / norms)

        return -(cos(p1, z2) + cos(p2, z1)) / 2

    def loss(params, method=method):
        return method.loss(params, extra, ROWS, KEY)[0]

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    expected, wanted = jax.jit(jax.value_and_grad(against))(params, constants)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(flat(grads), flat(wanted), rtol=1e-3, atol=1e-5)
    free = replace(method, stop_gradient=False)
    through = jax.jit(jax.grad(lambda p: loss(p, free)))(params)
    wanted = jax.jit(jax.grad(lambda p: against(p, None)))(params)
    np.testing.assert_allclose(flat(through), flat(wanted), rtol=1e-3, atol=1e-5)
    assert np.abs(flat(through) - flat(grads)).max() > 1e-3


def test_simsiam_without_a_predictor_has_no_use_for_the_stop_gradient():
    """The two directions then add up to half the gradient of the plain cosine (section 4.2), whose
    descent ends in a collapse."""
    method = replace(CASES["simsiam"].method, predictor=None)
    params, extra = started(method)
    assert params.keys() == {"encoder", "projector"}

    def slope(method):
        return flat(jax.jit(jax.grad(lambda p: method.loss(p, extra, ROWS, KEY)[0]))(params))

    free = slope(replace(method, stop_gradient=False))
    assert np.abs(free).max() > 1e-3
    np.testing.assert_allclose(slope(method), free / 2, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "collapses"),
    [({}, False), ({"stop_gradient": False}, True)],
    ids=["simsiam", "no stop-gradient"],
)
def test_simsiam_collapses_without_its_stop_gradient(options, collapses):
    """The spread of unit embeddings, 1 / sqrt(D) where they fill the sphere (figure 2)."""
    method = replace(CASES["simsiam"].method, projector=MLP(widths=(8, 6)), **options)
    built = method.build(optax.sgd(0.3, momentum=0.9), updates=200)
    state = built.init(jax.random.key(0), ROWS)

    @jax.jit
    def train(state):
        def one(state, key):
            state, metrics = built.step(state, ROWS, key)
            return state, metrics["loss"]

        return jax.lax.scan(one, state, jax.random.split(KEY, 200))

    state, losses = train(state)
    z, _ = passes(method, ENCODE, state.params, state.extra["stats"], views_of(method)[:1])
    spread = unit(z[0]).std(0).mean() * np.sqrt(6)
    assert (spread < 0.1 and losses[-1] < -0.99) == collapses


# Redundancy reduction


def test_barlowtwins_reference():
    each_view_is_a_pass_of_its_own("barlow_twins")


def test_vicreg_reference():
    each_view_is_a_pass_of_its_own("vicreg")


def barlow_twins_loss(z1, z2):
    a, b = (np.asarray(z, np.float64) for z in (z1, z2))
    a, b = ((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in (a, b))
    total, d = 0.0, a.shape[1]
    for i in range(d):
        for j in range(d):
            c = np.mean(a[:, i] * b[:, j])
            total += (c - 1) ** 2 if i == j else 0.0051 * c**2
    return total


def vicreg_loss(z1, z2):
    total = 25 * np.mean((np.asarray(z1, np.float64) - z2) ** 2)
    for z in (z1, z2):
        c = np.cov(np.asarray(z, np.float64), rowvar=False)
        total += 25 / 2 * np.mean([max(0.0, 1 - np.sqrt(v + 1e-4)) for v in np.diagonal(c)])
        total += sum(c[i, j] ** 2 for i in range(len(c)) for j in range(len(c)) if i != j) / len(c)
    return total


def wmse_loss(z, key, size):
    """z [B, V, D]; whitened by an inverse of the Cholesky factor, part by part and view by view."""
    order = np.asarray(jax.random.permutation(jax.random.split(key, 1)[0], len(z)))
    z, found = np.asarray(z, np.float64)[order], []
    for part in z.reshape(-1, size, *z.shape[1:]):
        w = []
        for v in range(part.shape[1]):
            centred = part[:, v] - part[:, v].mean(0)
            root = np.linalg.inv(np.linalg.cholesky(np.cov(part[:, v], rowvar=False)))
            w.append(unit(centred @ root.T))
        for i in range(len(w)):
            for j in range(i):
                found += [2 - 2 * a @ b for a, b in zip(w[i], w[j], strict=True)]
    return np.mean(found)


def tico_loss(z1, z2, moment):
    a, b = unit(z1), unit(z2)
    moment = 0.9 * np.asarray(moment, np.float64) + 0.1 * np.mean([np.outer(r, r) for r in a], 0)
    near = np.mean([x @ y for x, y in zip(a, b, strict=True)])
    return 1 - near + 8 * np.mean([x @ moment @ x for x in a]), moment


def each_view_is_a_pass_of_its_own(name):
    method = CASES[name].method
    params, extra = started(method)
    value, after, metrics = run(method, params, extra)
    z, stats = passes(method, ENCODE, params, extra["stats"], views_of(method))
    both = jnp.concatenate(views_of(method))
    (joint,), _ = passes(method, ENCODE, params, extra["stats"], [both])

    loss = {"barlow_twins": barlow_twins_loss, "vicreg": vicreg_loss}[name]
    np.testing.assert_allclose(value, loss(*z), rtol=1e-5)
    assert abs(value - loss(joint[:16], joint[16:])) > 1e-3
    np.testing.assert_allclose(flat(after["stats"]), flat(stats), rtol=1e-4, atol=1e-6)
    if name == "vicreg":
        parts = 25 * metrics["invariance"] + 25 * metrics["variance"] + metrics["covariance"]
        np.testing.assert_allclose(value, parts, rtol=1e-5)


def test_wmse_reference():
    method = CASES["wmse"].method
    params, extra = started(method)
    value, *_ = run(method, params, extra)
    key_views, key_parts = jax.random.split(KEY)
    views = [view_batch(VIEW, k, ROWS["image"]) for k in jax.random.split(key_views, 3)]
    h, stats = passes(method, ("encoder",), params, extra["stats"], views)
    (z,), _ = passes(method, ("projector",), params, stats, [jnp.concatenate(h)])
    z = jnp.swapaxes(z.reshape(3, 16, 3), 0, 1)
    np.testing.assert_allclose(value, wmse_loss(z, key_parts, 8), rtol=1e-5)
    apart, _ = passes(method, ("projector",), params, stats, h)
    assert abs(value - wmse_loss(jnp.stack(apart, 1), key_parts, 8)) > 1e-4
    with pytest.raises(ValueError, match="size 10 must divide the batch of 16"):
        started(replace(method, size=10))


def test_tico_reference():
    """The first view is the online network's, the second the copy's; C goes on to the next step."""
    method = CASES["tico"].method
    params, extra = started(method)
    assert not np.any(extra["moment"])
    x1, x2 = views_of(method)
    (z1,), _ = passes(method, ENCODE, params, extra["stats"], [x1])
    (z2,), _ = passes(method, ENCODE, extra["target"]["params"], extra["target"]["stats"], [x2])
    first, after, _ = run(method, params, extra)
    expected, moment = tico_loss(z1, z2, np.zeros((6, 6)))
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    np.testing.assert_allclose(after["moment"], moment, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(jnp.trace(after["moment"]), 0.1, rtol=1e-5)
    second, later, _ = run(method, params, after)
    np.testing.assert_allclose(jnp.trace(later["moment"]), 0.19, rtol=1e-5)
    np.testing.assert_allclose(
        second - first,
        8 * 0.9 * jnp.mean(jnp.sum((unit(z1) @ moment) * unit(z1), axis=1)),
        rtol=1e-3,
    )
