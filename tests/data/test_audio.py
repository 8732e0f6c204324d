"""Recordings: formats bit by bit, sample rates, splits and classes by name, bad files."""

import io
import struct
import wave
import zipfile

import numpy as np
import pytest

from ssljax.data import Audio, CorruptExample, Stream
from ssljax.data.audio import log_mel
from ssljax.data.wav import read_wav, resample


def wav(x, *, rate=8000, bits=16, code=1, extra=b""):
    """Bytes of a WAV file of whole numbers (or floats) x, [N] or [N, channels]."""
    x = np.asarray(x)
    x = x[:, None] if x.ndim == 1 else x
    if code == 3:
        body = x.astype(f"<f{bits // 8}").tobytes()
    elif bits == 24:
        body = b"".join(int(v).to_bytes(3, "little", signed=True) for v in x.reshape(-1))
    else:
        body = x.astype("u1" if bits == 8 else f"<i{bits // 8}").tobytes()
    block = x.shape[1] * bits // 8
    form = struct.pack("<HHIIHH", code, x.shape[1], rate, rate * block, block, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + extra
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def tone(hertz, n=800, rate=8000):
    return np.round(20000 * np.sin(2 * np.pi * hertz * np.arange(n) / rate)).astype(int)


@pytest.mark.parametrize(
    ("bits", "code", "values", "want"),
    [
        (8, 1, [0, 128, 255], [-1, 0, 127 / 128]),
        (16, 1, [-32768, 0, 1, 32767], [-1, 0, 2**-15, 1 - 2**-15]),
        (24, 1, [-(2**23), -1, 1, 2**23 - 1], [-1, -(2**-23), 2**-23, 1 - 2**-23]),
        (32, 1, [-(2**31), 2**30], [-1, 0.5]),
        (32, 3, [-0.25, 0.75], [-0.25, 0.75]),
        (64, 3, [-0.25, 0.75], [-0.25, 0.75]),
    ],
)
def test_formats(bits, code, values, want):
    x, rate = read_wav(wav(values, bits=bits, code=code, extra=b"LIST\x03\0\0\0abc\0"), "x")
    assert rate == 8000 and x.dtype == np.float32
    np.testing.assert_array_equal(x[:, 0], np.float32(want))


def test_the_standard_library_writes_what_is_read():
    file = io.BytesIO()
    samples = np.arange(-6, 6, dtype="<i2").reshape(6, 2)
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, 22050, 6, "NONE", ""))
        out.writeframes(samples.tobytes())
    x, rate = read_wav(file.getvalue(), "x")
    assert rate == 22050
    np.testing.assert_array_equal(x * 2**15, samples)
    row, length = Audio(rate=22050, seconds=10 / 22050)(file.getvalue(), "x")
    np.testing.assert_array_equal(row[:6], samples.mean(1) / 2**15)
    assert length == 6 and not row[6:].any() and row.shape == (10,)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFFxxxxAVI ", "not a WAV"),
        (wav([1, 2])[:-1], "cut off"),
        (wav([]), "0 bytes"),
        (wav([0], bits=16, code=7), "format 7"),
        (wav([np.nan], bits=32, code=3), "NaN"),
        (wav([1])[:36], "no samples"),
        (wav([1, 2]) + b"data\x04\0\0\0abcd", "4 bytes of samples come in a second piece"),
    ],
)
def test_bad_files(data, message):
    with pytest.raises(CorruptExample, match=message):
        read_wav(data, "x.wav")


@pytest.mark.parametrize(
    ("rate", "new"), [(16000, 8000), (8000, 16000), (44100, 8000), (8000, 11025)]
)
def test_resampling_keeps_what_fits_and_removes_what_does_not(rate, new):
    t = np.arange(rate) / rate
    y = resample(np.sin(2 * np.pi * 1000 * t), rate, new)
    assert len(y) == new
    want = np.sin(2 * np.pi * 1000 * np.arange(new) / new)
    inner = slice(new // 10, -new // 10)
    np.testing.assert_allclose(y[inner], want[inner], atol=1e-3)
    if new < rate:
        high = resample(np.sin(2 * np.pi * (new / 2 + 600) * t), rate, new)
        assert np.abs(high[inner]).max() < 1e-3


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a" / "one").mkdir(parents=True)
    for i in range(12):
        name = f"{i}_{'ann' if i % 3 else 'bob'}_{i % 4}.wav"
        (tmp_path / "a" / "one" / name).write_bytes(wav(tone(100 + 50 * i, n=60 + i)))
    return tmp_path / "a"


def test_classes_and_splits_come_from_the_names(folder):
    reader = Audio(rate=8000, seconds=0.01, label=r"^(\d+)_", test=r"_[01]\.wav$")
    assert reader.splits(f"audio:{folder}") == ("train", "test")
    assert reader.splits(f"audio:{folder}:test") == ("test",)
    train = reader.load(f"audio:{folder}", split="train")
    test = reader.load(f"audio:{folder}", split="test")
    assert len(train) == len(test) == 6
    assert train.classes == test.classes == tuple(map(str, range(12)))  # by size, 10 after 9
    assert sorted(test.labels()) == [0, 1, 4, 5, 8, 9]
    assert train.spec == reader.shapes() | {k: ((), np.dtype(np.int32)) for k in ("label", "index")}
    rows = test.take(np.arange(6))
    assert rows["length"].tolist() == [60 + i for i in rows["label"]]
    for x, n, digit in zip(rows["audio"], rows["length"], rows["label"]):
        np.testing.assert_allclose(x[:n] * 2**15, tone(100 + 50 * digit, n=n))
        assert not x[n:].any()
    held = Audio(rate=8000, label=r"^\d+_(\w+)_", test="_bob_").load(
        f"audio:{folder}", split="test"
    )
    assert held.classes == ("ann", "bob") and set(held.labels()) == {1}
    path = Audio(rate=8000, label=r"^(\w+)/").load(f"audio:{folder}")
    assert path.classes == ("one",) and len(path) == 12
    assert not Audio(rate=8000).load(f"audio:{folder}").labelled


def test_zip_equals_folder(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in folder.rglob("*.wav"):
            archive.write(file, file.relative_to(folder))
    reader = Audio(rate=8000, seconds=0.01, label=r"^(\d+)_")
    a, b = (reader.load(f"audio:{place}") for place in (folder, tmp_path / "a.zip"))
    for key in a.spec:
        np.testing.assert_array_equal(a.take(np.arange(12))[key], b.take(np.arange(12))[key])


def test_corrupt_recordings_are_left_out_and_named(folder, caplog):
    for i in range(100):
        (folder / f"{i}_eve_9.wav").write_bytes(wav([i]))
    (folder / "3_eve_9.wav").write_bytes(b"RIFF")
    reader = Audio(rate=8000, seconds=0.01, label=r"^(\d+)_")
    data = reader.load(f"audio:{folder}")
    assert len(data) == 111 and "3_eve_9.wav" in caplog.text and len(data.skipped) == 1
    rows = data.take(np.arange(111))
    assert (rows["label"][rows["length"] == 1] != 3).all()
    (folder / "4_eve_9.wav").write_bytes(b"")
    with pytest.raises(ValueError, match="2 of 112 examples are corrupt"):
        reader.load(f"audio:{folder}")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": "("}, "no regular expression"),
        ({"label": "x"}, "0 groups"),
        ({"seconds": 0.0}, "no sample"),
    ],
)
def test_bad_settings(fields, message):
    with pytest.raises(ValueError, match=message):
        Audio(**fields)


def test_what_is_not_there(folder):
    for fields, spec, message in (
        ({"label": r"_(ann)_"}, f"audio:{folder}", "no class in 4 of 12"),
        ({"test": "zoe"}, f"audio:{folder}", "finds none"),
        ({}, f"audio:{folder}:test", "no split 'test'"),
        ({}, f"wav:{folder}", "audio:PATH"),
    ):
        with pytest.raises(ValueError, match=message):
            Audio(rate=8000, **fields).load(spec)
    with pytest.raises(FileNotFoundError, match="nothing there"):
        Audio().load("audio:nowhere")


def test_what_does_not_fit_into_memory_streams(folder, caplog):
    reader = Audio(rate=8000, seconds=0.005, label=r"_(ann|bob)_")
    arrays = reader.load(f"audio:{folder}")
    assert f"12 of {len(arrays)} recordings are longer than 0.005 s and are cut" in caplog.text
    stream = reader.load(f"audio:{folder}", in_memory_bytes=100, workers=0)
    assert isinstance(stream, Stream) and stream.spec == arrays.spec
    one, other = (next(d.batches(6, seed=1, start=3)) for d in (arrays, stream))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0])
def test_a_sound_from_a_pipe_lasts_to_the_end(length):
    whole = wav(tone(440), extra=b"LIST\x03\0\0\0abc\0")
    at = whole.index(b"data") + 4
    piped = b"RIFF" + struct.pack("<I", length) + whole[8:at] + struct.pack("<I", length)
    x, _ = read_wav(piped + whole[at + 4 :] + b"\x01", "x")  # cut in the middle of a sample
    np.testing.assert_array_equal(x, read_wav(whole, "x")[0])
    empty = whole[:at] + bytes(4) + b"LIST\x02\0\0\0ab"  # no sound, and a chunk behind it
    with pytest.raises(CorruptExample, match="0 bytes"):
        read_wav(empty, "x")


def test_chunks_of_odd_size_without_their_filling():
    odd = b"LIST" + struct.pack("<I", 5) + b"INFOa"
    for extra in (odd, odd + b"\0"):
        samples, _ = read_wav(wav([2**14, -(2**13)], extra=extra), "x.wav")
        assert samples[:, 0].tolist() == [0.5, -0.25]


def test_folders_are_splits_and_classes(tmp_path):
    for name in ("train/yes/a.wav", "train/no/b.wav", "test/no/c.wav", "train/no/.d.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(wav(tone(440)))
    reader = Audio(rate=8000, seconds=0.1)
    train, test = (reader.load(f"audio:{tmp_path}", split=s) for s in ("train", "test"))
    assert reader.splits(f"audio:{tmp_path}") == ("train", "test")
    assert train.names == ["train/no/b.wav", "train/yes/a.wav"] and train.classes == ("no", "yes")
    assert train.labels().tolist() == [0, 1] and test.labels().tolist() == [0]


def test_plain_features_do_not_see_the_padding():
    x = np.random.default_rng(0).normal(size=1600).astype(np.float32)
    rows = {"audio": np.stack([x, np.where(np.arange(1600) < 900, x, 0)]), "length": [1600, 900]}
    reader = Audio(rate=8000, seconds=0.2)
    plain = reader.plain(rows)
    assert plain.shape == (2, 80) and plain.dtype == np.float32
    mel = log_mel(x[:900], 8000)
    np.testing.assert_allclose(plain[1], np.r_[mel.mean(0), mel.std(0)], rtol=1e-6)
    loudest = log_mel(tone(1000, n=4000) / 2**15, 8000).mean(0).argmax()
    edges = 700 * (
        10 ** (np.linspace(*2595 * np.log10(1 + np.array([20, 4000]) / 700), 42) / 2595) - 1
    )
    assert edges[loudest] < 1000 < edges[loudest + 2]


def test_spoken_digits(shared_data):
    reader = Audio(rate=8000, seconds=0.5, label=r"^(\d)_", test=r"_[0-4]\.wav$")
    test = reader.load(f"audio:{shared_data / 'fsdd.zip'}", split="test")
    assert len(test) == 300 and test.classes == tuple("0123456789")
    assert np.bincount(test.labels()).tolist() == [30] * 10
    speaker = Audio(rate=8000, seconds=0.5, label=r"^\d_(\w+)_", test=r"_theo_")
    held = speaker.load(f"audio:{shared_data / 'fsdd.zip'}", split="test")
    assert len(held) == 500 and len(held.classes) == 6
