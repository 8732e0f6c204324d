"""Recordings as rows of samples, all of one length: the `Reader` of sound.

    audio:PATH[:SPLIT]    a folder, or a zip that is read and never unpacked, of .wav files

A row is {"audio": float32 [T], "length": int32}: one channel (the mean of several) in [-1, 1], cut
after T samples or filled up with zeros, and how many of the samples are real. Folders give splits
and classes as they do for pictures (`ssljax.data.folder`), unless expressions say otherwise.
"""

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.decode import READ_ERRORS, in_memory
from ssljax.data.folder import Folder, folder_columns
from ssljax.data.labels import Column, classes_of
from ssljax.data.sources import Source
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.stream import Stream
from ssljax.data.walk import find, layout
from ssljax.data.wav import open_wav, resample, samples

log = logging.getLogger("ssljax")
_SUFFIXES = (".wav", ".wave")
_HEARD = 100  # recordings of a stream that are asked for their length
_MELS, _WINDOW, _HOP = 40, 0.025, 0.01


@dataclass(frozen=True, kw_only=True)
class Audio:
    """How recordings become rows.

    `label` and `test` are regular expressions that are searched in the name of a file, or in its
    path below PATH where they hold a slash. The Free Spoken Digit Dataset, whose files are called
    digit_speaker_take.wav, by its usual split:  Audio(rate=8000, label=r"^(\\d)_",
    test=r"_[0-4]\\.wav$");  with a speaker held out:  test=r"_theo_".
    """

    plain_name: ClassVar[str] = "log-mel statistics"
    rate: int = 16_000
    """Samples a second; recordings at other rates are resampled."""
    seconds: float = 4.0
    """Length of a row."""
    label: str | None = None
    """Finds the class of a recording: what its one group matches. None: its folder, where there are
    several."""
    test: str | None = None
    """Finds the recordings of the test split. None: folders called train and test, or all are for
    training."""

    def __post_init__(self) -> None:
        if self.rate < 1 or self.samples < 1:
            raise ValueError(f"{self.seconds} seconds at rate {self.rate} hold no sample")
        for name, pattern in (("label", self.label), ("test", self.test)):
            try:
                groups = 1 if pattern is None else re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"{name} {pattern!r} is no regular expression: {error}") from error
            if name == "label" and groups != 1:
                raise ValueError(
                    f"label {pattern!r} has {groups} groups: put just the class in parentheses, as "
                    r"in ^(\d)_"
                )

    @property
    def samples(self) -> int:
        """Samples of a row, T."""
        return round(self.rate * self.seconds)

    def prepared(self, spec: str, folder: Path | None = None) -> "Audio":
        """Itself: recordings are read without anything learnt from them."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers, of train and test; just the one that it names."""
        place, named = parse_audio(spec)
        return (named,) if named else tuple(s for s, f in self.files(place).items() if f)

    def load(
        self,
        spec: str,
        *,
        split: str = "train",
        in_memory_bytes: int = 4 * 2**30,
        workers: int = 0,
    ) -> Arrays | Stream:
        """A split of `spec`, in memory where it fits.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        place, named = parse_audio(spec)
        find(place, kind="audio", suffixes=_SUFFIXES, what="recordings").say(spec)
        files = self.files(place)
        split = named or normal(split)
        if not files.get(split):
            raise ValueError(f"{spec} has no split {split!r}: set --reader.test, or use train")
        labels, classes = classes_of(self._classes(place, files), split, place=spec)
        source = Folder(place, files[split], labels, classes, leaf="audio")
        if 4 * self.samples * len(source) > in_memory_bytes:
            found: Arrays | Stream = Stream(source, self.decode, workers=workers)
            self.say_cut(source, range(min(len(source), _HEARD)))
        else:
            found = in_memory(source, self.decode)
            self.say_cut(source, range(len(source)))
        return found

    def rows(self, values: Sequence[Any], *, like: Spec | None = None) -> Rows:
        """{"audio": float32 [N, T], "length": int32 [N]} of WAV files, or of arrays [n] of samples
        in -1 to 1 at the rate of this reader; what is longer than a row is cut.

        Raises: ValueError that names what is no recording.
        """
        del like
        found = [self._row(value, f"example {i}") for i, value in enumerate(values)]
        return {
            "audio": np.stack([x for x, _ in found]).astype(np.float32),
            "length": np.array([n for _, n in found], np.int32),
        }

    def _row(self, value: Any, name: str) -> tuple[np.ndarray, int]:
        if isinstance(value, str | Path):
            return self(Path(value).read_bytes(), str(value))
        x = np.asarray(value)
        if x.ndim != 1 or x.dtype.kind != "f" or not len(x):
            raise CorruptExample(
                name, f"recordings are float samples [n] in -1 to 1, not {x.dtype} {x.shape}"
            )
        x = x[: self.samples]
        return np.pad(x, (0, self.samples - len(x))), len(x)

    def decode(self, record: dict[str, Any], name: str) -> Rows:
        """Samples of a row, and how many are real. Raises: CorruptExample."""
        audio, length = self(record["audio"], name)
        return {"audio": audio, "length": np.array(length, np.int32)}

    def durations(self, rows: Rows) -> np.ndarray:
        """Seconds of each row, float64 [N]; of recordings that were cut, what is left of them."""
        return np.asarray(rows["length"]) / self.rate

    def shapes(self) -> Spec:
        """Samples of a row, and how many of them are real."""
        audio = ((self.samples,), np.dtype(np.float32))
        return {"audio": audio, "length": ((), np.dtype(np.int32))}

    def plain(self, rows: Rows) -> np.ndarray:
        """Mean and standard deviation over time of 40 log-mel bands: [B, 80]."""
        found = []
        for x, length in zip(rows["audio"], rows["length"]):
            mel = log_mel(x[: max(int(length), 1)], self.rate)
            found.append(np.concatenate([mel.mean(0), mel.std(0)]))
        return np.array(found, np.float32)

    def __call__(self, data: bytes, name: str) -> tuple[np.ndarray, int]:
        """A WAV file as a row [T] float32, and its real samples. Raises: CorruptExample."""
        wav = open_wav(data, name)
        most = math.ceil(self.seconds * wav.rate) + wav.rate // 10  # more would not be in the row
        x = samples(wav, name, most=most)
        one = resample(x.mean(axis=1), wav.rate, self.rate)[: self.samples]
        return np.pad(one, (0, self.samples - len(one))), len(one)

    def files(self, place: str) -> dict[str, list[str]]:
        """The files of each split of a folder or a zip."""
        names = find(place, kind="audio", suffixes=_SUFFIXES, what="recordings").names
        if self.test is None:
            of = {name: split for name, (split, _) in layout(names, f"audio:{place}").items()}
            return {s: [n for n in names if of[n] == s] for s in SPLITS}
        tests = {name for name in names if search(self.test, name)}
        if not tests:
            raise ValueError(f"reader.test {self.test!r} finds none of the files in {place}")
        return {"train": [n for n in names if n not in tests], "test": sorted(tests)}

    def _classes(self, place: str, files: dict[str, list[str]]) -> dict[str, Column]:
        """The class of each recording of each split."""
        names = [name for part in files.values() for name in part]
        if self.label is None:
            of = layout(names, f"audio:{place}")
            folders = {s: [of[n][1] for n in part] for s, part in files.items()}
            return folder_columns(folders, f"audio:{place}")
        found = {name: search(self.label, name) for name in names}
        words = {name: match[1] for name, match in found.items() if match and match[1] is not None}
        missed = [name for name in names if name not in words]
        if missed:
            raise ValueError(
                f"reader.label {self.label!r} finds no class in {len(missed)} of {len(names)} "
                f"files, such as {', '.join(missed[:3])}"
            )
        return {
            s: Column([words[n] for n in part], lambda i, p=part: p[i])
            for s, part in files.items()
            if part
        }

    def say_cut(self, source: Source, which: range) -> None:
        """One line about recordings that are longer than a row, of those in `which`."""
        longest, count = 0.0, 0
        for i in which:
            try:
                seconds = open_wav(source[i]["audio"], source.name(i)).seconds
            except (CorruptExample, *READ_ERRORS):
                continue
            count += seconds > self.seconds
            longest = max(longest, seconds)
        if count:
            log.warning(
                "%d of %d recordings are longer than %g s and are cut (the longest has %.1f s): "
                "raise --reader.seconds to keep all of them",
                *(count, len(which), self.seconds, longest),
            )


def log_mel(x: np.ndarray, rate: int) -> np.ndarray:
    """Logarithms of the power in 40 bands, of samples [N]: [frames, 40] float64.

    Hann windows of 25 ms every 10 ms, triangles evenly spaced on the HTK mel scale from 20 Hz up.
    """
    window, hop = round(_WINDOW * rate), max(1, round(_HOP * rate))
    n = 2 ** math.ceil(math.log2(window))
    x = np.pad(x.astype(np.float64), (0, max(0, window - len(x))))
    frames = np.lib.stride_tricks.sliding_window_view(x, window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann, n)) ** 2
    low, high = 2595 * np.log10(1 + np.array([20.0, rate / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, _MELS + 2) / 2595) - 1)
    up = (np.fft.rfftfreq(n, 1 / rate)[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    down = (edges[2:] - np.fft.rfftfreq(n, 1 / rate)[:, None]) / np.diff(edges)[1:]
    return np.log(power @ np.maximum(0, np.minimum(up, down)) + 1e-6)


def search(pattern: str, name: str) -> re.Match | None:
    """What a pattern finds in the name of a file, or in its path where it holds a slash."""
    return re.search(pattern, name if "/" in pattern else PurePosixPath(name).name)


def parse_audio(spec: str) -> tuple[str, str | None]:
    """(place, split or None) of "audio:PATH[:SPLIT]"."""
    kind, _, place = spec.partition(":")
    if kind != "audio" or not place:
        raise ValueError(f"data {spec!r}: recordings are audio:PATH, a folder or a zip of .wav")
    head, _, tail = place.rpartition(":")
    if head and normal(tail) in SPLITS and not Path(place).exists():
        return head, normal(tail)
    return place, None
