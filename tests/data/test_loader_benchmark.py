"""The loader benchmark measures what it says, on a few images."""

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "experiments" / "benchmarks" / "loader.py"
sys.path.insert(0, str(FILE.parent))  # as when it is run as a program
spec = importlib.util.spec_from_file_location("loader_benchmark", FILE)
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


def test_all_loaders_give_the_same_examples(tmp_path):
    rows = bench.made_up(64)
    bench.write_parquet(tmp_path / "a.parquet", rows)
    todo = bench.cases(rows, tmp_path / "a.parquet", batch=16, workers=[0])
    assert len(todo) >= 2
    whole = sorted(image.tobytes() for image in rows["image"])
    for begin in todo.values():
        epoch = []
        for batch in itertools.islice(begin(), 4):
            image = batch["image"] if isinstance(batch, dict) else batch[0].numpy()
            assert image.shape == (16, 32, 32, 3) and image.dtype == np.uint8
            epoch += [i.tobytes() for i in image]
        assert sorted(epoch) == whole


def test_speed_counts_examples_by_the_clock(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock) / 2)
    # Looked at: start 0; after batches 1 and 2 at 0.5 and 1.0; end at 1.5 seconds.
    found = bench.speed(itertools.repeat(None), batch=30, seconds=1.0)
    assert found == pytest.approx(2 * 30 / 1.5)


def test_pictures_of_all_loaders_are_alike(tmp_path):
    bench.write_pictures(tmp_path / "pictures", 64)
    todo = bench.picture_cases(tmp_path, workers=0)
    assert len(todo) >= 3
    means = []
    for begin in todo.values():
        batch = next(begin())
        image = batch["image"] if isinstance(batch, dict) else batch[0].numpy()
        assert image.shape == (64, 224, 224, 3) and image.dtype == np.uint8
        means.append(np.sort(image.mean((1, 2, 3))))
    np.testing.assert_allclose(means, np.broadcast_to(means[0], np.shape(means)), atol=0.5)


def test_table(capsys, tmp_path):
    size = ["--examples", "64", "--streamed", "32", "--batch", "8", "--workers", "0"]
    small = [*size, "--seconds", "0.01", "--repeats", "2"]
    found = bench.main([*small, "--json", str(tmp_path / "out.json")])
    printed = capsys.readouterr().out
    assert all(name in printed for name in found["images_per_second"])
    assert all(len(v) == 2 and min(v) > 0 for v in found["images_per_second"].values())
    assert "numpy: " in printed and "date: " in printed and (tmp_path / "out.json").exists()
