"""Music from files: `midi:PATH`, melodies in pieces of a few bars or whole pieces as piano rolls.

PATH is a folder or a zip with MIDI files, or a .json file of chorales: {"train": [piece, ...],
"valid": ..., "test": ...}, where a piece is a list of lists of pitches, one for each sixteenth.
`midi:PATH:validation` names one split of it.

A row is one of two, and each keeps its label if its file has one:

    melody   int32 [T]: events, see `ssljax.data.melody`
    frames   uint8 [T, 88] with steps bool [T]: keys that sound; steps says which frames are real
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from ssljax.data.chorales import is_chorales, read_chorales, roll_of
from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.decode import READ_ERRORS
from ssljax.data.folder import Files
from ssljax.data.labels import Column, classes_of
from ssljax.data.melody import BAR, FIRST, KEYS, Grid, events, melody, on_grid, roll
from ssljax.data.midi_file import read_midi
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.walk import find, layout

log = logging.getLogger("ssljax")
_SUFFIXES = (".mid", ".midi", ".smf")
_WIDEST = 12  # semitones of an interval, beyond which all count as one


class _Row(NamedTuple):
    """A row with the number of its file and what it begins with, as a person counts it."""

    leaves: dict[str, np.ndarray]
    file: int
    place: int


@dataclass(frozen=True, kw_only=True)
class Midi:
    """How music becomes rows.

    `label` is a regular expression that is searched in the name of a file, or in its path below
    PATH where it holds a slash. The dances of the Nottingham collection, whose files are called
    jigs107.mid and the like:  Midi(label=r"^(hpps|jigs|morris|reels|slip|waltzes)").
    """

    plain_name: ClassVar[str] = "histogram"
    learn: Literal["melody", "frames"] = "melody"
    """What a row is: a few bars of a melody as events, or chords as a piano roll."""
    bars: int = 2
    """Of melodies: a row begins with every so many bars, and has 16 events for each. Where a bar is
    not of 4/4 the rows overlap, or leave something out, which is said."""
    length: int = 160
    """Of rolls: frames of a row; longer pieces become several rows."""
    every: int = 4
    """Of rolls: sixteenths from one frame to the next."""
    label: str | None = None
    """Finds the class of a piece: what its one group matches; pieces where it finds nothing have
    no label. None: there are no labels."""
    held: float = 0.1
    """Share of the pieces that is held out for validation, and as much for the test, where neither
    folders nor the file say which they are. Never a part of a piece."""
    seed: int = 0
    """Decides which."""

    def __post_init__(self) -> None:
        if self.learn not in ("melody", "frames"):
            raise ValueError(f"learn {self.learn!r}: choose melody or frames")
        for name in ("bars", "length", "every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if not 0 <= self.held < 0.5:
            raise ValueError(f"held {self.held} must be at least 0 and below .5")
        if self.label is None:
            return
        try:
            groups = re.compile(self.label).groups
        except re.error as error:
            raise ValueError(f"label {self.label!r} is no regular expression: {error}") from error
        if groups != 1:
            raise ValueError(
                f"label {self.label!r} has {groups} groups: put just the class in parentheses, as "
                "in ^(jigs|reels)"
            )

    @property
    def events(self) -> int:
        """Events of a row of melody, T."""
        return BAR * self.bars

    def prepared(self, spec: str, folder: Path | None = None) -> "Midi":
        """Itself: nothing is learnt from music before it is read."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers, or the one that it names."""
        place, named = _parse(spec)
        return (named,) if named else tuple(s for s, f in self._pieces(place).items() if f)

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`. What cannot be read is counted and named, and so is what is changed.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers
        place, named = _parse(spec)
        split = named or normal(split)
        pieces = self._pieces(place)
        if not pieces.get(split):
            offered = ", ".join(s for s, names in pieces.items() if names)
            raise ValueError(f"{spec} has no split {split!r}, only {offered}")
        if not is_chorales(place) and split == "train":
            find(place, kind="midi", suffixes=_SUFFIXES, what="MIDI files").say(spec)
        said: Counter[str] = Counter()
        skipped: list[str] = []
        rows = list(self._rows(place, pieces[split], said, skipped))
        what = f"{spec} ({split})"
        if skipped:
            log.warning(
                *("%s: %d of %d files are left out: %s", what, len(skipped), len(pieces[split])),
                "; ".join(skipped[:10]) + ("; ..." if len(skipped) > 10 else ""),
            )
        for reason, count in said.items():
            log.warning("%s: %d %s", what, count, reason)
        if not rows:
            raise ValueError(f"{what}: no piece of music can be read, see above")
        found = {k: np.stack([row.leaves[k] for row in rows]) for k in rows[0].leaves}
        classes = None
        if self.label is not None:
            labels, classes = self._labels(spec, pieces, split)
            if labels is not None:
                found["label"] = labels[[row.file for row in rows]]
        names = [f"{pieces[split][row.file]}:{row.place}" for row in rows]
        return Arrays(found, classes=classes, names=names, skipped=skipped)

    def shapes(self) -> Spec:
        """Events of a row; or its frames, and which of them are real."""
        if self.learn == "melody":
            return {"melody": ((self.events,), np.dtype(np.int32))}
        return {
            "frames": ((self.length, KEYS), np.dtype(np.uint8)),
            "steps": ((self.length,), np.dtype(bool)),
        }

    def plain(self, rows: Rows) -> np.ndarray:
        """Shares [B, 25] of the intervals from each note to the next, in semitones from -12 to 12;
        of rolls [B, 12], of what sounds in each of the twelve pitch classes.
        """
        if "melody" in rows:
            return np.stack([intervals(row) for row in rows["melody"]])
        keys = rows["frames"].astype(np.float32).sum(1)
        found = np.stack([keys[:, (k + 3) % 12 :: 12].sum(1) for k in range(12)], axis=1)  # from C
        return found / np.maximum(found.sum(1, keepdims=True), 1)

    def _rows(
        self, place: str, names: list[str], said: Counter[str], skipped: list[str]
    ) -> Iterator[_Row]:
        """All rows of these pieces."""
        chorales = read_chorales(place) if is_chorales(place) else {}
        files = None if chorales else Files(place)
        for i, name in enumerate(names):
            try:
                if files is None:
                    found = self._framed(roll_of(chorales[name], name))
                else:
                    grid = on_grid(read_midi(_bytes(files, name), name), name)
                    said["notes were moved to the grid of sixteenths, by an eighth or more"] += (
                        grid.moved
                    )
                    said["notes are no keys of a piano and are left out"] += grid.outside
                    read = self._melodies if self.learn == "melody" else self._rolls
                    found = read(grid, said)
            except CorruptExample as error:
                skipped.append(str(error))
                continue
            for leaves, start in found:
                yield _Row(leaves, i, start)
        for reason in [reason for reason, count in said.items() if not count]:
            del said[reason]

    def _rolls(self, grid: Grid, said: Counter[str]) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        del said
        return self._framed(roll(grid))

    def _framed(self, whole: np.ndarray) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        """Rows of a roll [S, 88], and the number of their first frame."""
        whole = whole[:: self.every]
        for start in range(0, len(whole), self.length):
            part = whole[start : start + self.length]
            frames = np.zeros((self.length, KEYS), np.uint8)
            frames[: len(part)] = part
            yield {"frames": frames, "steps": np.arange(self.length) < len(part)}, start + 1

    def _melodies(
        self, grid: Grid, said: Counter[str]
    ) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        """Rows of a melody, and the number of their first bar."""
        sounds, begins, changed = melody(grid)
        said["notes were cut or covered by another, as one melody has but one voice"] += changed
        starts = grid.bars[:: self.bars]
        ends = np.append(starts[1:], len(sounds))
        for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
            said["sixteenths lie in bars that are longer than 4/4, and in no row"] += max(
                0, int(end - start) - self.events
            )
            if not sounds[start : start + self.events].any():
                said["rows of silence are left out"] += 1
                continue
            row = events(sounds, begins, start, self.events)
            yield {"melody": row}, k * self.bars + 1

    def _pieces(self, place: str) -> dict[str, list[str]]:
        """Names of the pieces of each split."""
        if is_chorales(place):
            if self.learn == "melody":
                raise ValueError(
                    f"{place} holds chords, not notes with a beginning: read it with "
                    "--reader.learn frames"
                )
            if self.label is not None:
                raise ValueError(f"{place} has no files whose names could hold a label")
            every = list(read_chorales(place))
            return {s: [name for name in every if name.startswith(f"{s}/")] for s in SPLITS}
        names = find(place, kind="midi", suffixes=_SUFFIXES, what="MIDI files").names
        of = {name: split for name, (split, _) in layout(names, f"midi:{place}").items()}
        if set(of.values()) != {"train"}:
            return {s: [n for n in names if of[n] == s] for s in SPLITS}
        order = np.random.default_rng([self.seed, 73]).permutation(len(names))
        count = round(self.held * len(names))
        parts = (order[2 * count :], order[:count], order[count : 2 * count])
        return {s: [names[i] for i in sorted(p)] for s, p in zip(SPLITS, parts, strict=True)}

    def _labels(
        self, spec: str, pieces: dict[str, list[str]], split: str
    ) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
        """The class of each piece of a split, int32 [N], -1 for none; and what they are called."""
        assert self.label is not None
        path = "/" in self.label
        found = {
            s: [re.search(self.label, n if path else PurePosixPath(n).name) for n in names]
            for s, names in pieces.items()
        }
        words = {s: [m[1] or "" if m else "" for m in some] for s, some in found.items()}
        if not any(word for some in words.values() for word in some):
            few = ", ".join(pieces[split][:3])
            raise ValueError(f"reader.label {self.label!r} finds no class in files such as {few}")
        columns = {
            s: Column(some, lambda i, s=s: pieces[s][i], word=True)
            for s, some in words.items()
            if some
        }
        return classes_of(columns, split, place=spec)


def intervals(row: np.ndarray) -> np.ndarray:
    """Shares of the intervals from each note to the next, float32 [25], of events [T]; all 0 where
    there are no two notes.
    """
    steps = np.clip(np.diff(row[row >= FIRST]), -_WIDEST, _WIDEST) + _WIDEST
    count = np.bincount(steps, minlength=2 * _WIDEST + 1)
    return (count / max(len(steps), 1)).astype(np.float32)


def _bytes(files: Files, name: str) -> bytes:
    try:
        return files.read(name)
    except READ_ERRORS as error:
        raise CorruptExample(name, f"cannot be read: {error}") from error


def _parse(spec: str) -> tuple[str, str | None]:
    """(place, split or None) of "midi:PATH[:SPLIT]"."""
    kind, _, place = spec.partition(":")
    if kind != "midi" or not place:
        raise ValueError(f"data {spec!r}: music is midi:PATH: a folder, zip or .json of chorales")
    head, _, tail = place.rpartition(":")
    if head and normal(tail) in SPLITS and not Path(place).exists():
        return head, normal(tail)
    return place, None
