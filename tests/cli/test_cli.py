"""The commands as a user types them, on the digits, with tiny networks."""

import contextlib
import gzip
import json
import shutil

import numpy as np
import pytest

from ssljax.cli import commands as cli

TINY = [
    *["--steps", "4", "--batch", "64", "--method.encoder.widths", "4", "8"],
    *["--method.projector.widths", "8", "4", "--cadence.log", "2", "--cadence.save", "2"],
    *["--cadence.evaluate", "4", "--cadence.monitor", "2", "--optimizer.warmup", "0"],
    *["--evaluation.few-shot.draws", "2", "--evaluation.split-seeds", "2"],
]


@pytest.fixture(scope="module")
def root():
    from conftest import ROOT

    return ROOT


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    file = str(root / "experiments" / "simclr_digits.py")
    cli.main(["train", file, "--workdir", str(folder), *TINY])
    return folder


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_train_writes_the_run_folder(finished):
    names = {p.name for p in finished.iterdir()}
    assert names >= {
        *("config.json", "metrics.jsonl", "results.json", "report.html"),
        *("report.npz", "tensorboard", "checkpoints"),
    }
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert all(np.isfinite(row["loss"]) for row in rows)
    config = json.loads((finished / "config.json").read_text())
    assert config["experiment"]["method"]["encoder"]["widths"] == [4, 8]
    assert config["versions"]["jax"]
    results = json.loads((finished / "results.json").read_text())
    assert results["evaluation"]["encoders"].keys() == {"trained", "random", "pixels"}
    page = (finished / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_training_again_resumes_and_another_configuration_is_refused(root, finished, capsys):
    file = str(root / "experiments" / "simclr_digits.py")
    cli.main(["train", file, "--workdir", str(finished), *TINY])
    rows = (finished / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 2
    error = fails(
        capsys, "train", file, "--workdir", str(finished), *TINY, "--method.temperature", "0.9"
    )
    assert "another configuration" in error
    assert "method.temperature: 0.5 -> 0.9" in error


@pytest.mark.turns
def test_checkpoints_in_another_place(root, tmp_path, capsys):
    file, store = str(root / "experiments" / "simclr_digits.py"), tmp_path / "store"
    folder = tmp_path / "run"
    cli.main(["train", file, "--workdir", str(folder), "--store", str(store), *TINY])
    assert {"2", "4"} <= {p.name for p in store.iterdir()}
    assert not (folder / "checkpoints").exists()
    capsys.readouterr()
    cli.main(["probe", str(folder), "--json"])
    assert json.loads(capsys.readouterr().out)["step"] == 4


def test_probe(finished, capsys):
    cli.main(["probe", str(finished), "--json"])
    shown = json.loads(capsys.readouterr().out)
    trained = json.loads((finished / "results.json").read_text())["evaluation"]["encoders"]
    assert shown["step"] == 4
    assert shown["evaluation"]["encoders"]["trained"] == trained["trained"]


def test_finetune(finished, capsys):
    few = ["--finetune", "--per-class", "4", "--steps", "3", "--batch", "16", "--seeds", "2"]
    cli.main(["probe", str(finished), *few, "--json"])
    shown = json.loads(capsys.readouterr().out)["finetune"]
    assert shown["encoders"].keys() == {"pretrained", "random"}
    assert shown["encoders"]["pretrained"]["labels"] == 40
    assert shown["protocol"]["per_class"] == 4
    (kept,) = json.loads((finished / "finetune.json").read_text())
    assert kept == {"step": 4, "data": "digits", **shown}
    cli.main(["report", str(finished)])
    assert "Fine-tuning" in (finished / "report.html").read_text()
    assert "with --finetune more" in fails(capsys, "probe", str(finished), "--steps", "3")


@pytest.mark.turns
def test_profile_writes_a_trace(root, tmp_path, capsys):
    file = str(root / "experiments" / "simclr_digits.py")
    out = tmp_path / "trace"
    cli.main(["profile", file, "--out", str(out), "--calls", "2", *TINY])
    shown = capsys.readouterr().out
    assert "2 calls of 1 step(s)" in shown
    (trace,) = out.rglob("perfetto_trace.json.gz")
    assert str(trace) in shown
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert sum(event.get("name") == "train" for event in events) == 2
    assert "must be at least 1" in fails(capsys, "profile", file, "--calls", "0")


def test_report_and_comparison(finished, tmp_path, capsys):
    cli.main(["report", str(finished), "--out", str(tmp_path / "r.html")])
    cli.main(["report", str(finished), str(finished), "--out", str(tmp_path / "c.html")])
    assert (tmp_path / "r.html").stat().st_size > 10_000
    assert (tmp_path / "c.html").stat().st_size > 5_000


def test_export_safetensors(finished, tmp_path):
    from safetensors.numpy import load_file

    out = tmp_path / "encoder.safetensors"
    cli.main(["export", str(finished), "--format", "safetensors", "--out", str(out)])
    tensors = load_file(out)
    assert tensors
    assert any("kernel" in name for name in tensors)


def test_sweep_skips_finished_runs(root, finished, tmp_path, capsys):
    file = tmp_path / "sweep.py"
    file.write_text(
        "import dataclasses\n"
        "from ssljax.cli.flags import load_experiment, override\n"
        "from ssljax.probes import Evaluation\n"
        "LEFT_OUT = 'linear', 'few_shot', 'clustering', 'retrieval', 'spectrum', 'lidar'\n"
        f"path = {str(root / 'experiments/simclr_digits.py')!r}\n"
        f"base = override(load_experiment(path), {TINY})\n"
        "SWEEP = {'digits': base, 't0.1': dataclasses.replace(base, method=dataclasses.replace("
        "base.method, temperature=0.1), evaluation=Evaluation(**dict.fromkeys(LEFT_OUT)))}\n"
    )
    options = ["sweep", str(file), "--workdir", str(tmp_path / "out")]
    shutil.copytree(finished, tmp_path / "out" / "digits")
    cli.main([*options, "--index", "0"])
    assert not (tmp_path / "out" / "t0.1").exists()
    cli.main(options)
    shown = capsys.readouterr().out
    assert shown.count("digits: already finished") == 2
    assert (tmp_path / "out" / "t0.1" / "results.json").exists()
    assert (tmp_path / "out" / "comparison.html").exists()


def test_list(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    cli.main(["list", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert "SimCLR" in shown["methods"]
    assert "experiments/simclr_digits.py" in shown["experiments"]
    cli.main(["list"])
    assert "SimCLR" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "probe", "export", "sweep", "report", "list"])
def test_help(command, capsys):
    with contextlib.suppress(SystemExit):
        cli.main([command, "--help"])
    assert "usage: ssljax " + command in capsys.readouterr().out


def test_bad_input(root, tmp_path, capsys):
    file = str(root / "experiments" / "simclr_digits.py")
    where = ["--workdir", str(tmp_path / "w")]
    assert "did you mean train" in fails(capsys, "trian")
    assert "no experiment file" in fails(capsys, "train", "nothing.py")
    assert "nothing.npz" in fails(capsys, "train", file, *where, "--data", "npz:nothing.npz")
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "cannot be written" in fails(capsys, "train", file, "--workdir", str(blocked / "w"))
    error = fails(capsys, "train", file, "--workdir", str(tmp_path / "v"), "--batch", "100")
    assert "multiple of 8" in error
    error = fails(capsys, "train", file, "--workdir", str(tmp_path / "u"), "--batch", "4096")
    assert "4096" in error
    assert "1797" in error
    assert "not a run folder" in fails(capsys, "probe", str(tmp_path))
