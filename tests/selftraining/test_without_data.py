"""A run of self-training is whole without its data, and says in one line where it needs it."""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

from ssljax.cli import commands as cli
from ssljax.data import Images
from ssljax.nets import SmallConv
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.runs.folder import read_config
from ssljax.selftraining.learners import Network, Scikit
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.run import run_self_training
from ssljax.selftraining.teachers import load_teacher
from ssljax.tasks import ImageInput, OneOf, Task
from ssljax.training.optimizers import Optimizer
from ssljax.views import plain_only


@dataclass(frozen=True)
class Bayes:
    """An estimator of scikit-learn."""

    def __call__(self):
        return GaussianNB(var_smoothing=0.1)


def write(path, shift=0):
    digits = load_digits()
    image = digits.images[:200].astype(np.uint8)[..., None] + np.uint8(shift)
    np.savez(path, image=image, label=digits.target[:200])
    return path


def plan(data, learner):
    return SelfTraining(
        learner=learner,
        data=f"npz:{data}",
        few=2,
        rounds=Rounds(count=1, select=Greedy(per_class=5)),
        seeds=(0,),
        full=False,
    )


NETWORK = Network(
    task=Task(
        inputs=ImageInput(view=plain_only(size=8, mean=(0.3,), std=(0.4,))),
        encoder=SmallConv(widths=(4,)),
        target=OneOf(classes=10),
    ),
    optimizer=Optimizer(learning_rate=1e-2, per_batch=None),
    steps=4,
    batch=16,
)


def failed(capsys, *arguments):
    with pytest.raises(SystemExit):
        cli.main(list(map(str, arguments)))
    return capsys.readouterr().err.splitlines()[0]


@pytest.mark.turns
def test_a_network_needs_no_data(tmp_path, capsys, monkeypatch):
    """The data is named from the folder of the start, is gone, and comes back elsewhere."""
    monkeypatch.chdir(tmp_path)
    data, other = write(tmp_path / "data.npz"), write(tmp_path / "other.npz")
    made = plan("data.npz", NETWORK)
    run_self_training(made, tmp_path / "run")
    whole = load_teacher(tmp_path / "run")[1].states[0].params
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    cli.main(["label", "../run", "--out", "all.csv"])  # found beside the folder of the start
    moved = shutil.move(data, tmp_path / "away" / "moved.npz")
    cli.main(["export", "../run", "--format", "safetensors", "--out", "x.safetensors"])
    cli.main(["embed", "../run", "--data", f"npz:{other}", "--out", "x.npz"])
    cli.main(["label", "../run", "--data", f"npz:{other}", "--out", "other.csv"])
    cli.main(["report", "../run", "--out", "page.html"])
    assert len(np.load("x.npz")["features"]) == 200
    rows = [Path(name).read_text().splitlines() for name in ("all.csv", "other.csv")]
    assert [len(found) for found in rows] == [161, 201]  # the pool, and the whole of other data
    again = load_teacher(tmp_path / "run")[1].states[0].params
    np.testing.assert_array_equal(whole["encoder"]["conv1"]["kernel"],
                                  again["encoder"]["conv1"]["kernel"])  # fmt: skip
    for command in (["label", "../run", "--out", "y.csv"], ["probe", "../run"]):
        said = failed(capsys, *command)
        assert "data.npz" in said and "name data with --data" in said, said

    tune = ["--finetune", "--per-class", "2", "--steps", "2", "--batch", "16", "--json"]
    capsys.readouterr()
    cli.main(["probe", "../run", "--data", f"npz:{other}", *tune])
    tuned = json.loads(capsys.readouterr().out)["finetune"]["encoders"]
    assert {e: found["labels"] for e, found in tuned.items()} == {"pretrained": 20, "random": 20}

    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "results.json").unlink()
    changed = write(tmp_path / "changed.npz", shift=1)
    with pytest.raises(ValueError, match="of other content"):
        run_self_training(plan(changed, NETWORK), tmp_path / "run")
    run_self_training(plan(moved, NETWORK), tmp_path / "run")
    assert read_config(tmp_path / "run")["experiment"]["data"] == f"npz:{moved}"
    assert (tmp_path / "run" / "results.json").is_file()


def test_other_test_data_is_refused(tmp_path):
    """Of other content in the same place: earlier rounds were scored on what was there."""
    data, test = write(tmp_path / "data.npz"), write(tmp_path / "test.npz", shift=2)
    made = plan(data, Scikit(estimator=Bayes(), reader=Images()))
    made = dataclasses.replace(made, test=f"npz:{test}:train")
    run_self_training(made, tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    write(test, shift=1)
    with pytest.raises(ValueError, match=r"the test data is not what the run .* was measured on"):
        run_self_training(made, tmp_path / "run")
    write(test, shift=2)
    run_self_training(made, tmp_path / "run")


def test_an_estimator_says_that_it_needs_its_data(tmp_path, capsys):
    """It is fitted again from the labels and the data, each time that it is asked."""
    data = write(tmp_path / "data.npz")
    made = plan(data, Scikit(estimator=Bayes(), reader=Images()))
    run_self_training(made, tmp_path / "run")
    shutil.move(data, tmp_path / "moved.npz")
    flags = ["--experiment", __file__, "--data", f"npz:{tmp_path}/moved.npz"]
    said = failed(capsys, "label", tmp_path / "run", *flags, "--out", tmp_path / "x.csv")
    assert "data.npz" in said and "put it back there" in said, said
