"""Manifests: what a line says, files there and back, and lines that do not fit."""

import json

import numpy as np
import pytest
from test_audio import tone, wav

from ssljax.data import Audio, Stream, Transcripts
from ssljax.tasks import Examples, Transcript

READER = Transcripts(audio=Audio(rate=8000, seconds=0.1), letters="abc ", longest=6)
TARGET = Transcript(letters="abc ")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wavs").mkdir()
    for i in range(3):
        (tmp_path / "wavs" / f"{i}.wav").write_bytes(wav(tone(300, n=200 * (i + 1))))
    return tmp_path


def write(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", "utf-8")
    return f"manifest:{path}"


def line(i, **more):
    return {"audio_filepath": f"wavs/{i}.wav", **more}


def test_recordings_texts_and_those_that_nobody_has_written_down(folder, caplog):
    write(folder / "train.jsonl", line(1, text="ab c"), line(0), line(2, text=""))
    write(folder / "test.jsonl", line(2, text="ca", duration=0.075))
    spec = f"manifest:{folder}"
    assert READER.splits(spec) == ("train", "test")
    with caplog.at_level("INFO", logger="ssljax"):
        data = READER.load(spec)
    assert "1 of 3 recordings have no text" in caplog.text
    rows = data.take(np.arange(3))
    assert rows["length"].tolist() == [400, 200, 600] and rows["audio"].shape == (3, 800)
    assert rows["text"].tolist() == [[1, 2, 4, 3, 0, 0], [-1] + [0] * 5, [0] * 6]
    assert list(data.names) == ["wavs/1.wav", "wavs/0.wav", "wavs/2.wav"]
    truth = TARGET.truth(rows)
    assert TARGET.known(truth).tolist() == [True, False, True]
    assert TARGET.show(truth, None) == ["ab c", "", ""]
    TARGET.check(data)
    assert len(READER.load(spec, split="test")) == 1
    streamed = READER.load(spec, in_memory_bytes=100)
    assert isinstance(streamed, Stream) and streamed.spec == data.spec
    np.testing.assert_array_equal(next(iter(streamed.once(3)))["text"], rows["text"])


def test_what_a_target_writes_is_read_again(folder):
    names = [f"wavs/{i}.wav" for i in range(3)]
    texts = np.array([TARGET.encode(text, 4) for text in ("ab", "", "c a")])
    examples = Examples(names, {}, seconds=[0.025, 0.05, 0.075])
    TARGET.write(folder / "labels.jsonl", examples, texts, np.array([1, 0.5, 0.25]))
    data = READER.load(f"manifest:{folder / 'labels.jsonl'}")
    rows = data.take(np.arange(3))
    assert TARGET.show(TARGET.truth(rows), None) == ["ab", "", "c a"]
    lines = (folder / "labels.jsonl").read_text().splitlines()
    said = [json.loads(row)["duration"] for row in lines]
    np.testing.assert_allclose(READER.durations(rows), said)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([line(0, text="abd")], "line 1: 'd' of 'abd' is none of the letters"),
        ([line(0, text="a"), line(1, text="a" * 7)], "line 2: 'aaaaaaa' has 7 letters, more than"),
        ([line(0, text=3)], "line 1: the text 3 is none"),
        ([line(0), line(0)], r"line 2: wavs/0.wav is in .*line 1 already"),
        ([{"text": "a"}], 'line 1 has no "audio_filepath"'),
        ([line(0, offset=1.5)], "line 1 is a part of wavs/0.wav, from second 1.5"),
        (["wavs/0.wav"], 'line 1 has no "audio_filepath"'),
        ([], "holds no recordings"),
    ],
)
def test_lines_that_do_not_fit(folder, rows, message):
    spec = write(folder / "all.jsonl", *rows)
    with pytest.raises(ValueError, match=message):
        READER.load(spec)


def test_files_that_do_not_fit(folder):
    with pytest.raises(FileNotFoundError, match=r"all.jsonl, line 1: there is no .*9\.wav"):
        READER.load(write(folder / "all.jsonl", line(9, text="a")))
    (folder / "all.jsonl").write_text("wavs/0.wav|a")
    with pytest.raises(ValueError, match="line 1 is no JSON"):
        READER.load(f"manifest:{folder / 'all.jsonl'}")
    (folder / "all.jsonl").write_bytes('{"text": "ä"}'.encode("latin1"))
    with pytest.raises(ValueError, match="is not UTF-8 "):
        READER.load(f"manifest:{folder / 'all.jsonl'}")


def test_only_newlines_end_a_line(folder):
    """Not what other alphabets separate by, which JSON leaves as it is, nor a carriage return."""
    rows = [line(0, text="a\u2028b"), line(1, text="b")]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "all.jsonl").write_bytes(text.encode())
    with pytest.raises(ValueError, match=r"line 1: '\\u2028' of .* is none of the letters"):
        READER.load(f"manifest:{folder / 'all.jsonl'}")
    (folder / "all.jsonl").write_bytes(text.replace("\u2028", "").encode("utf-8-sig"))
    rows = READER.load(f"manifest:{folder / 'all.jsonl'}").take(np.arange(2))
    assert TARGET.show(TARGET.truth(rows), None) == ["ab", "b"]
