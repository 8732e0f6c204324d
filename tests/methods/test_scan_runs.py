"""The three runs of SCAN in a row, tiny: encoder, neighbours, own labels; and their score."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from ssljax import Experiment
from ssljax.cli.flags import override
from ssljax.method import backbone
from ssljax.methods import SimCLR
from ssljax.nets import MLP, SmallConv
from ssljax.runs.evaluation import untrained
from ssljax.runs.folder import prepare
from ssljax.runs.record import load_file
from ssljax.training.optimizers import Optimizer
from ssljax.training.train import Cadence, fit
from ssljax.views import plain_only

FILES = Path(__file__).resolve().parents[2] / "experiments"
NET = SmallConv(widths=(4, 8))
VIEW = replace(plain_only(size=8), translate=0.1)


def train(experiment, folder):
    """`run` without the evaluation at its end."""
    prepare(experiment, folder)
    dataset, _ = experiment.load()
    return fit(
        experiment.build(dataset),
        dataset,
        steps=experiment.steps,
        batch=experiment.batch,
        cadence=experiment.cadence,
        folder=folder,
    )


def small(experiment, *flags, **fields):
    cadence = Cadence(log=0, monitor=0, save=2, refresh=experiment.cadence.refresh and 2)
    method = replace(experiment.method, encoder=NET, view=VIEW)
    tiny = replace(
        experiment, method=method, data="digits", steps=2, batch=64, cadence=cadence, **fields
    )
    return override(tiny, flags)


def test_scan_from_simclr_to_scores(tmp_path, capsys):
    simclr = Experiment(
        method=SimCLR(encoder=NET, projector=MLP(widths=(8, 4)), view=VIEW),
        data="digits",
        optimizer=Optimizer(name="sgd", learning_rate=0.1),
        steps=2,
        batch=64,
        cadence=Cadence(log=0, monitor=0, save=2),
    )
    first = train(simclr, tmp_path / "simclr")

    module = load_file(FILES / "scan_cifar10.py")
    scan = small(module.EXPERIMENT, "--pretrained", str(tmp_path / "simclr"), "--neighbors", "5")
    assert type(scan) is module.Scan  # flags keep the class and its own fields
    scan = replace(scan, method=replace(scan.method, heads=2, standardize=True))
    dataset, _ = scan.load()
    table = np.load(tmp_path / "simclr" / "neighbors-2-5.npy")
    assert table.shape == (len(dataset), 6)
    assert np.mean(table[:, 0] == np.arange(len(dataset))) > 0.95  # itself, but for copies
    # it begins from the encoder of the first run, and the random one is still there to compare with
    method = scan.build(dataset)
    fresh = untrained(scan, method, dataset)
    begun = method.refresh(fresh, dataset)
    jax.tree.map(np.testing.assert_array_equal, backbone(begun), backbone(first))
    assert not np.array_equal(*(jax.tree.leaves(s.params["encoder"])[0] for s in (fresh, begun)))
    second = train(scan, tmp_path / "scan")

    module = load_file(FILES / "self_label_cifar10.py")
    own = small(module.EXPERIMENT, "--pretrained", str(tmp_path / "scan"))
    own = replace(own, method=replace(own.method, standardize=True))
    dataset, _ = own.load()
    begun = own.build(dataset)
    begun = begun.refresh(untrained(own, begun, dataset), dataset)
    rows = next(dataset.once(64))
    np.testing.assert_allclose(
        own.method.answer(begun, rows), scan.method.answer(second, rows), rtol=1e-5, atol=1e-5
    )
    train(own, tmp_path / "own")

    score = load_file(FILES / "cluster_score.py")
    results = score.main(
        [str(tmp_path / "own"), "--experiment", str(FILES / "self_label_cifar10.py")]
    )
    assert results["train"].keys() == {"accuracy", "nmi", "ari"}
    assert 0.1 <= results["train"]["accuracy"] <= 1
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        "colorization_cifar10",
        "deepcluster_cifar10",
        "jigsaw_cifar10",
        "relative_patch_cifar10",
        "rotation_cifar10",
        "scan_cifar10",
        "self_label_cifar10",
    ],
)
def test_experiment_files(name):
    """Each traces at its real size, without computing anything."""
    experiment = load_file(FILES / f"{name}.py").EXPERIMENT
    experiment.cadence.check(experiment.steps)
    method = experiment.method.build(
        experiment.optimizer.build(steps=experiment.steps, batch=experiment.batch),
        updates=experiment.steps,
    )
    image = jax.ShapeDtypeStruct((experiment.batch, 32, 32, 3), np.uint8)
    batch = {"image": image, "index": jax.ShapeDtypeStruct((experiment.batch,), np.int32)}
    if name == "scan_cifar10":
        batch["neighbor"] = image
    key = jax.random.key(0)
    state = jax.eval_shape(method.init, key, batch)
    after, metrics = jax.eval_shape(method.step, state, batch, key)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert metrics["loss"].shape == ()
    assert jax.eval_shape(method.embed, state, batch).shape == (experiment.batch, 512)
    if method.refresh is not None or name in ("scan_cifar10", "self_label_cifar10"):
        assert experiment.cadence.refresh > 0
