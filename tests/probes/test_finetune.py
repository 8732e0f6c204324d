"""Fine-tuning: it learns, from few labels too, moves what it should and nothing else."""

from dataclasses import asdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import Jitter

from ssljax import nets
from ssljax.data import Arrays
from ssljax.nets import MLP, ResNet, SmallConv, ViT
from ssljax.probes import FineTune, Shown, describe_finetune, finetune
from ssljax.probes.finetune import _parts
from ssljax.probes.layers import layers, scaled
from ssljax.probes.tune import tuning
from ssljax.training.sharding import Parallel, batch_sharding
from ssljax.views import ImageView

NET = SmallConv(widths=(4, 8))
NAMES = ("conv1", "conv2")
VIEW = Jitter(noise=0.1)
QUICK = FineTune(steps=40, batch=40, learning_rate=1e-2)


def plain(rows):
    return VIEW.plain(rows["image"])


DRAWN, STILL = Shown(plain, VIEW), Shown(plain)


def bars(n=400, seed=0, labelled=True):
    """Four classes: which rows of a noisy image are bright."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 4).astype(np.int32)
    image = rng.integers(0, 90, (n, 8, 8, 1), dtype=np.uint8)
    for i, label in enumerate(y):
        image[i, 2 * label : 2 * label + 2] += 140
    return Arrays({"image": image} | ({"label": y} if labelled else {}))


@pytest.fixture(scope="module")
def start():
    return nets.init(NET, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))


@pytest.fixture(scope="module")
def learned(start):
    return finetune(NET, *start, bars(), bars(200, seed=1), inputs=DRAWN, protocol=QUICK)


def test_it_learns_and_repeats_itself(start, learned):
    assert learned.keys() == {"accuracy", "train_accuracy", "labels", "scored"}
    assert learned["labels"] == 400
    assert learned["accuracy"] > 0.9
    again = finetune(NET, *start, bars(), bars(200, seed=1), inputs=DRAWN, protocol=QUICK)
    assert again == learned
    before = jax.tree.map(np.asarray, start)
    np.testing.assert_array_equal(before[0]["conv1"]["kernel"], start[0]["conv1"]["kernel"])


def test_the_labelled_part_is_used(start):
    hidden = np.arange(80) % 4 != 0
    data = bars(80)
    part = Arrays({"image": data._rows["image"], "label": np.where(hidden, -1, data.labels())})
    protocol = FineTune(steps=1, batch=20)
    found = finetune(NET, *start, part, part, inputs=STILL, protocol=protocol)
    assert found["labels"] == 20
    alone = data.part(np.flatnonzero(~hidden))
    assert finetune(NET, *start, alone, alone, inputs=STILL, protocol=protocol) == found


def test_rows_without_a_label_teach_nothing(start):
    """As neighbours of a node are in a batch: frozen, so that batch norm does not mix the rows."""
    run = tuning(NET, STILL, FineTune(steps=40, batch=40, frozen=True), 4)
    (rows,) = bars(40).once(40)
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 255, (40, 8, 8, 1), dtype=np.uint8)
    more = {"image": np.concatenate([rows["image"], noise]),
            "label": np.concatenate([rows["label"], np.full(40, -1, np.int32)])}  # fmt: skip
    both = []
    for one in (rows, more):
        net = run.start(*start, one)
        opt = run.tx.init(run.trained(net))
        for i in range(3):
            net, opt = run.step(net, opt, one, jax.random.key(i))
        both.append((net.params["kernel"], net.scale))
    assert np.abs(both[0][0]).max() > 1e-4
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *both)


def test_test_labels_only_score(start, learned):
    data = bars(200, seed=1)
    wrong = Arrays({"image": data._rows["image"], "label": (data.labels() + 1) % 4})
    found = finetune(NET, *start, bars(), wrong, inputs=DRAWN, protocol=QUICK)
    assert found["train_accuracy"] == learned["train_accuracy"]
    assert found["accuracy"] < 0.1


def test_several_devices_give_the_same(start, learned):
    sharding = batch_sharding(Parallel().mesh())
    options = {"inputs": DRAWN, "protocol": QUICK}
    found = finetune(NET, *start, bars(), bars(200, seed=1), sharding=sharding, **options)
    assert found["accuracy"] == pytest.approx(learned["accuracy"], abs=0.02)
    # Four labels do not spread over eight devices: one does the work.
    few = FineTune(steps=1, batch=40, per_class=1)
    options = {"inputs": DRAWN, "protocol": few, "sharding": sharding}
    assert finetune(NET, *start, bars(), bars(200, seed=1), **options)["labels"] == 4


def test_frozen_moves_the_classifier_only(start):
    rows = next(bars().batches(40, seed=0))
    for frozen in (True, False):
        protocol = FineTune(steps=40, batch=40, frozen=frozen)
        run = tuning(NET, STILL, protocol, 4)
        net = first = run.start(*start, rows)
        opt = run.tx.init(run.trained(net))
        for i in range(4):
            net, opt = run.step(net, opt, rows, jax.random.key(i))
        moved = jax.tree.map(
            lambda a, b: bool((a != b).any()), (net.params, net.stats), (first.params, first.stats)
        )
        assert moved[0]["kernel"] and moved[0]["bias"]
        assert set(jax.tree.leaves((moved[0]["encoder"], moved[1]))) == {not frozen}
        np.testing.assert_array_equal(net.scale, first.scale)


def test_features_are_standardised_once(start):
    """By the first batch, in the mode that training uses; a dead dimension counts for nothing."""
    params, stats = start
    dead = params | {
        "bn2": {k: v.at[0].set(-1e3 * (k == "bias")) for k, v in params["bn2"].items()}
    }
    rows = next(bars().batches(40, seed=0))
    run = tuning(NET, STILL, FineTune(frozen=True), 4)
    mean, factor = run.start(dead, stats, rows).scale
    h = nets.apply(NET, dead, stats, VIEW.plain(rows["image"]), train=False)[0]
    z = (h - mean) * factor
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(0), [0] + [1] * 7, rtol=1e-4)


@pytest.mark.parametrize(
    ("net", "expected", "top"),
    [
        (
            ViT(patch=4, width=8, depth=2, heads=2),
            {"cls_token": 0, "pos_embed": 0, "patch_embed": 0, "blocks_0": 1, "blocks_1": 2}
            | {"norm": 3},
            3,
        ),
        (
            ResNet(depth=18, stem="cifar", width=4),
            {"conv1": 0, "bn1": 0}
            | {f"layer{s}_{i}": s for s in (1, 2, 3, 4) for i in (0, 1)},
            5,
        ),
        (
            SmallConv(widths=(4, 4, 4)),
            {f"{name}{i}": i - 1 for name in ("conv", "bn") for i in (1, 2, 3)},
            3,
        ),
    ],
    ids=["vit", "resnet", "conv"],
)  # fmt: skip
def test_layers(net, expected, top):
    """As in BEiT and MAE: a ViT of n blocks has layers 0 to n, its last norm and head are n + 1."""
    x = jnp.zeros((1, 8, 8, 3))
    params = jax.eval_shape(lambda key: nets.init(net, key, x)[0], jax.random.key(0))
    order, highest = layers(params)
    assert highest == top
    assert {name: set(jax.tree.leaves(part)) for name, part in order.items()} == {
        name: {layer} for name, layer in expected.items()
    }


def test_layer_decay_scales_what_moves():
    """The whole update, weight decay included: layer i of n by decay^(n - i), the head by 1."""
    params = {"conv1": {"kernel": jnp.ones((2, 2))}, "conv2": {"kernel": jnp.ones((2, 2))}}
    updates = {"encoder": params, "kernel": jnp.ones(3), "bias": jnp.ones(1)}
    slower, _ = scaled(0.5).update(updates, scaled(0.5).init(updates))
    assert float(slower["encoder"]["conv1"]["kernel"][0, 0]) == 0.25
    assert float(slower["encoder"]["conv2"]["kernel"][0, 0]) == 0.5
    assert float(slower["kernel"][0]) == 1
    alone = {"kernel": jnp.ones(3), "bias": jnp.ones(1)}
    assert scaled(0.5).update(alone, None)[0] is alone


def test_layer_decay_in_a_step(start):
    """Several steps, because the classifier starts at zero and sends no gradient down at first."""
    rows = next(bars().batches(40, seed=0))
    moved = []
    for decay in (1.0, 0.5):
        protocol = FineTune(steps=40, batch=40, layer_decay=decay, weight_decay=0)
        run = tuning(NET, STILL, protocol, 4)
        net = first = run.start(*start, rows)
        opt = run.tx.init(run.trained(net))
        for i in range(3):
            before = net
            net, opt = run.step(net, opt, rows, jax.random.key(i))
            if i < 2 and decay < 1:
                assert before.params["kernel"].shape == first.params["kernel"].shape
        part = lambda n, name: n.params["encoder"][name]["kernel"]  # noqa: E731
        moved.append(
            {n: float(jnp.abs(part(net, n) - part(first, n)).max()) for n in ("conv1", "conv2")}
        )
    for name, share in (("conv1", 0.25), ("conv2", 0.5)):
        assert moved[1][name] == pytest.approx(share * moved[0][name], rel=0.1)


def test_a_network_without_known_layers_is_refused():
    net = MLP(widths=(4, 4))
    params, stats = nets.init(net, jax.random.key(0), jnp.zeros((1, 8)))
    options = {"inputs": STILL, "protocol": FineTune(layer_decay=0.7)}
    with pytest.raises(ValueError, match="does not know the order of bn_0"):
        finetune(net, params, stats, bars(), None, **options)


@pytest.mark.parametrize(
    ("protocol", "counts"),
    [
        (FineTune(fraction=0.1), [10, 10, 10, 10]),
        (FineTune(fraction=0.001), [1, 1, 1, 1]),
        (FineTune(per_class=3), [3, 3, 3, 3]),
        (FineTune(), [100, 100, 100, 100]),
    ],
)
def test_labels_that_are_used(protocol, counts):
    data = bars()
    labelled, test = _parts(data, data, protocol, seed=0)
    assert test is data
    assert np.bincount(labelled.labels()).tolist() == counts
    whole = {(image.tobytes(), y) for image, y in zip(data._rows["image"], data.labels())}
    got = {(image.tobytes(), y) for image, y in zip(labelled._rows["image"], labelled.labels())}
    assert got <= whole and len(got) == sum(counts)
    if sum(counts) < 400:
        other, _ = _parts(data, data, protocol, seed=1)
        assert not np.array_equal(other._rows["image"], labelled._rows["image"])


def test_without_a_test_split_a_part_is_held_out():
    labelled, test = _parts(bars(), None, FineTune(fraction=0.5, test_fraction=0.25), seed=0)
    assert np.bincount(test.labels()).tolist() == [25] * 4
    assert np.bincount(labelled.labels()).tolist() == [38] * 4
    seen = {image.tobytes() for image in labelled._rows["image"]}
    assert not any(image.tobytes() in seen for image in test._rows["image"])


def test_several_seeds(start):
    protocol = FineTune(steps=10, batch=20, seeds=2, per_class=5)
    found = finetune(NET, *start, bars(), bars(200, seed=1), inputs=STILL, protocol=protocol)
    assert found["labels"] == 20
    numbers = {"accuracy", "train_accuracy"}
    assert found.keys() == numbers | {f"{name}_std" for name in numbers} | {"labels", "scored"}
    text = " ".join(describe_finetune({"protocol": asdict(protocol), "encoders": {"a": found}}))
    assert "20 labels (5 of each class)" in text and "over 2 seeds" in text


def test_top5_is_among_the_best_five():
    """Against NumPy, with more than five classes and padded rows."""
    rng = np.random.default_rng(0)
    data = Arrays({"image": rng.integers(0, 255, (30, 8, 8, 1), dtype=np.uint8),
                   "label": np.arange(30, dtype=np.int32) % 10})  # fmt: skip
    params, stats = nets.init(NET, jax.random.key(1), jnp.zeros((1, 8, 8, 1)))
    run = tuning(NET, STILL, FineTune(frozen=True), 10)
    rows = next(data.once(30)) | {"mask": np.arange(30) < 25}
    net = run.start(params, stats, rows)
    kernel = rng.normal(size=(8, 10)).astype(np.float32)
    net = net._replace(params=net.params | {"kernel": jnp.asarray(kernel)})
    h = nets.apply(NET, params, stats, VIEW.plain(rows["image"]), train=False)[0]
    order = np.argsort(-np.asarray((h - net.scale[0]) * net.scale[1] @ kernel), axis=1)[:25]
    hits = order == rows["label"][:25, None]
    assert run.score(net, rows).tolist() == [hits[:, 0].sum(), hits[:, :5].sum(), 25]


def test_weak_views_keep_shape_and_colour():
    view = ImageView(size=8, flip=0.3, scale=(0.08, 1.0), degrees=10, solarize=0.2, mean=(0.5,))
    soft = view.weak
    assert (soft.flip, soft.degrees, soft.mean, soft.size) == (0.3, 10, (0.5,), 8)
    assert soft.scale == (0.5, 1.0)
    assert (soft.jitter, soft.grayscale, soft.blur, soft.solarize) == (0, 0, 0, 0)
    assert ImageView(scale=(0.2, 0.3)).weak.scale == (0.3, 0.3)
    assert ImageView(scale=(1.0, 1.0)).weak.scale == (1.0, 1.0)


def test_bad_input(start):
    for wrong in ({"fraction": 0}, {"fraction": 1.2}, {"layer_decay": 0}, {"steps": 0},
                  {"per_class": 0}, {"augment": "strong"}, {"test_fraction": 1}):  # fmt: skip
        with pytest.raises(ValueError):
            FineTune(**wrong)
    with pytest.raises(ValueError, match="needs labels"):
        finetune(NET, *start, bars(labelled=False), None, inputs=STILL)


def test_text():
    """A network of text, with dropout: which of two tokens is more frequent."""
    rng = np.random.default_rng(0)
    y = (np.arange(200) % 2).astype(np.int32)
    tokens = np.where(rng.random((200, 12)) < 0.7, 3 + y[:, None], 4 - y[:, None]).astype(np.int32)
    data = Arrays({"tokens": tokens, "segments": np.ones_like(tokens), "label": y})
    net = nets.Bert(vocab=8, width=16, depth=1, heads=2, hidden=32, length=12, dropout=0.1)
    x = nets.text_inputs({"tokens": tokens[:2], "segments": np.ones_like(tokens[:2])})
    params, stats = nets.init(net, jax.random.key(0), x)
    protocol = FineTune(steps=60, batch=32, learning_rate=3e-3)
    found = finetune(
        net, params, stats, data, data, inputs=Shown(nets.text_inputs), protocol=protocol
    )
    assert found["accuracy"] > 0.85


def test_where_a_run_cannot_be_written_it_is_said(tmp_path, caplog):
    """A file in place of the folder stands for a disk that is only read."""
    from ssljax.report.page import write_page
    from ssljax.runs.evaluation import add_finetuned

    (tmp_path / "run").write_text("")
    add_finetuned(tmp_path / "run", {"accuracy": 1.0})
    assert "finetune.json cannot be written" in caplog.text
    with pytest.raises(OSError, match=r"report\.html cannot be written .*name another --out"):
        write_page(tmp_path / "run" / "report.html", "A run", [])


def test_a_few_labels_of_any_record():
    """Not only images: all leaves of the chosen examples come along."""
    rng = np.random.default_rng(0)
    series, steps = rng.normal(size=(40, 5, 2)).astype(np.float32), rng.random((40, 5)) < 0.5
    data = Arrays({"series": series, "steps": steps, "label": np.arange(40, dtype=np.int32) % 4})
    part, _ = _parts(data, data, FineTune(per_class=2), 0)
    assert part.spec.keys() == data.spec.keys() and len(part) == 8
    (rows,) = part.once(8)
    for x, s in zip(rows["series"], rows["steps"], strict=True):
        (row,) = np.flatnonzero((series == x).all((1, 2)))
        np.testing.assert_array_equal(s, steps[row])
