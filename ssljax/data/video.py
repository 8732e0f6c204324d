"""Videos as clips of so many frames: films, or folders of pictures, one for each frame.

    video:PATH[:SPLIT]    a folder or a zip

A folder that holds pictures is a video, and they are its frames, in the order of the numbers in
their names; a film is a file of its own. Folders above them give splits and classes as they do for
pictures (`ssljax.data.folder`). A row is

    "clip"  uint8 [frames, size, size, C]

Frames count in the order in which they are shown, however long each of them is. Films need PyAV
(the extra `video`), except .gif. A clip of a video of too few frames ends with copies of the last
one, which is said. A film that cannot be decoded is named; one that was cut off is read as far as
it goes, where its format allows that.
"""

import io
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.decode import in_memory, size_of
from ssljax.data.folder import Files, folder_columns
from ssljax.data.images import Images
from ssljax.data.labels import classes_of
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.stream import Stream
from ssljax.data.walk import find, layout

log = logging.getLogger("ssljax")
_FRAMES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_FILMS = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".wmv", ".gif")


@dataclass(frozen=True, kw_only=True)
class Video:
    """How videos become clips."""

    plain_name: ClassVar[str] = "pixels of the mean frame"
    frames: int = 16
    """Frames of a clip."""
    stride: int = 1
    """Every so many-th frame of the video is one of the clip's."""
    size: int = 64
    """Side in pixels: the shorter side is resized to it, and the centre cut out."""
    channels: Literal[1, 3] = 3
    """Grey (1) or colour (3)."""
    clips: int = 1
    """Equal parts of each video, from the middle of each of which a clip is taken."""

    def __post_init__(self) -> None:
        for name in ("frames", "stride", "size", "clips"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        Images(channels=self.channels)

    def prepared(self, spec: str, folder: Path | None = None) -> "Video":
        """Itself."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers; just the one that it names."""
        place, named = _parse(spec)
        found = {split for split, _ in _layout(place, say=False)[1].values()}
        return (named,) if named else tuple(s for s in SPLITS if s in found)

    def load(
        self,
        spec: str,
        *,
        split: str = "train",
        in_memory_bytes: int = 4 * 2**30,
        workers: int = 2,
    ) -> Arrays | Stream:
        """A split of `spec`, in memory where it fits; else each clip is decoded when it is needed.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        place, named = _parse(spec)
        videos, of = _layout(place)
        split = named or normal(split)
        chosen = [name for name in videos if of[name][0] == split]
        if not chosen:
            offered = ", ".join(sorted({s for s, _ in of.values()}))
            raise ValueError(f"{spec} has no split {split!r}: it has {offered}")
        if any(name.lower().endswith(_FILMS) and name[-4:].lower() != ".gif" for name in chosen):
            _av()
        every = {s: [name for name in videos if of[name][0] == s] for s in SPLITS}
        folders = {s: [of[name][1] for name in names] for s, names in every.items() if names}
        labels, classes = classes_of(folder_columns(folders, spec), split, place=spec)
        source = Clips(place, {n: videos[n] for n in chosen}, labels, classes, self)
        source.say_short(spec)
        if size_of(source, self.decode) <= in_memory_bytes:
            return in_memory(source, self.decode)
        return Stream(source, self.decode, workers=workers)

    def shapes(self) -> Spec:
        """The frames of a clip."""
        side = (self.frames, self.size, self.size, self.channels)
        return {"clip": (side, np.dtype(np.uint8))}

    def plain(self, rows: Rows) -> np.ndarray:
        """Pixels of the mean frame, [B, size * size * C], in [0, 1]."""
        mean = rows["clip"].astype(np.float32).mean(1) / 255
        return mean.reshape(len(mean), -1)

    def decode(self, record: dict[str, Any], name: str) -> Rows:
        """The frames of a clip. Raises: CorruptExample."""
        files, part = record["clip"], record["part"]
        picture = Images(size=self.size, channels=self.channels)
        if isinstance(files, bytes):
            kind = _gif if name.lower().endswith(".gif") else _film
            frames = [picture(x, name) for x in kind(files, name, partial(self._told, name, part))]
        else:
            each = {data: picture(data, name) for data in dict.fromkeys(files)}
            frames = [each[data] for data in files]
        return {"clip": np.stack(frames)}

    def _told(self, name: str, part: int, count: int) -> np.ndarray:
        """`places`, and a line where a film is too short."""
        if count < self.span:
            log.warning(
                "%s has %d of the %d frames of a clip and ends with copies of its last one: lower "
                "--reader.frames or --reader.stride", name, count, self.span
            )  # fmt: skip
        return self.places(count, part)

    @property
    def span(self) -> int:
        """Frames from the first to the last one of a clip."""
        return (self.frames - 1) * self.stride + 1

    def places(self, count: int, part: int) -> np.ndarray:
        """Which of `count` frames make the clip of a part, int [frames], from the first on."""
        middle = (part + 0.5) * count / self.clips
        start = min(max(0, round(middle - self.span / 2)), max(0, count - self.span))
        return np.minimum(start + self.stride * np.arange(self.frames), count - 1)


class Clips:
    """The clips of videos as records {"clip": the film, or its frames, as bytes; "part"}."""

    def __init__(
        self,
        place: str,
        videos: dict[str, list[str]],
        labels: np.ndarray | None,
        classes: tuple[str, ...] | None,
        reader: Video,
    ) -> None:
        """videos: name -> files of its frames, [] for a film. labels: int32, of each video."""
        self._files, self._videos, self._names = Files(place), videos, list(videos)
        self._labels = None if labels is None else np.repeat(labels, reader.clips)
        self.classes, self._reader = classes, reader

    def __len__(self) -> int:
        return len(self._names) * self._reader.clips

    def __getitem__(self, i: int) -> dict[str, Any]:
        name, part = self._names[i // self._reader.clips], i % self._reader.clips
        frames = self._videos[name]
        if not frames:
            return {"clip": self._files.read(name), "part": part}
        wanted = self._reader.places(len(frames), part)
        read = {at: self._files.read(frames[at]) for at in dict.fromkeys(wanted.tolist())}
        return {"clip": [read[at] for at in wanted.tolist()], "part": part}

    def labels(self) -> np.ndarray | None:
        return self._labels

    def name(self, i: int) -> str:
        return f"{self._files.place}/{self._names[i // self._reader.clips]}"

    def key(self, i: int) -> str:
        name, part = self._names[i // self._reader.clips], i % self._reader.clips
        return name if self._reader.clips == 1 else f"{name}#{part}"

    def say_short(self, spec: str) -> None:
        """One line about folders of fewer frames than a clip."""
        span = self._reader.span
        short = [name for name, frames in self._videos.items() if 0 < len(frames) < span]
        if short:
            log.warning(
                "%s: %d of %d videos have fewer than the %d frames of a clip and end with copies "
                "of their last one, first %s: lower --reader.frames or --reader.stride",
                *(spec, len(short), len(self._names), span, short[0]),
            )

    def __repr__(self) -> str:
        return f"Clips({self._files.place}, {len(self._names)} videos)"


def _layout(
    place: str, *, say: bool = True
) -> tuple[dict[str, list[str]], dict[str, tuple[str, str]]]:
    """(the files of the frames of each video, [] for a film; split and class of each), sorted."""
    found = find(place, kind="video", suffixes=(*_FRAMES, *_FILMS), what="videos")
    if say:
        found.say(f"video:{place}")
    videos: dict[str, list[str]] = defaultdict(list)
    for file in found.names:
        if file.lower().endswith(_FILMS):
            videos[file] = []
        else:
            videos[str(PurePosixPath(file).parent)].append(file)
    if "." in videos:
        raise ValueError(
            f"video:{place} holds pictures that lie in no folder, such as {videos['.'][0]}: the "
            "frames of each video need a folder of their own"
        )
    ordered = {name: sorted(videos[name], key=_order) for name in sorted(videos)}
    return ordered, layout(list(ordered), f"video:{place}")


def _order(name: str) -> list[tuple[int, str]]:
    """Names by the numbers in them: frame2 before frame10."""
    parts = re.split(r"(\d+)", name)
    return [(int(p), "") if i % 2 else (0, p) for i, p in enumerate(parts)]


def _gif(data: bytes, name: str, places: Any) -> Sequence[np.ndarray]:
    """The wanted frames of a GIF. Raises: CorruptExample."""
    try:
        image, found = Image.open(io.BytesIO(data)), {}
        wanted = places(getattr(image, "n_frames", 1)).tolist()
        for at in range(max(wanted) + 1):
            image.seek(at)
            if at in wanted:
                found[at] = np.asarray(image.convert("RGB"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise CorruptExample(name, str(error) or type(error).__name__) from error
    return [found[at] for at in wanted]


def _film(data: bytes, name: str, places: Any) -> Sequence[np.ndarray]:
    """The wanted frames of a film, turned as it says. Raises: CorruptExample."""
    av = _av()
    try:
        with av.open(io.BytesIO(data)) as film:
            count = sum(packet.pts is not None for packet in film.demux(film.streams.video[0]))
        if not count:
            raise CorruptExample(name, "holds no frame")
        wanted, found = places(count).tolist(), {}
        with av.open(io.BytesIO(data)) as film:
            for at, frame in zip(range(max(wanted) + 1), _shown(film), strict=False):
                if at in wanted:
                    turn = round(getattr(frame, "rotation", 0) / 90)
                    found[at] = np.rot90(frame.to_ndarray(format="rgb24"), turn)
    except (av.error.FFmpegError, IndexError) as error:  # no stream of pictures
        raise CorruptExample(name, str(error) or type(error).__name__) from error
    if missing := [at for at in wanted if at not in found]:
        raise CorruptExample(name, f"ends before frame {missing[0] + 1} of {count}")
    return [np.ascontiguousarray(found[at]) for at in wanted]


def _shown(film: Any) -> Iterator[Any]:
    """The frames of the first stream of pictures, as they are shown."""
    return film.decode(film.streams.video[0])


def _av() -> Any:
    """PyAV. Raises: ImportError that says how to get it."""
    try:
        import av  # pyright: ignore[reportMissingImports]: an extra
    except ImportError as error:
        raise ImportError(
            "films are read by PyAV: pip install 'ssljax[video]', or write their frames as "
            "pictures, a folder for each film"
        ) from error
    return av


def _parse(spec: str) -> tuple[str, str | None]:
    """(place, split or None) of "video:PATH[:SPLIT]"."""
    kind, _, place = spec.partition(":")
    if kind != "video" or not place:
        raise ValueError(f"data {spec!r}: videos are video:PATH, a folder or a zip")
    head, _, tail = place.rpartition(":")
    if head and normal(tail) in SPLITS and not Path(place).exists():
        return head, normal(tail)
    return place, None
