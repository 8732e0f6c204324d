"""Sweeps: what runs, what is skipped, what a failure leaves behind, and the table at the end."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ssljax import sweep
from ssljax.cli import commands as cli
from ssljax.methods import SimCLR
from ssljax.runs import record
from ssljax.runs.experiment import Experiment

BASE = Experiment(method=SimCLR(), steps=4, batch=8)
SWEEP = {
    f"t{t}": replace(BASE, method=replace(BASE.method, temperature=t)) for t in (0.1, 0.5, 1.0)
}


@pytest.fixture
def runs(monkeypatch):
    """Replaces the training by one that writes what a run writes; `fail` names those that fail."""
    done = SimpleNamespace(names=[], fail=set(), stop=set())

    def fake(experiment, folder):
        done.names.append(folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        encoded = record.encode(experiment)
        (folder / "config.json").write_text(json.dumps({"experiment": encoded}))
        if folder.name in done.fail:
            raise RuntimeError("the loss is NaN\nand more about it")
        (folder / "metrics.jsonl").write_text('{"step": 4, "loss": 1.0}\n')
        if folder.name in done.stop:
            return {"finished": False}
        trained = {"linear_offline": 0.9, "linear_offline_std": 0.01, "rankme": 3.25}
        encoders = {"trained": trained, "random": {"linear_offline": 0.5}}
        results = {
            "evaluation": {"encoders": encoders},
            "seconds": {"training": 7.0},
            "hardware": "2 cores",
        }
        (folder / "results.json").write_text(json.dumps(results))
        return {"finished": True}

    monkeypatch.setattr(sweep, "run", fake)
    return done


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "temperatures.py"
    path.write_text(
        "from ssljax.runs.experiment import Experiment\n"
        "from ssljax.methods import SimCLR\n"
        "SWEEP = {f't{t}': Experiment(method=SimCLR(temperature=t), steps=4, batch=8)"
        " for t in (0.1, 0.5, 1.0)}\n"
        "AXIS = 'method.temperature'\n"
    )
    return path


def test_all_runs_and_what_they_say_together(runs, file, tmp_path, capsys):
    folder = tmp_path / "out"
    cli.main(["sweep", str(file), "--workdir", str(folder)])
    assert runs.names == ["t0.1", "t0.5", "t1.0"]
    text = (folder / "sweep.txt").read_text()
    assert text.strip() in capsys.readouterr().out
    head, *rows = text.splitlines()
    assert head.split() == [
        "run",
        "method.temperature",
        "linear_offline",
        "rankme",
        "linear,",
        "random",
    ]
    assert rows[0].split() == ["t0.1", "0.1", "90.0", "±", "1.0", "3.2", "50.0"]
    table = list(csv.DictReader((folder / "sweep.csv").open()))
    assert [row["method.temperature"] for row in table] == ["0.1", "0.5", "1.0"]
    assert float(table[0]["trained.linear_offline"]) == 0.9
    assert table[0]["hardware"] == "2 cores"
    assert json.loads((folder / "sweep.json").read_text())[2]["random.linear_offline"] == 0.5
    assert (folder / "sweep.png").stat().st_size > 5_000
    assert "method.temperature" in (folder / "comparison.html").read_text()


@pytest.mark.turns
def test_finished_runs_are_skipped_and_one_index_runs_alone(runs, tmp_path):
    folder = tmp_path / "out"
    assert sweep.run_sweep(SWEEP, folder, index=1, say=lambda text: None)
    assert runs.names == ["t0.5"]
    said = []
    assert sweep.run_sweep(SWEEP, folder, say=said.append)
    assert runs.names == ["t0.5", "t0.1", "t1.0"]
    assert "t0.5: already finished" in said
    with pytest.raises(ValueError, match="experiments 0 to 2"):
        sweep.run_sweep(SWEEP, folder, index=3)


def test_a_failure_does_not_stop_the_others(runs, file, tmp_path, capsys):
    folder = tmp_path / "out"
    runs.fail = {"t0.5"}
    with pytest.raises(SystemExit) as stopped:
        cli.main(["sweep", str(file), "--workdir", str(folder)])
    assert stopped.value.code == 1
    assert runs.names == ["t0.1", "t0.5", "t1.0"]
    error = (folder / "t0.5" / "error.txt").read_text()
    assert "Traceback" in error and "the loss is NaN" in error
    shown = capsys.readouterr().out
    assert "t0.5: failed: the loss is NaN" in shown
    assert "t0.5 (failed)" in shown
    assert f"(all of it: {folder / 't0.5' / 'error.txt'})" in shown
    assert [row["status"] for row in csv.DictReader((folder / "sweep.csv").open())] == [
        *("finished", "failed", "finished")
    ]
    # Mended, the same command runs what failed and nothing else, and is content.
    runs.fail, runs.names = set(), []
    cli.main(["sweep", str(file), "--workdir", str(folder)])
    assert runs.names == ["t0.5"]
    assert not (folder / "t0.5" / "error.txt").exists()


def test_a_sweep_where_all_fail_still_ends_with_a_table(runs, tmp_path):
    runs.fail = set(SWEEP)
    assert sweep.run_sweep(SWEEP, tmp_path, say=lambda text: None)
    text, failed = sweep.summarize(SWEEP, tmp_path)
    assert failed == list(SWEEP)
    assert text.count("failed: ") == 3
    assert not (tmp_path / "sweep.png").exists()


def test_a_signal_leaves_the_rest_for_later(runs, tmp_path):
    runs.stop = {"t0.5"}
    said = []
    assert not sweep.run_sweep(SWEEP, tmp_path, say=said.append)
    assert runs.names == ["t0.1", "t0.5"]
    assert said[-1] == "stopped in t0.5; the same command goes on"
    text, failed = sweep.summarize(SWEEP, tmp_path)
    assert not failed
    assert "t0.5 (unfinished)" in text and "t1.0 (not started)" in text


def test_flags_hold_for_every_experiment(runs, file, tmp_path):
    folder = tmp_path / "out"
    cli.main(["sweep", str(file), "--workdir", str(folder), "--steps", "6", "--data", "npz:a.npz"])
    for name, t in (("t0.1", 0.1), ("t0.5", 0.5), ("t1.0", 1.0)):
        experiment = json.loads((folder / name / "config.json").read_text())["experiment"]
        assert (experiment["steps"], experiment["data"]) == (6, "npz:a.npz")
        assert experiment["method"]["temperature"] == t


def test_an_unknown_flag_names_the_nearest_before_anything_runs(runs, file, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["sweep", str(file), "--workdir", str(tmp_path / "out"), "--stepz", "6"])
    assert stopped.value.code == 2
    assert "--steps" in capsys.readouterr().err
    assert runs.names == []


def test_a_folder_of_another_configuration_is_refused(runs, file, tmp_path, capsys):
    folder = tmp_path / "out"
    cli.main(["sweep", str(file), "--workdir", str(folder), "--index", "2"])
    runs.names = []
    with pytest.raises(SystemExit) as stopped:
        cli.main(["sweep", str(file), "--workdir", str(folder), "--steps", "6", "--index", "0"])
    assert stopped.value.code == 2
    assert "steps: 4 -> 6" in capsys.readouterr().err
    assert runs.names == []


def test_bad_files(tmp_path):
    for text, message in (
        ("SWEEP = {}", "does not define SWEEP"),
        ("x = 1", "does not define SWEEP"),
        ("SWEEP = {'a': 1}", "is int, no Experiment"),
        (
            "from ssljax import Experiment\nSWEEP = {'../a': Experiment(method=None)}",
            "names no folder",
        ),
    ):
        path = tmp_path / "bad.py"
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            sweep.load_sweep(str(path))


def test_the_ablations_can_be_loaded_and_recorded():
    from conftest import ROOT

    files = sorted((ROOT / "experiments" / "ablations").glob("*.py"))
    assert len(files) >= 7
    for path in files:
        experiments, axis = sweep.load_sweep(str(path))
        flat = [dict(_flat(record.encode(e))) for e in experiments.values()]
        assert all(record.decode(record.encode(e)) == e for e in experiments.values()), path
        if axis is not None:
            assert len({row[axis] for row in flat}) == len(flat), f"{path}: AXIS tells none apart"
        assert f"experiments/ablations/{path.name}" in path.read_text(), (
            "the docstring has no command"
        )


def _flat(value, path=""):
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in _flat(v, f"{path}.{k}" if path else k)]
    return [(path, str(np.asarray(value, object)))]
