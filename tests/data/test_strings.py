"""Strings joined from recordings of words: what is heard is what is written, whoever speaks."""

from dataclasses import replace

import numpy as np
import pytest
from test_audio import wav

from ssljax.data import Audio, Strings

WORD = Audio(rate=8000, seconds=0.01, label=r"^(\d)_", test=r"_0\.wav$")
READER = Strings(
    audio=WORD,
    words=("one", "two"),
    letters="entow ",
    count=(2, 3),
    gap=(0.001, 0.002),
    noise=0.0,
    seconds=0.05,
    train=12,
    test=4,
)


@pytest.fixture
def folder(tmp_path):
    """Word k of a speaker is 40 samples of one height, a different one for each recording."""
    for k in (0, 1):
        for s, speaker in enumerate(("ann", "bob", "cy")):
            for take in range(3):
                height = 1000 + 10000 * k + 1000 * s + 100 * take
                (tmp_path / f"{k}_{speaker}_{take}.wav").write_bytes(wav([height] * 40))
    return f"audio:{tmp_path}"


def heard(row, length):
    """(word, speaker, take) of each run of equal samples in a row that is else silent."""
    x = np.rint(np.asarray(row[:length]) * 2**15).astype(int)
    assert not row[length:].any()
    runs = np.split(x, np.flatnonzero(np.diff(x)) + 1)
    found = [divmod(int(run[0]) - 1000, 10000) for run in runs if run[0]]
    assert all(len(run) == 40 for run in runs if run[0])
    assert all(8 <= len(run) <= 16 for run in runs if not run[0])
    assert len(runs) == 2 * len(found) + 1  # silence before, between and behind
    return [(k, *divmod(rest, 1000)) for k, rest in found]


def test_what_is_heard_is_what_is_written(folder):
    counts = set()
    for split, size in (("train", 12), ("test", 4)):
        data = READER.load(folder, split=split)
        rows = data.take(np.arange(len(data)))
        assert len(data) == size and data.classes == ("ann", "bob", "cy")
        for i in range(size):
            said = heard(rows["audio"][i], rows["length"][i])
            text = "".join("?entow "[k] for k in rows["text"][i] if k)
            assert text.split() == [("one", "two")[k] for k, _, _ in said]
            assert {s for _, s, _ in said} == {rows["label"][i]}  # one speaker a string
            assert {take // 100 == 0 for _, _, take in said} == {split == "test"}
            assert data.names[i] == f"{split}/{data.classes[rows['label'][i]]}-{i:05d}"
            counts.add(len(said))
        assert {k: (v.shape[1:], v.dtype) for k, v in rows.items()} == data.spec
        assert READER.shapes().items() <= data.spec.items()
    assert counts == {2, 3}
    np.testing.assert_allclose(READER.durations(rows), rows["length"] / 8000)


def test_the_seed_says_which_and_noise_lies_over_all(folder):
    one, same, other = (replace(READER, seed=seed, noise=0.1).load(folder) for seed in (0, 0, 1))
    rows, again, else_ = (d.take(np.arange(12)) for d in (one, same, other))
    np.testing.assert_array_equal(rows["audio"], again["audio"])
    assert not np.array_equal(rows["text"], else_["text"])
    assert np.all(rows["audio"][0, : rows["length"][0]] != 0)


def test_a_speaker_who_is_left_out(folder, caplog):
    with caplog.at_level("INFO", logger="ssljax"):
        known = replace(READER, without="_bob_").load(folder)
    assert "leaves out 4 recordings" in caplog.text
    assert set(known.labels().tolist()) == {0, 2} and known.classes == ("ann", "bob", "cy")
    never = replace(READER, audio=replace(WORD, test="_bob_")).load(folder, split="test")
    assert set(never.labels().tolist()) == {1}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"words": ("one",)}, "recordings of 2 classes, and reader.words names 1"),
        ({"letters": "ento "}, "train/ann-00000: 'w' of"),
        ({"seconds": 0.005}, "no string of 2 to 3 words fits into 0.005 s"),
        ({"speaker": r"^\d_([A-Z]+)_"}, "finds no speaker in 0_ann_1.wav"),
        ({"without": "."}, "leaves no recording"),
    ],
)
def test_what_does_not_fit_is_said(folder, fields, message):
    with pytest.raises(ValueError, match=message):
        replace(READER, **fields).load(folder)


@pytest.mark.parametrize(
    "fields",
    [{"count": (0, 2)}, {"gap": (0.2, 0.1)}, {"train": 0}, {"speaker": "a"}, {"letters": "aa"}],
)
def test_settings_that_mean_nothing(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        Strings(**fields)


def test_the_free_spoken_digits(shared_data):
    """As the experiments read them: five speakers, and theo alone."""
    reader = Strings(train=10, test=6, without="_theo_")
    spec = f"audio:{shared_data / 'fsdd.zip'}"
    known = reader.load(spec)
    rows = known.take(np.arange(10))
    assert known.classes == ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    assert set(rows["label"].tolist()) == {0, 1, 2, 3, 5}
    assert np.all((rows["length"] > 8000) & (rows["length"] <= 40_000))
    count = [bytes(int(k) for k in row if k > 0).count(27) + 1 for row in rows["text"]]  # spaces
    assert min(count) >= 3 and max(count) <= 7
    never = replace(reader, audio=replace(reader.audio, test="_theo_"), without=None)
    assert set(never.load(spec, split="test").labels().tolist()) == {4}
