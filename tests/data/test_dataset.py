"""Batches addressed by step: order, hosts, resuming; memory and stream agree; corrupt examples."""

import inspect
import io
import itertools
import logging
import subprocess
import sys
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ssljax import data
from ssljax.data import Arrays, Images

N, B = 23, 5  # four batches in an epoch, three examples remain


def encode(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(n=N):
    return np.random.default_rng(0).integers(0, 256, (n, 4, 5, 3), dtype=np.uint8)


def write(file, cells, groups=7):
    labels = pa.array([i % 3 for i in range(len(cells))])
    pq.write_table(pa.table({"image": cells, "label": labels}), file, row_group_size=groups)
    return f"parquet:{file}"


@pytest.fixture(params=["arrays", "stream"])
def dataset(request, tmp_path):
    if request.param == "arrays":
        return Arrays({"image": pictures(), "label": np.arange(N) % 3})
    spec = write(tmp_path / "a.parquet", [encode(p) for p in pictures()])
    return data.load(spec, in_memory_bytes=0, workers=0)


def take(dataset, n, batch=B, **options):
    return list(itertools.islice(dataset.batches(batch, **{"seed": 3} | options), n))


def assert_same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b):
        assert x.keys() == y.keys()
        for key in x:
            assert x[key].dtype == y[key].dtype
            np.testing.assert_array_equal(x[key], y[key])


# Order


def test_epochs_cover_without_repeats_and_differ(dataset):
    epochs = np.concatenate([b["index"] for b in take(dataset, 12)]).reshape(3, -1)
    for epoch in epochs:
        assert len(set(epoch)) == N // B * B
        assert set(epoch) <= set(range(N))
    assert len({tuple(e) for e in epochs}) == 3
    assert len({tuple(sorted(e)) for e in epochs}) > 1  # not always the same remain
    assert list(epochs[0]) != sorted(epochs[0])


def test_rows_belong_together_and_match_the_spec(dataset):
    images = pictures()
    for batch in take(dataset, 5):
        assert batch.keys() == dataset.spec.keys()
        for key, (shape, dtype) in dataset.spec.items():
            assert batch[key].shape == (B, *shape) and batch[key].dtype == dtype
        np.testing.assert_array_equal(batch["image"], images[batch["index"]])
        np.testing.assert_array_equal(batch["label"], batch["index"] % 3)
    assert dataset.spec["image"] == ((4, 5, 3), np.uint8)
    assert dataset.spec["label"] == dataset.spec["index"] == ((), np.int32)
    assert len(dataset) == N and dataset.labelled
    np.testing.assert_array_equal(data.labels(dataset), np.arange(N) % 3)
    assert dataset.classes == ("0", "1", "2")


def test_seeds_differ(dataset):
    one, two = take(dataset, 1, seed=0)[0], take(dataset, 1, seed=1)[0]
    assert list(one["index"]) != list(two["index"])


@pytest.mark.parametrize("start", [1, 4, 6, 11])
def test_start_equals_skipping(dataset, start):
    assert_same(take(dataset, 3, start=start), take(dataset, start + 3)[start:])


@pytest.mark.parametrize("hosts", [2, 3])
def test_hosts_hold_the_rows_of_one_global_batch(dataset, hosts):
    whole = take(dataset, 6, batch=6)
    parts = [take(dataset, 6, batch=6, host=(i, hosts)) for i in range(hosts)]
    joined = [{k: np.concatenate([p[k] for p in ps]) for k in ps[0]} for ps in zip(*parts)]
    assert_same(joined, whole)
    passes = [list(dataset.once(6, host=(i, hosts))) for i in range(hosts)]
    joined = [{k: np.concatenate([p[k] for p in ps]) for k in ps[0]} for ps in zip(*passes)]
    assert_same(joined, list(dataset.once(6)))


def test_once_is_in_order_and_padded(dataset):
    batches = list(dataset.once(B))
    assert [b["mask"].sum() for b in batches] == [5, 5, 5, 5, 3]
    assert all(b["mask"].dtype == bool and len(b["image"]) == B for b in batches)
    mask = np.concatenate([b["mask"] for b in batches])
    image = np.concatenate([b["image"] for b in batches])
    index = np.concatenate([b["index"] for b in batches])
    np.testing.assert_array_equal(index[mask], np.arange(N))
    np.testing.assert_array_equal(image[mask], pictures())
    assert set(index[~mask]) <= set(range(N))  # copies, not garbage
    only = list(dataset.once(100))
    assert len(only) == 1 and only[0]["mask"].sum() == N
    assert [b["mask"].all() for b in dataset.once(N)] == [True]


def test_order_is_the_same_in_another_process():
    program = inspect.cleandoc("""
        import itertools, zlib
        import numpy as np
        from ssljax.data import Arrays
        a = Arrays({"image": np.arange(1000, dtype=np.uint8).reshape(100, 5, 2)})
        check = 0
        for batch in itertools.islice(a.batches(7, seed=5, start=9), 20):
            for key in sorted(batch):
                check = zlib.crc32(batch[key].tobytes(), check)
        print(check)
    """).replace("np.arange(1000, dtype=np.uint8)", "np.arange(1000).astype(np.uint8)")
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100
    )
    arrays = Arrays({"image": np.arange(1000).astype(np.uint8).reshape(100, 5, 2)})
    check = 0
    for batch in take(arrays, 20, batch=7, seed=5, start=9):
        for key in sorted(batch):
            check = zlib.crc32(batch[key].tobytes(), check)
    assert int(ran.stdout) == check


def test_order_never_changes_between_versions():
    # A run that was begun with an earlier version resumes with this one: these numbers are fixed.
    arrays = Arrays({"image": np.zeros((10, 1, 1, 1), np.uint8)})
    found = [b["index"].tolist() for b in take(arrays, 4, batch=5, seed=0)]
    assert found == [[8, 0, 3, 7, 6], [4, 1, 5, 2, 9], [1, 5, 6, 4, 8], [7, 9, 3, 2, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": N + 1}, "batch of 24 is larger than the 23 examples"),
        ({"batch": 5, "host": (0, 2)}, "batch 5 cannot be divided over 2 host"),
        ({"batch": 0}, "batch 0"),
        ({"host": (2, 2), "batch": 4}, "host"),
        ({"start": -1}, "must not be negative"),
    ],
)
def test_batches_that_cannot_be(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        dataset.batches(**{"batch": B, "seed": 0} | options)  # before the first is asked for


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"image": np.zeros((3, 2)), "label": np.zeros(4, int)}, "same, non-zero number of rows"),
        ({"image": np.zeros((0, 2))}, "non-zero"),
        ({"image": np.zeros((2, 2)), "label": np.array([0.0, 1.5])}, "example 1: label 1.5"),
        ({"image": np.zeros((2, 2)), "label": np.zeros((2, 3), int)}, "labels must be one a row"),
        ({"image": np.zeros((2, 2)), "label": np.array([0, -2])}, "label -2.*0 to K-1"),
        ({"image": np.zeros((2, 2)), "label": np.array([0, 2**32 + 3])}, "label 4294967299.*K-1"),
        ({}, "rows"),
    ],
)
def test_arrays_that_are_not_right(rows, message):
    with pytest.raises(ValueError, match=message):
        Arrays(rows)


def test_labels_beyond_the_class_names():
    with pytest.raises(ValueError, match="label 2, but labels must be 0 to 1 for 2 classes"):
        Arrays({"image": np.zeros((3, 1)), "label": np.arange(3)}, classes=("a", "b"))


def test_unlabelled(tmp_path):
    arrays = Arrays({"image": pictures()})
    assert not arrays.labelled and arrays.classes is None and "label" not in arrays.spec
    with pytest.raises(ValueError, match="no labels"):
        data.labels(arrays)


def test_some_labels_and_a_part(dataset):
    rows = {"image": pictures(4), "label": np.array([7, -1, 5, 7])}
    arrays = Arrays(rows, names=list("abcd"), origin=[0, 2, 4, 5])
    assert arrays.labelled and arrays.labelled_count == 3 and arrays.classes == ("5", "7")
    assert arrays.labels().tolist() == [1, -1, 0, 1]
    part = arrays.part(np.array([3, 1]))
    assert part.names == ["d", "b"] and part.origin.tolist() == [5, 2]
    assert part.classes == ("5", "7") and part.labels().tolist() == [1, -1]
    assert next(part.once(2))["index"].tolist() == [0, 1]
    none = arrays.part(np.array([1]))
    assert not none.labelled and none.classes == ("5", "7") and "label" not in none.spec
    some = dataset.part(np.array([20, 3, 4]))  # in memory and on disk
    batch = next(some.once(4))
    assert batch["mask"].tolist() == [True, True, True, False]
    np.testing.assert_array_equal(batch["image"][:3], pictures()[[20, 3, 4]])
    assert batch["label"][:3].tolist() == some.labels().tolist() == [2, 0, 1]
    assert some.origin.tolist() == [20, 3, 4] and some.classes == ("0", "1", "2")


# Memory and stream agree


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    spec = write(
        tmp_path_factory.mktemp("both") / "a.parquet", [encode(p) for p in pictures(40)], 9
    )
    return data.load(spec), lambda workers: data.load(spec, in_memory_bytes=0, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_stream_is_arrays(both, workers):
    arrays, stream = both[0], both[1](workers)
    assert isinstance(arrays, Arrays) and isinstance(stream, data.Stream)
    assert arrays.names[7] == stream.names[7] == "a.parquet:7"
    assert arrays.spec == stream.spec and arrays.classes == stream.classes
    for host in ((0, 1), (0, 2), (1, 2))[-1 if workers else 0 :]:  # processes start slowly
        options = {"batch": 6, "start": 4, "host": host}  # an epoch ends after two batches
        assert_same(take(stream, 8, **options), take(arrays, 8, **options))
    assert_same(list(stream.once(6)), list(arrays.once(6)))


def test_load_chooses_by_decoded_size(tmp_path):
    spec = write(tmp_path / "a.parquet", [encode(p) for p in pictures()])
    assert isinstance(data.load(spec, in_memory_bytes=N * 60, workers=0), Arrays)
    assert isinstance(data.load(spec, in_memory_bytes=N * 60 - 1, workers=0), data.Stream)


@pytest.mark.turns
def test_workers_without_a_main_guard_say_what_to_do(both, tmp_path):
    spec = write(tmp_path / "a.parquet", [encode(p) for p in pictures()])
    script = tmp_path / "user_script.py"
    body = (
        "from ssljax import data\n"
        f"stream = data.load({spec!r}, in_memory_bytes=0, workers=1)\n"
        "print(next(iter(stream.batches(5, seed=0)))['index'].shape)\n"
    )
    script.write_text(body)
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode != 0
    last = ran.stderr[ran.stderr.rindex("RuntimeError: ") :]
    assert 'lacks `if __name__ == "__main__":`' in last and "workers=0" in last
    script.write_text("if __name__ == '__main__':\n    " + body.replace("\n", "\n    "))
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.stdout == "(5,)\n", ran.stderr


# Corrupt examples


def with_corrupt(n, bad):
    cells = [encode(p) for p in pictures(n)]
    for i in bad:
        cells[i] = cells[i][: len(cells[i]) // 2]
    return cells


def test_few_corrupt_are_left_out_counted_and_named(tmp_path, caplog):
    spec = write(tmp_path / "a.parquet", with_corrupt(300, [0, 7, 250]))
    with caplog.at_level(logging.WARNING, "ssljax"):
        arrays = data.load(spec)
    assert len(arrays) == 297 and len(arrays.skipped) == 3
    for text in (str(arrays.skipped), caplog.text):
        assert all(f"a.parquet row {i}:" in text for i in (0, 7, 250))
    good = np.delete(np.arange(300), [0, 7, 250])
    whole = np.concatenate([b["image"] for b in arrays.once(99)])
    np.testing.assert_array_equal(whole, pictures(300)[good])
    np.testing.assert_array_equal(arrays.labels(), good % 3)


@pytest.mark.turns
@pytest.mark.parametrize("workers", [0, 2])
def test_few_corrupt_in_a_stream_are_replaced_alike_on_resume(tmp_path, caplog, workers):
    spec = write(tmp_path / "a.parquet", with_corrupt(300, [0, 7, 8]), 100)
    stream = data.load(spec, in_memory_bytes=0, workers=workers)
    with caplog.at_level(logging.WARNING, "ssljax"):
        first = take(stream, 6, batch=50)
    assert sorted(s.split(": ")[0].split()[-1] for s in stream.skipped) == ["0", "7", "8"]
    assert caplog.text.count("replaced a corrupt example") == 3
    fresh = data.load(spec, in_memory_bytes=0, workers=0)
    assert_same(take(fresh, 4, batch=50, start=2), first[2:])
    images = pictures(300)
    for batch in first:
        np.testing.assert_array_equal(batch["image"], images[batch["index"]])
        np.testing.assert_array_equal(batch["label"], batch["index"] % 3)
    index = np.concatenate([b["index"] for b in first])
    assert sorted(index) == sorted([1, 9, 9, *range(1, 7), *range(9, 300)])
    rows = list(fresh.once(70))
    mask, index = (np.concatenate([b[k] for b in rows]) for k in ("mask", "index"))
    np.testing.assert_array_equal(index[mask], np.delete(np.arange(300), [0, 7, 8]))


def test_many_corrupt_stop_with_the_list(tmp_path):
    spec = write(tmp_path / "a.parquet", with_corrupt(300, [5, 6, 7, 8]))
    message = r"4 of 300 examples are corrupt, more than 1%(.|\n)*row 5(.|\n)*row 8"
    with pytest.raises(ValueError, match=message):
        data.load(spec)
    stream = data.load(spec, in_memory_bytes=0, workers=0)
    with pytest.raises(ValueError, match=message):
        list(stream.once(300))


def test_all_corrupt(tmp_path):
    spec = write(tmp_path / "a.parquet", [b"nothing"] * 20)
    with pytest.raises(ValueError, match=r"none of the first 20 examples can be decoded(.|\n)*row"):
        data.load(spec)


def test_errors_in_processes_arrive_in_words(tmp_path):
    cells = [encode(p) for p in pictures(10)]
    cells[9] = encode(np.zeros((9, 9, 3), np.uint8))
    spec = write(tmp_path / "a.parquet", cells)
    with pytest.raises(ValueError, match=r"row 9 is \(9, 9, 3\).*--reader\.size"):
        list(data.load(spec, in_memory_bytes=0, workers=1).once(5))


@pytest.mark.parametrize("memory", [0, 10**9])
def test_shapes_that_differ_name_the_option(tmp_path, memory):
    cells = [encode(p) for p in pictures(10)]
    cells[4] = encode(np.zeros((9, 9, 3), np.uint8))
    spec = write(tmp_path / "a.parquet", cells)
    with pytest.raises(ValueError, match=r"row 4 is \(9, 9, 3\).*--reader\.size"):
        list(data.load(spec, in_memory_bytes=memory, workers=0).once(5))
    images = Images(size=4)
    fits = data.load(spec, images=images, in_memory_bytes=memory, workers=0)
    assert next(fits.once(10))["image"].shape == (10, 4, 4, 3)
    cells[4] = encode(np.zeros((4, 5), np.uint8))
    spec = write(tmp_path / "b.parquet", cells)
    with pytest.raises(ValueError, match=r"row 4 is \(4, 5, 1\).*--reader\.channels"):
        list(data.load(spec, in_memory_bytes=memory, workers=0).once(5))


def test_real_images_stream_as_they_are_in_memory(shared_data):
    folder = shared_data / "mnist"
    if not folder.is_dir():
        pytest.skip(f"no mnist in {shared_data}")
    spec = f"parquet:{folder}:test"
    arrays, stream = data.load(spec), data.load(spec, in_memory_bytes=0, workers=0)
    assert len(arrays) == 10_000 and not arrays.skipped
    assert_same(take(stream, 3, batch=64, start=155), take(arrays, 3, batch=64, start=155))
