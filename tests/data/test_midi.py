"""Music from files: bytes by hand, melodies on the grid, chorales, and what is broken."""

import json
import struct
import zipfile

import numpy as np
import pytest

from ssljax.data import Midi
from ssljax.data.corrupt import CorruptExample
from ssljax.data.melody import notes_of, on_grid
from ssljax.data.midi_file import Meter, Note, read_midi, write_midi

TICKS = 24  # a sixteenth of a file with 96 ticks a quarter


def chunk(kind, body):
    return kind + struct.pack(">I", len(body)) + body


def midi(*tracks, form=1, division=96, head=b""):
    header = struct.pack(">HHH", form, len(tracks), division) + head
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", t) for t in tracks)


END = b"\x00\xff\x2f\x00"
METER = b"\x00\xff\x58\x04\x03\x02\x18\x08"  # 3/4
TEMPO = b"\x00\xff\x51\x03\x07\xa1\x20"


def test_bytes_by_hand():
    first = (
        TEMPO
        + METER
        + b"\x00\xff\x7f\x03abc"  # of a maker
        + b"\x81\x00\xff\x51\x03\x01\x00\x00"  # 128 ticks later, another tempo
        + b"\x00\xff\x58\x04\x06\x03\x18\x08"  # 6/8
        + END
    )
    second = (
        b"\x00\xf0\x02\x01\xf7\x00\xc0\x05"  # sysex, program
        + b"\x00\x90\x3c\x40\x18\x40\x40"  # C, and with running status E a sixteenth later
        + b"\x18\x3c\x00\x00\x80\x40\x00"  # C ends by velocity 0, E by a note-off
        + b"\x00\x91\x3c\x01\x81\x48\xff\x01\x01x"  # a note that nobody ends
        + b"\x00\xe1\x00\x40"
        + END
        + b"what comes behind the end is not read"
    )
    data = midi(first, second, head=b"??")  # a longer header
    data = data[:14] + b"??" + chunk(b"XFIH", b"skip me") + data[16:]
    score = read_midi(data, "x")
    assert score.division == 96
    assert score.notes == [Note(0, 48, 60), Note(24, 48, 64), Note(48, 248, 60, 1)]
    assert score.tempos == [(0, 500_000), (128, 65_536)]
    assert score.meters == [Meter(0, 3, 4), Meter(128, 6, 8)]
    assert score.end == 248


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no MIDI file"),
        (b"RIFF" + bytes(20), "a RIFF file"),
        (midi(END, form=2), "format 2"),
        (midi(END, division=0xE728), "frames of a film"),
        (midi(TEMPO + END)[:-3], "ends in the middle of a part: 3 bytes are missing"),
        (midi(END, END)[:-12], "announces 2 tracks and holds 1"),
        (midi(b"\x00\x90\x3c"), "track 1, byte 2: the track ends in the middle of an event"),
        (midi(b"\x00\x3c\x40"), "an event without a status"),
        (midi(b"\xff\xff\xff\xff\x00"), "a number of more than four bytes"),
        (midi(b"\x00\xf4\x00"), "an event 0xf4"),
        (midi(b"\x00\x90\x3c\x80\x00"), "a value above 127"),
        (midi(b"\x00\xff\x58\x02\x00\x02"), "a time signature of 0/2"),
    ],
)
def test_broken_bytes(data, reason):
    with pytest.raises(CorruptExample, match=reason):
        read_midi(data, "x.mid")


def test_what_is_written_is_read():
    notes = [Note(0, 480, 60), Note(480, 40_000, 60), Note(480, 600, 21, 3)]
    score = read_midi(write_midi(notes, tempo=400_000), "x")
    assert score.notes == sorted(notes, key=lambda n: (n.start, n.pitch))
    assert score.division == 480 and score.tempos == [(0, 400_000)]
    with pytest.raises(CorruptExample, match="no notes"):
        on_grid(read_midi(midi(END), "x"), "x")


def tune(*pieces, meter=b"\x00\xff\x58\x04\x04\x02\x18\x08", channel=0):
    """A file of (start, end, pitch) in sixteenths."""
    notes = [Note(round(a * 120), round(b * 120), p, channel) for a, b, p in pieces]
    data = write_midi(notes)
    body = meter + data[22:]
    return data[:14] + chunk(b"MTrk", body)


def test_melody_on_the_grid(tmp_path, caplog):
    # A note of two beats, silence, two at once, one that the next one cuts, one across the bar.
    first = [(0, 8, 60), (12, 16, 62), (12, 16, 67), (16, 24, 64), (20, 21.1, 65), (30, 36, 70)]
    (tmp_path / "jigs1.mid").write_bytes(tune(*first, (64.2, 66, 60)))
    data = Midi(held=0.0, label="^([a-z]+)").load(f"midi:{tmp_path}")
    rows = data.take(np.arange(len(data)))["melody"]
    assert data.names == ["jigs1.mid:1", "jigs1.mid:3", "jigs1.mid:5"]
    off, c = 1, 60 - 21 + 2
    expected = np.zeros((3, 32), int)
    expected[0, [0, 8, 12, 16, 20, 21, 30]] = [c, off, c + 7, c + 4, c + 5, off, c + 10]
    expected[1, [0, 4]] = c + 10, off  # what sounds already begins again
    expected[2, [0, 2]] = c, off
    np.testing.assert_array_equal(rows, expected)
    said = caplog.text
    assert "1 notes were moved to the grid of sixteenths" in said
    assert "2 notes were cut or covered by another" in said
    assert [n[:3] for n in notes_of(rows[0], ticks=1)] == [
        *[(0, 8, 60), (12, 16, 67), (16, 20, 64), (20, 21, 65), (30, 32, 70)]
    ]
    plain = Midi().plain({"melody": rows[:1]})[0]
    assert plain[12 + 7] == plain[12 - 3] == plain[12 + 1] == plain[12 + 5] == 0.25


def test_bars_of_other_lengths(tmp_path, caplog):
    (tmp_path / "a.mid").write_bytes(tune((0, 50, 60), meter=METER))
    (tmp_path / "b.mid").write_bytes(tune((0, 70, 60), meter=b"\x00\xff\x58\x04\x05\x02\x18\x08"))
    data = Midi(held=0.0).load(f"midi:{tmp_path}")
    assert data.names == ["a.mid:1", "a.mid:3", "a.mid:5", "b.mid:1", "b.mid:3"]
    assert "8 sixteenths lie in bars that are longer than 4/4" in caplog.text
    changed = b"\x00\xff\x58\x04\x03\x02\x18\x08\x8b\x20\xff\x58\x04\x04\x02\x18\x08"  # 12 later
    (tmp_path / "b.mid").unlink()
    body = write_midi([Note(1440, 1440 + 70 * 120, 60)])
    (tmp_path / "a.mid").write_bytes(body[:14] + chunk(b"MTrk", changed + body[22:]))
    rows = Midi(held=0.0, bars=1).load(f"midi:{tmp_path}")
    assert len(rows) == 6 and rows.names[0] == "a.mid:2"  # the first bar is silent, and said so
    assert "1 rows of silence are left out" in caplog.text


def test_what_cannot_be_read_is_counted_and_named(tmp_path, caplog):
    good = tune((0, 8, 60))
    files = {
        "good.mid": good,
        "cut.mid": good[:-6],
        "tempo.mid": midi(TEMPO + METER + END),
        "drums.MID": tune((0, 8, 60), channel=9),
        "low.midi": tune((0, 8, 5)),
        "empty.mid": b"",
        "long.mid": tune((0, 2**18 + 4, 60)),
        "song.txt": b"x",
    }
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name, data in files.items():
            packed.writestr(f"all/{name}", data)
    data = Midi(held=0.0).load(f"midi:{tmp_path / 'x.zip'}")
    assert data.names == ["all/good.mid:1"] and len(data.skipped) == 6
    said = caplog.text
    assert "6 of 7 files are left out" in said and "1 .txt (all/song.txt)" in said
    for reason in (
        *("all/cut.mid: ends in the middle", "all/tempo.mid: it holds tempos and time signatures"),
        *("all/drums.MID: it holds drums alone", "all/low.midi: no note of it is one of the 88"),
        *("all/empty.mid: no MIDI file", "all/long.mid: it is longer than 262,144 sixteenths"),
    ):
        assert reason in said
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.mid").write_bytes(b"MThd")
    with pytest.raises(ValueError, match="no piece of music can be read"):
        Midi(held=0.0).load(f"midi:{tmp_path / 'bad'}")


def test_pieces_are_never_divided(tmp_path):
    for i in range(20):
        kind = ("jigs", "reels", "x")[i % 3]
        (tmp_path / f"{kind}{i}.mid").write_bytes(tune((0, 64, 40 + i)))
    spec, reader, found = f"midi:{tmp_path}", Midi(held=0.2, label="^(jigs|reels)"), {}
    for split in reader.splits(spec):
        data = reader.load(spec, split=split)
        found[split] = {name.split(":")[0] for name in data.names}
        labels = data.labels()
        for name, label in zip(data.names, labels, strict=True):
            assert label == {"j": 0, "r": 1, "x": -1}[name[0]] and len(labels) == len(data)
    assert [len(found[s]) for s in ("train", "validation", "test")] == [12, 4, 4]
    assert len(set.union(*found.values())) == 20
    again = Midi(held=0.2, seed=1).load(f"{spec}:test")
    assert {name.split(":")[0] for name in again.names} != found["test"]
    with pytest.raises(ValueError, match="finds no class in files such as"):
        Midi(label="^(polka)").load(spec)
    for bad in ({"label": "jigs"}, {"label": "("}, {"held": 0.5}, {"bars": 0}, {"learn": "x"}):
        with pytest.raises(ValueError):
            Midi(**bad)


def test_chorales(tmp_path, caplog):
    piece = [[60, 64.0], [60, 64], [], [21, 108], [72]]
    file = tmp_path / "x.json"
    file.write_text(
        json.dumps(
            {"train": [piece, [[60, 20]], [[], []], [5], [[float("nan")]]], "valid": [piece]}
        )
    )
    reader, spec = Midi(learn="frames", every=2, length=2), f"midi:{file}"
    assert reader.splits(spec) == ("train", "validation")
    data = reader.load(spec)
    rows = data.take(np.arange(len(data)))
    assert data.names == ["train/1:1", "train/1:3"]
    assert np.argwhere(rows["frames"]).tolist() == [[0, 0, 39], [0, 0, 43], [1, 0, 51]]
    assert rows["steps"].tolist() == [[True, True], [True, False]]
    np.testing.assert_allclose(reader.plain(rows)[0], np.eye(12)[[0, 4]].mean(0))
    assert "4 of 5 files are left out: train/2: sixteenth 1 is no list of MIDI pitches" in (
        caplog.text
    )
    with pytest.raises(ValueError, match="holds chords, not notes"):
        Midi().load(spec)
    file.write_text('{"train": 1}')
    with pytest.raises(ValueError, match="holds no chorales"):
        reader.load(spec)


def test_real(shared_data, caplog):
    reader = Midi(label=r"^(hpps|jigs|morris|reels|slip|waltzes)")
    spec = f"midi:{shared_data / 'nottingham.zip'}:test"
    data = reader.load(spec)
    assert len(data.names) > 1000 and not data.skipped
    assert data.classes == ("hpps", "jigs", "morris", "reels", "slip", "waltzes")
    rows = data.take(np.arange(len(data)))["melody"]
    assert rows.shape[1] == 32 and rows.min() == 0 and rows.max() < 90 and (rows[:, 0] > 0).all()
    chorales = Midi(learn="frames").load(f"midi:{shared_data / 'jsb-chorales-16th.json'}")
    assert len(chorales) == 229 and not chorales.skipped
