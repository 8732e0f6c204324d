"""Features as a file, the encoder as an object, training in one call: on tiny pictures and texts,
after the training data has gone."""

import csv
import json
import shutil

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

import ssljax
from ssljax.cli import commands as cli
from ssljax.data import Table, TimeSeries
from ssljax.probes import Evaluation
from ssljax.runs.load import load_run
from ssljax.use.start import experiment_for

LITTLE = Evaluation(
    knn=None, linear=None, few_shot=None, clustering=None, retrieval=None, lidar=None, split_seeds=1
)


def pictures(folder, count, seed):
    """PNGs of 12 x 10 pixels in two class folders; their arrays by name."""
    rng, found = np.random.default_rng(seed), {}
    for i in range(count):
        name = f"{'ab'[i % 2]}/{i:02d}.png"
        found[name] = rng.integers(0, 256, (12, 10, 3), np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(found[name]).save(folder / name)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(run folder, encoder), whose training pictures are gone."""
    place = tmp_path_factory.mktemp("use")
    pictures(place / "train", 20, 0)
    run = place / "run"
    encoder = ssljax.train(
        method="simclr", data=f"folder:{place / 'train'}", out=run, steps=2, evaluation=LITTLE
    )
    shutil.rmtree(place / "train")
    return run, encoder


@pytest.mark.turns
def test_sizes_follow_the_data(made):
    run, encoder = made
    assert encoder.spec["image"][0] == (32, 32, 3) and encoder.classes == ("a", "b")
    experiment = json.loads((run / "config.json").read_text())["experiment"]
    assert experiment["batch"] == 8 and experiment["steps"] == 2
    with pytest.raises(ValueError, match="no field step"):
        experiment_for("simclr", "digits", step=3)
    with pytest.raises(ValueError, match="scan needs more than data"):
        experiment_for("scan", "digits")


def test_sizes_of_a_method_follow_the_data(tmp_path):
    for name in pictures(tmp_path / "p", 20, 0):
        Image.new("RGB", (70, 65)).save(tmp_path / "p" / name)
    experiment = experiment_for("flexmatch", f"folder:{tmp_path / 'p'}")
    method = experiment.method
    assert (method.classes, method.examples, method.weak.size) == (2, 20, 64)
    assert (experiment.reader.size, method.strong.size, experiment.batch) == (64, 64, 8)
    (tmp_path / "t.txt").write_text("a row of five words\n\n" * 40)
    experiment = experiment_for("bert", f"text:{tmp_path / 't.txt'}")
    assert (experiment.reader.length, experiment.method.encoder.length) == (16, 16)


def test_embed_writes_what_the_method_says(made, tmp_path, capsys):
    """Beside an own resize of the pictures and a plain call of the method."""
    run, encoder = made
    arrays = pictures(tmp_path / "new", 13, 1)
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    command = ["embed", str(run), "--data", f"folder:{tmp_path / 'new'}", "--out"]
    for kind in ("parquet", "npz", "csv"):
        cli.main([*command, str(tmp_path / f"x.{kind}")])
    assert "13 examples" in capsys.readouterr().out
    _, method, state, *_ = load_run(run)
    names = sorted(arrays)
    image = []
    for name in names:  # the shorter side at 32, the middle of the longer one
        wide = Image.fromarray(arrays[name]).resize((32, 38), Image.Resampling.BICUBIC)
        image.append(np.asarray(wide.crop((0, 3, 32, 35))))
    expected = np.asarray(method.embed(state, {"image": np.stack(image)}), np.float32)
    table = pq.read_table(tmp_path / "x.parquet").to_pydict()
    assert table["file"] == names and table["index"] == list(range(13))
    assert table["class"] == [name[0] for name in names]
    np.testing.assert_allclose(np.array(table["features"]), expected, atol=1e-5)
    with np.load(tmp_path / "x.npz") as found:
        assert found["name"].tolist() == names
        np.testing.assert_array_equal(found["features"], np.float32(table["features"]))
    rows = list(csv.DictReader((tmp_path / "x.csv").open()))
    assert [row["file"] for row in rows] == names
    last = np.float32([rows[12][f"f{i}"] for i in range(expected.shape[1])])
    np.testing.assert_array_equal(last, np.float32(table["features"][12]))
    # From Python: by name of the data, by files, by arrays.
    for x in (f"folder:{tmp_path / 'new'}", [tmp_path / "new" / n for n in names], np.stack(image)):
        np.testing.assert_allclose(encoder(x), expected, atol=1e-5)
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    with pytest.raises(SystemExit):
        cli.main(["embed", str(run), "--out", str(tmp_path / "y.npz")])
    assert "no longer where it was: put it back there, or name data" in capsys.readouterr().err


@pytest.mark.turns
def test_shards_are_one_data_set(made, tmp_path, monkeypatch, capsys):
    run, encoder = made
    names = sorted(pictures(tmp_path / "new", 13, 1))
    data = f"folder:{tmp_path / 'new'}"
    command = ["embed", str(run), "--data", data, "--out", str(tmp_path / "f" / "p.parquet")]
    for i in (2, 0, 1):
        cli.main([*command, "--shard", f"{i}/3"])
    with monkeypatch.context() as only:  # once more, without a look at the network
        only.setattr("ssljax.cli.results.Encoder", None)
        cli.main([*command, "--shard", "0/3"])
        assert "is there with 4 examples: nothing" in capsys.readouterr().out
    files = sorted(p.name for p in (tmp_path / "f").iterdir())
    assert files == [f"p-{i:05d}-of-00003.parquet" for i in range(3)]
    table = ds.dataset(tmp_path / "f").to_table()
    assert table["file"].to_pylist() == names and table["index"].to_pylist() == list(range(13))
    np.testing.assert_allclose(np.array(table["features"].to_pylist()), encoder(data), atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out", "there.csv"], "there already: --overwrite"),
        (["--out", "x.txt"], "ends in .parquet"),
        (["--out", "RUN/x.csv"], "lies in the run folder"),
        (["--out", "x.parquet", "--shard", "3/3"], "i from 0 to n - 1"),
        (["--out", "x.csv", "--shard", "0/3"], "shards are .parquet"),
    ],
)
def test_what_cannot_be_is_refused(made, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("mine")
    flags = [flag.replace("RUN", str(made[0])) for flag in flags]
    monkeypatch.setattr("ssljax.cli.results.Encoder", None)  # none is needed to say so
    with pytest.raises(SystemExit):
        cli.main(["embed", str(made[0]), "--data", "digits", *flags])
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["there.csv"]


def test_scales_and_categories_are_those_of_the_run(tmp_path):
    """Of other data, which has another mean and lacks a category."""
    (tmp_path / "a.csv").write_text("size,kind,label\n1,x,p\n3,y,q\n")
    (tmp_path / "b.csv").write_text("size,kind\n7,y\n")
    run = tmp_path / "run"
    run.mkdir()
    Table().prepared(f"csv:{tmp_path / 'a.csv'}", run)
    (tmp_path / "a.csv").unlink()
    reader = Table().prepared("csv:gone", run)
    rows = reader.load(f"csv:{tmp_path / 'b.csv'}").take(np.array([0]))
    np.testing.assert_allclose(rows["features"], [[(7 - 2) / 1, 0, 1]])
    np.testing.assert_allclose(reader.rows([{"size": 7, "kind": "y"}])["features"], [[5, 0, 1]])
    head = "@timeStamps false\n@classLabel true a b\n@data\n"
    (tmp_path / "X_TRAIN.ts").write_text(head + "1,3:a\n5,7:b\n")
    other = TimeSeries(length=2).prepared(f"ts:{tmp_path}", run)
    x = [[9.0], [4.0]]
    expected = (np.array([x]) - 4) / np.std([1, 3, 5, 7])
    np.testing.assert_allclose(other.rows([x])["series"], expected, rtol=1e-6)
