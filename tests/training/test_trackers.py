"""Weights & Biases and MLflow, offline: every row, and a resumed run goes on in the same."""

import json
import struct

import pytest
from test_train import ROWS, quadratic

from ssljax import Cadence, fit
from ssljax.data import Arrays
from ssljax.training.trackers import check_trackers


def trained(folder, tracker):
    """Four steps, stopped, and two more; returns {step: loss} as metrics.jsonl has it."""
    (folder / "config.json").write_text(json.dumps({"experiment": {"batch": 16}}))
    options = {"batch": 16, "folder": folder, "trackers": (tracker,)}
    for steps in (4, 6):
        cadence = Cadence(log=1, save=2, monitor=0)
        fit(quadratic(), Arrays(ROWS), steps=steps, cadence=cadence, **options)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows}


def records(content):
    """The messages in a log of Weights & Biases: LevelDB's format behind seven bytes of its own."""
    at, parts = 7, b""
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:  # no header fits: the block is filled up
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        parts += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def test_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="an optional extra")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    expected = trained(tmp_path, "mlflow")
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    number = client.get_experiment_by_name("ssljax").experiment_id
    (run,) = client.search_runs([number])
    found = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "loss")}
    assert found == expected and set(expected) == set(range(1, 7))
    assert run.info.status == "FINISHED"


def test_wandb(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="an optional extra")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    expected, found, runs = trained(tmp_path, "wandb"), {}, set()
    for path in sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb")):
        for data in records(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(data)
            runs |= {record.run.run_id} - {""}
            row = {x.key or x.nested_key[0]: x.value_json for x in record.history.item}
            if "loss" in row:
                found[int(row["_step"])] = json.loads(row["loss"])
    assert found == expected and set(expected) == set(range(1, 7))
    assert runs == {json.loads((tmp_path / "trackers.json").read_text())["wandb"]}


def test_a_tracker_that_is_missing_is_said_before_training(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'ssljax\[wandb\]'"):
        check_trackers(("wandb",))
    with pytest.raises(ValueError, match="no tracker 'wand'"):
        check_trackers(("wand",))
