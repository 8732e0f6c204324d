"""Pictures written once, small: the same examples, whatever is killed, damaged or asked twice."""

import io
import itertools

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ssljax import data
from ssljax.cli import commands as cli
from ssljax.data import Images, open_source, packed
from ssljax.data import prepare as preparing
from ssljax.data.prepare import prepare


def smooth(rng, h, w):
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return coarse.resize((w, h), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    """Seven JPEGs of 50 x 40 and a small PNG in two classes of train, two pictures of test."""
    rng, place = np.random.default_rng(0), tmp_path / "pictures"
    for i in range(10):
        file = place / ("train" if i < 8 else "test") / "ab"[i % 2] / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        if i == 3:
            smooth(rng, 9, 12).save(file.with_suffix(".png"))
        else:
            smooth(rng, 40, 50).save(file, quality=95)
    return place


def test_what_is_read_is_what_was_there(folder, tmp_path):
    out = tmp_path / "out"
    done = prepare(f"folder:{folder}", out, size=20, shard=3)
    assert done == (4, 0, 4, 10, [])
    assert sorted(p.name for p in out.glob("*.parquet"))[1] == "train-00000-of-00003.parquet"
    for split in ("train", "test"):
        one, two = (
            open_source(f"{kind}:{place}", split=split)
            for kind, place in (("folder", folder), ("parquet", out))
        )
        assert two.classes == one.classes == ("a", "b")
        np.testing.assert_array_equal(two.labels(), one.labels())
        assert [two.key(i) for i in range(len(two))] == [one.key(i) for i in range(len(one))]
        for i in range(len(one)):
            was, now = one[i]["image"], two[i]["image"]
            picture = Image.open(io.BytesIO(was))
            if min(picture.size) <= 20:
                assert now == was  # no larger: byte for byte
                continue
            found = Image.open(io.BytesIO(now))
            assert found.format == "JPEG" and found.size == (25, 20)
            expected = picture.resize((25, 20), Image.Resampling.BICUBIC)
            assert np.abs(np.asarray(found, int) - np.asarray(expected, int)).mean() < 6  # of JPEG
    table = pq.read_table(out / "train-00001-of-00003.parquet").to_pydict()  # as others read it
    source = open_source(f"parquet:{out}", split="train")
    assert table["image"] == [source[i]["image"] for i in (3, 4, 5)]


def test_training_sees_the_same_batches(folder, tmp_path, monkeypatch):
    """In the same order, without a row group and without its cache."""
    prepare(f"folder:{folder}", tmp_path / "out", size=20, shard=3)
    monkeypatch.setattr("ssljax.data.parquet.read_group", None)
    images, specs = Images(size=16), (f"folder:{folder}", f"parquet:{tmp_path / 'out'}")
    one, two = (data.load(s, images=images, in_memory_bytes=0, workers=0) for s in specs)
    pairs = zip(one.batches(4, seed=1, start=1), two.batches(4, seed=1, start=1), strict=True)
    for a, b in itertools.islice(pairs, 5):
        np.testing.assert_array_equal(a["index"], b["index"])
        np.testing.assert_array_equal(a["label"], b["label"])
        assert np.abs(a["image"].astype(int) - b["image"]).mean() < 6  # of JPEG
    assert data.load(specs[1], images=images).names == data.load(specs[0], images=images).names


def test_arrays_lose_nothing_and_missing_labels_stay_missing(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", image=rows, label=np.array([1, -1, 0, 2, 2]))
    prepare(f"npz:{tmp_path / 'x.npz'}", tmp_path / "out", size=8)
    found = data.load(f"parquet:{tmp_path / 'out'}")
    np.testing.assert_array_equal(found.take(np.arange(5))["image"][..., 0], rows)
    assert found.labels().tolist() == [1, -1, 0, 2, 2] and found.classes == ("0", "1", "2")


def test_a_killed_job_goes_on(folder, tmp_path, monkeypatch, caplog):
    out, spec = tmp_path / "out", f"folder:{folder}:train"
    (folder / "train" / "a" / "2.jpg").write_bytes(b"no picture")
    real, count = packed.write, itertools.count()

    def killed(*args, **more):
        if next(count):
            (out / ".train-00001-of-00003.parquet.77.tmp.parquet").write_bytes(b"half")
            raise KeyboardInterrupt
        return real(*args, **more)

    with monkeypatch.context() as only:
        only.setattr(preparing.packed, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(spec, out, size=20, shard=3)
    (first,) = out.glob("[!.]*.parquet")
    before = first.stat().st_mtime_ns
    with pytest.raises(ValueError, match="holds 1 of 3 shards: call ssljax prepare once more"):
        data.load(f"parquet:{out}")
    done = prepare(spec, out, size=20, shard=3)
    assert done[:4] == (2, 1, 3, 7) and first.stat().st_mtime_ns == before
    assert len(done.left_out) == 1 and "2.jpg: no picture of a kind" in done.left_out[0]
    assert not list(out.glob(".*"))
    assert prepare(spec, out, size=20, shard=3)[:4] == (0, 3, 3, 7)
    first.write_bytes(b"half")  # damage is no finished shard
    assert prepare(spec, out, size=20, shard=3)[:4] == (1, 2, 3, 7)
    assert "written once more" in caplog.text


def test_parts_of_several_machines_are_one(folder, tmp_path):
    spec = f"folder:{folder}:train"
    for i in (1, 0):
        prepare(spec, tmp_path / "two", size=20, shard=3, part=(i, 2))
    prepare(spec, tmp_path / "one", size=20, shard=3)
    names = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "two").iterdir())
    for name in names:
        one, two = ((tmp_path / place / name).read_bytes() for place in ("one", "two"))
        assert one == two


def test_damage_inside_a_shard_and_files_of_others(folder, tmp_path):
    prepare(f"folder:{folder}:train", tmp_path / "out", size=20)
    file = tmp_path / "out" / "train-00000-of-00001.parquet"
    source = open_source(f"parquet:{file}", split="train")
    with file.open("r+b") as opened:  # the length of the first picture
        opened.seek(int(source._packed._begins[0, 0]))
        opened.write(b"\xff" * 4)
    with pytest.raises(data.CorruptExample, match=r"row 0: the shard is damaged here"):
        source[0]
    assert source[1]["image"][:2] == b"\xff\xd8"
    table = pq.read_table(tmp_path / "out" / file.name, columns=["label", "file", "length"])
    table = table.append_column("image", [[b"x" * n.as_py() for n in table["length"]]])
    pq.write_table(table, tmp_path / "again.parquet")  # packed by another program: row groups
    assert open_source(f"parquet:{tmp_path / 'again.parquet'}", split="train")._packed is None


def test_what_cannot_be_is_refused(folder, tmp_path, capsys):
    spec, out = f"folder:{folder}", str(tmp_path / "out")

    def refused(*flags):
        with pytest.raises(SystemExit):
            cli.main(["prepare", *flags])
        return capsys.readouterr().err

    cli.main(["prepare", spec, "--out", out, "--size", "20"])
    said = capsys.readouterr().out
    assert "holds 10 pictures in 2 of 2 shards, 2 of them new" in said
    assert f"--data parquet:{out}" in said
    assert "was prepared otherwise (size 20 instead of 24)" in refused(
        spec, "--out", out, "--size", "24"
    )
    smooth(np.random.default_rng(1), 40, 50).save(folder / "train" / "a" / "new.jpg")
    assert "was prepared otherwise (splits" in refused(spec, "--out", out, "--size", "20")
    assert "lies in the data itself" in refused(spec, "--out", str(folder / "train" / "x"))
    assert "holds something else" in refused(spec, "--out", str(folder.parent))
    assert "at least 1" in refused(spec, "--out", str(tmp_path / "y"), "--size", "0")
    assert "i from 0 to n - 1" in refused(spec, "--out", str(tmp_path / "y"), "--shard", "2/2")
    assert "there is nothing there" in refused("folder:nowhere", "--out", str(tmp_path / "y"))
    assert not (tmp_path / "y").exists()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.jpg").write_bytes(b"no")
    assert "no picture can be read" in refused(f"folder:{broken}", "--out", str(tmp_path / "z"))
