"""Clips of videos: folders of frames, films, splits and classes, what is short or broken."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ssljax.data import Stream, Video

GREY = np.full((6, 8, 3), 10, np.uint8)


def put(folder, count, *, first=0):
    """Frames whose brightness is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(GREY + np.uint8(first + i)).save(folder / f"frame{i + 1}.png")


def numbers(clips):
    """Which frame each frame of clips [N, T, H, W, C] is."""
    return clips[..., 0, 0, 0].astype(int) - 10


@pytest.fixture
def place(tmp_path):
    for split, kinds in (("train", ("go", "stop")), ("test", ("stop",))):
        for kind in kinds:
            for i in range(2):
                put(tmp_path / split / kind / f"track{i}", 12)
    return tmp_path


def test_folders_of_frames_in_the_order_of_their_numbers(place):
    reader, spec = Video(frames=4, size=6), f"video:{place}"
    assert reader.splits(spec) == ("train", "test")
    data = reader.load(spec)
    rows = data.take(np.arange(4))
    assert {k: v for k, v in data.spec.items() if k not in ("index", "label")} == reader.shapes()
    assert data.classes == ("go", "stop") and rows["label"].tolist() == [0, 0, 1, 1]
    assert data.names == [f"train/{k}/track{i}" for k in ("go", "stop") for i in range(2)]
    np.testing.assert_array_equal(numbers(rows["clip"]), [[4, 5, 6, 7]] * 4)  # the middle
    np.testing.assert_allclose(reader.plain(rows), 15.5 / 255, rtol=1e-5)
    assert reader.load(spec, split="test").take(np.arange(2))["label"].tolist() == [1, 1]
    assert Video(size=6).splits(f"{spec}:test") == ("test",)


def test_several_clips_of_a_video_and_steps_between_frames(place, tmp_path):
    data = Video(frames=2, stride=3, size=6, clips=3).load(f"video:{place}:test")
    rows = data.take(np.arange(6))
    # parts of 4 frames with their middles at 2, 6 and 10; a clip spans 4
    np.testing.assert_array_equal(numbers(rows["clip"]), [[0, 3], [4, 7], [8, 11]] * 2)
    assert data.names[1:4] == ["test/stop/track0#1", "test/stop/track0#2", "test/stop/track1#0"]
    assert rows["label"].tolist() == [1] * 6
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for file in sorted((place / "train").rglob("*.png")):
            archive.write(file, file.relative_to(place / "train"))
    packed = Video(frames=12, size=6).load(f"video:{tmp_path / 'x.zip'}")
    np.testing.assert_array_equal(numbers(packed.take(np.arange(1))["clip"])[0], np.arange(12))
    assert packed.names[-1] == "stop/track1"


def test_clips_that_do_not_fit_are_decoded_when_they_are_needed(place):
    data = Video(frames=4, size=6).load(f"video:{place}", in_memory_bytes=100, workers=0)
    assert isinstance(data, Stream)
    rows = next(data.batches(4, seed=0))
    np.testing.assert_array_equal(numbers(rows["clip"]), [[4, 5, 6, 7]] * 4)
    assert sorted(rows["label"].tolist()) == [0, 0, 1, 1]


def test_what_is_short_is_said(tmp_path, caplog):
    put(tmp_path / "a", 3)
    put(tmp_path / "b", 1)
    data = Video(frames=4, size=6).load(f"video:{tmp_path}")
    np.testing.assert_array_equal(
        numbers(data.take(np.arange(2))["clip"]), [[0, 1, 2, 2], [0, 0, 0, 0]]
    )
    assert data.classes is None and "2 of 2 videos have fewer than the 4 frames" in caplog.text


def test_a_gif(tmp_path, caplog):
    frames = [Image.fromarray(GREY + np.uint8(20 * i)) for i in range(5)]
    (tmp_path / "a").mkdir()
    frames[0].save(tmp_path / "a" / "x.gif", save_all=True, append_images=frames[1:])
    rows = Video(frames=3, size=6).load(f"video:{tmp_path}").take(np.arange(1))
    np.testing.assert_allclose(numbers(rows["clip"])[0], [20, 40, 60], atol=4)
    assert not caplog.text
    Video(frames=6, size=6).load(f"video:{tmp_path}")
    assert "a/x.gif has 5 of the 6 frames of a clip" in caplog.text
    data = (tmp_path / "a" / "x.gif").read_bytes()
    (tmp_path / "a" / "x.gif").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"a/x\.gif"):
        Video(frames=5, size=6).load(f"video:{tmp_path}")


def film(av, count, *, step=1, size=(48, 32)):
    """A film whose brightness is eight times the number of the frame."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(count):
            picture = np.full((*reversed(size), 3), min(8 * i, 255), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i * step if i < count // 2 else 3 * i * step  # not of equal length
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return out.getvalue()


def test_films(tmp_path):
    av = pytest.importorskip("av")
    (tmp_path / "go.mkv").write_bytes(film(av, 20))
    reader = Video(frames=6, stride=2, size=16)
    rows = reader.load(f"video:{tmp_path}").take(np.arange(1))
    found = rows["clip"].astype(int).mean((2, 3, 4))[0]
    np.testing.assert_allclose(found, 8 * np.arange(4, 16, 2), atol=6)  # 11 of 20 frames
    whole = film(av, 40)
    (tmp_path / "go.mkv").write_bytes(whole[:200])
    with pytest.raises(ValueError, match=r"go\.mkv"):
        reader.load(f"video:{tmp_path}")
    (tmp_path / "go.mkv").write_bytes(b"")
    with pytest.raises(ValueError, match=r"go\.mkv"):
        reader.load(f"video:{tmp_path}")


def test_films_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(ImportError, match=r"ssljax\[video\]"):
        Video().load(f"video:{tmp_path}")


def test_bad_input(tmp_path):
    put(tmp_path, 2)
    with pytest.raises(ValueError, match=r"lie in no folder, such as frame1\.png"):
        Video().load(f"video:{tmp_path}")
    with pytest.raises(ValueError, match="video:PATH"):
        Video().load("folder:x")
    with pytest.raises(ValueError, match="frames 0 must be at least 1"):
        Video(frames=0)
    put(tmp_path / "sub" / "a", 2)
    with pytest.raises(ValueError, match="has no split 'test': it has train"):
        Video(frames=2).load(f"video:{tmp_path / 'sub'}", split="test")
