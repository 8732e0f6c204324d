"""Probes on other data than that of training: labels beside a pool without any."""

import dataclasses
import json

import numpy as np
import pytest

from ssljax import Cadence, Experiment
from ssljax.cli import commands as cli
from ssljax.cli.flags import override
from ssljax.data import Images
from ssljax.methods import SimCLR
from ssljax.nets import MLP, SmallConv
from ssljax.probes import Evaluation
from ssljax.runs.experiment import MAY_DIFFER
from ssljax.runs.folder import accept, compared
from ssljax.runs.run import run
from ssljax.views import ImageView

VIEW = ImageView(size=8, flip=0.0, jitter=0.0, grayscale=0.0, blur=0.0)
PROBES = Evaluation(
    knn=None, few_shot=None, clustering=None, retrieval=None, lidar=None, split_seeds=1
)


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """A pool without labels, and other images of which half are bright: two classes."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "pool.npz", image=rng.integers(0, 255, (32, 8, 8, 1), dtype=np.uint8))
    label = np.arange(40) % 2
    image = rng.integers(0, 40, (40, 8, 8, 1)) + 200 * label[:, None, None, None]
    np.savez(tmp_path / "known.npz", image=image.astype(np.uint8), label=label)
    monkeypatch.chdir(tmp_path)
    return Experiment(
        method=SimCLR(encoder=SmallConv(widths=(4,)), projector=MLP(widths=(4,)), view=VIEW),
        data="npz:pool.npz",
        probe_data="npz:known.npz",
        reader=Images(size=8, channels=1),
        steps=2,
        batch=16,
        cadence=Cadence(log=1, save=0, evaluate=0, monitor=0),
        evaluation=PROBES,
    )


@pytest.mark.turns
def test_a_run_is_probed_on_other_data(experiment, tmp_path, capsys, monkeypatch):
    found = run(experiment, tmp_path / "run")["evaluation"]
    assert found["protocol"]["probe_data"] == "npz:known.npz"
    assert found["protocol"]["train_examples"] == 40
    assert "40 training examples of npz:known.npz, which is not what" in found["notes"][0]
    assert found["encoders"]["pixels"]["linear_offline"] > 0.9  # the pool has no labels at all
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["experiment"]["probe_data"] == "npz:known.npz"
    assert json.loads((tmp_path / "run" / "data.json").read_text())["train"]["examples"] == 32
    # From anywhere else, and again: the same numbers.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    capsys.readouterr()
    cli.main(["probe", str(tmp_path / "run"), "--json"])
    again = json.loads(capsys.readouterr().out)["evaluation"]
    assert again["encoders"] == found["encoders"] and again["notes"] == found["notes"]


def test_it_may_change_while_a_run_goes_on(experiment, tmp_path):
    other = override(experiment, ["--probe-data", "npz:other.npz"])
    assert other.probe_data == "npz:other.npz"
    (tmp_path / "run").mkdir()
    accept(experiment, tmp_path / "run", [])
    (tmp_path / "run" / "saved.json").write_text('{"step": 1}')  # something was trained
    changed = compared(other, tmp_path / "run", may_differ=MAY_DIFFER)
    assert changed == ["probe_data: 'npz:known.npz' -> 'npz:other.npz'"]
    with pytest.raises(ValueError, match="another configuration"):
        compared(dataclasses.replace(other, seed=1), tmp_path / "run", may_differ=MAY_DIFFER)


def test_data_of_another_shape_is_refused_before_anything_is_written(experiment, tmp_path):
    train, _ = experiment.load()
    train.spec = train.spec | {"image": ((8, 8, 3), np.dtype(np.uint8))}
    with pytest.raises(ValueError, match=r"probe_data npz:known\.npz: its image is \(8, 8, 1\)"):
        experiment.probed(train, None)
    with pytest.raises(FileNotFoundError):
        run(dataclasses.replace(experiment, probe_data="npz:gone.npz"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
