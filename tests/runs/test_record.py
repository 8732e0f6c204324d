"""Configurations survive JSON and never bring code along."""

import dataclasses
import json
import sys

import pytest

from ssljax.cli.flags import load_experiment, override
from ssljax.methods import FixMatch
from ssljax.probes import KNN, Evaluation, Evaluator, FewShot, Lidar
from ssljax.runs import record

FILES = ["simclr_digits", "simclr_cifar10", "byol_cifar10", "imagenet_simclr"]


@pytest.fixture(scope="module")
def root():
    from conftest import ROOT

    return ROOT


@pytest.mark.parametrize("name", FILES)
def test_every_experiment_survives_json(root, name):
    experiment = load_experiment(str(root / "experiments" / f"{name}.py"))
    text = json.dumps(record.encode(experiment))
    assert record.decode(json.loads(text)) == experiment


def test_override_by_flags(root):
    experiment = load_experiment(str(root / "experiments" / "simclr_digits.py"))
    changed = override(
        experiment,
        ["--method.temperature", "0.3", "--method.encoder.widths", "8", "16", "--steps", "7"],
    )
    assert changed.method.temperature == 0.3
    assert changed.method.encoder.widths == (8, 16)
    assert changed.steps == 7
    assert dataclasses.replace(changed, steps=500, method=experiment.method) == experiment
    assert record.differences(record.encode(experiment), record.encode(changed)) == [
        "method.encoder.widths: [32, 64, 128] -> [8, 16]",
        "method.temperature: 0.5 -> 0.3",
        "steps: 500 -> 7",
    ]


def test_unknown_flag_names_the_nearest(root):
    experiment = load_experiment(str(root / "experiments" / "simclr_digits.py"))
    with pytest.raises(ValueError, match=r"did you mean --method\.temperature\?"):
        override(experiment, ["--method.temprature", "0.3"])


def test_decode_refuses_foreign_classes_and_unknown_fields(tmp_path):
    with pytest.raises(ValueError, match="not part of ssljax"):
        record.decode({"type": "os:system"})
    with pytest.raises(ValueError, match="no dataclass main"):
        record.decode({"type": "ssljax.cli.commands:main"})
    with pytest.raises(ValueError, match="did you mean 'temperature'"):
        record.decode({"type": "ssljax.methods.simclr:SimCLR", "temperatur": 1.0})
    with pytest.raises(TypeError, match="JSON cannot hold"):
        record.encode({"f": print})


def test_decode_knows_older_names():
    old = {"type": "ssljax.methods.fixmatch:FixMatch", "labels_from": "live"}
    assert record.decode(old) == FixMatch()
    assert record.encode(record.decode(old))["labels_from"] == "online"


def test_classes_of_an_experiment_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mine:\n    a: int = 1\n    b: tuple = (1, 2)\n"
    )
    module = record.load_file(path)
    data = json.loads(json.dumps(record.encode(module.Mine(a=3))))
    with pytest.raises(ValueError, match="--experiment FILE"):
        record.decode(data)
    assert record.decode(data, module=module) == module.Mine(a=3)
    del sys.modules[module.__name__]


def test_missing_experiment_file_names_the_nearest(root):
    with pytest.raises(FileNotFoundError, match=r"did you mean .*simclr_digits.py"):
        load_experiment(str(root / "experiments" / "simclr_digit.py"))


def test_a_field_that_is_new_counts_with_its_default(root):
    """A run folder of an older version, which lacks a field, goes on; a changed value is told."""
    now = record.encode(load_experiment(str(root / "experiments" / "simclr_digits.py")))
    before = json.loads(json.dumps(now))
    del before["optimizer"]["vectors"]
    assert record.changes(before, now) == []
    now["optimizer"]["vectors"] = 0.5
    assert record.changes(before, now) == ["optimizer.vectors: 1.0 -> 0.5"]
    before["no_longer"] = 1  # a field that is gone: compared as it stands
    assert "no_longer: 1 -> None" in record.changes(before, now)


def test_the_evaluation_of_an_older_run_is_read():
    """As config.json had it until 2026-11, with all settings in one class."""
    kind = {"type": "ssljax.probes.evaluate:Evaluation"}
    usual = {"knn": ["knn20_t0.07", "knn200_t0.1"], "linear": True, "shots": [1, 5, 10]}
    usual |= {"least_squares": True, "draws": 10, "clustering": True, "retrieval": True}
    usual |= {"compared": 5000, "lidar_views": 10, "split_seeds": 3, "test_fraction": 0.2}
    assert record.decode(kind | usual | {"max_examples": 100000}) == Evaluation()
    other = {"knn": ["knn20_t0.07"], "shots": [4], "draws": 3, "lidar_views": 5, "linear": False}
    assert record.decode(kind | usual | other) == Evaluation(
        knn=KNN(protocols=("knn20_t0.07",)),
        few_shot=FewShot(shots=(4,), draws=3),
        lidar=Lidar(views=5),
        linear=None,
    )
    none = {"knn": [], "shots": [], "lidar_views": 0, "clustering": False, "retrieval": False}
    assert record.decode(kind | usual | none) == Evaluation(
        knn=None, few_shot=None, lidar=None, clustering=None, retrieval=None
    )
    with pytest.raises(ValueError, match="no field 'knnn'"):
        record.decode(kind | {"knnn": []})


def test_parts_are_left_out_by_flags(root):
    experiment = load_experiment(str(root / "experiments" / "simclr_digits.py"))
    flags = ["--evaluation.no-knn", "--evaluation.no-few-shot", "--evaluation.lidar.views", "3"]
    changed = override(experiment, flags).evaluation
    assert changed.knn is None and changed.few_shot is None and changed.lidar.views == 3
    assert changed.linear == experiment.evaluation.linear
    with pytest.raises(ValueError, match=r"did you mean --evaluation\.few-shot\.draws\?"):
        override(experiment, ["--evaluation.draws", "2"])
    several = dataclasses.replace(experiment, evaluation=Evaluation(more=(Holder(), Holder())))
    first, second = override(several, ["--evaluation.more.1.no-inner"]).evaluation.more
    assert first.inner == KNN() and second.inner is None


@dataclasses.dataclass(frozen=True)
class Holder(Evaluator):
    """An evaluator that holds another one, or none."""

    inner: KNN | None = KNN()

    def run(self, subject):
        return {} if self.inner is None else self.inner.run(subject)
