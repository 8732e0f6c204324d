"""Strings of spoken words, joined from recordings of single ones, with what is said as a text.

    audio:PATH[:SPLIT]    recordings of words, as `Audio` reads them; their class is the word

Each string is of one speaker: so many words, drawn from her recordings of the split, with silence
before, between and behind them, and faint noise over all. The same seed gives the same strings. A
row is that of `Audio` with the speaker as its label and

    "text"  int32 [letters of the longest string], letters counted from 1 and then 0
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ssljax.data.audio import Audio, parse_audio, search
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.spelled import LETTERS, check_letters, spelled
from ssljax.data.split_names import SPLITS, normal

log = logging.getLogger("ssljax")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TRIES = 100  # draws of a string that does not fit into a row


@dataclass(frozen=True, kw_only=True)
class Strings:
    """How recordings of words become strings. The defaults are for the Free Spoken Digit Dataset,
    whose files are called digit_speaker_take.wav.
    """

    plain_name: ClassVar[str] = Audio.plain_name

    audio: Audio = Audio(rate=8000, seconds=2.5, label=r"^(\d)_", test=r"_[0-4]\.wav$")
    """How a recording of one word is read; what its `test` finds is joined to strings for testing,
    and nothing else is."""
    speaker: str = r"^\d_([a-z]+)_"
    """Finds the speaker of a recording in its name: what its one group matches."""
    without: str | None = None
    """Finds recordings of which no string is made, such as those of one speaker."""
    words: tuple[str, ...] = DIGITS
    """What is said in each class, in their order."""
    letters: str = LETTERS
    """What the words are made of and the space between them, in the order of their numbers: those
    of the target."""
    count: tuple[int, int] = (3, 7)
    """Words of a string, from and to."""
    gap: tuple[float, float] = (0.05, 0.3)
    """Seconds of silence before, between and behind words, from and to."""
    noise: float = 0.001
    """Largest deviation of the noise over a string; recordings lie in [-1, 1]."""
    seconds: float = 5.0
    """Length of a row: strings that do not fit are drawn anew."""
    train: int = 2000
    """Strings for training."""
    test: int = 300
    """Strings for testing."""
    seed: int = 0

    def __post_init__(self) -> None:
        check_letters(self.letters)
        for name in ("count", "gap"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name == "count" and low < 1):
                raise ValueError(f"{name} {(low, high)} must be from the smallest to the largest")
        if min(self.train, self.test) < 1:
            raise ValueError(f"strings: train {self.train} and test {self.test} must be at least 1")
        for name in ("speaker", "without"):
            pattern = getattr(self, name)
            try:
                groups = 1 if pattern is None else re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"{name} {pattern!r} is no regular expression: {error}") from error
            if name == "speaker" and groups != 1:
                raise ValueError(f"speaker {pattern!r} has {groups} groups: it needs one")

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.audio.rate

    @property
    def samples(self) -> int:
        """Samples of a row, T."""
        return round(self.rate * self.seconds)

    @property
    def longest(self) -> int:
        """Letters of a text, at most."""
        return self.count[1] * (1 + max(map(len, self.words))) - 1

    def prepared(self, spec: str, folder: Path | None = None) -> "Strings":
        """Itself: nothing is learnt from the data."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers, as of `Audio`."""
        return self.audio.splits(spec)

    def load(
        self,
        spec: str,
        *,
        split: str = "train",
        in_memory_bytes: int = 4 * 2**30,
        workers: int = 0,
    ) -> Arrays:
        """The strings of a split, in memory.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del workers  # they are a few thousand short files
        place, named = parse_audio(spec)
        split = named or normal(split)
        size = self.train if split == "train" else self.test
        words = self.audio.load(spec, split=split, in_memory_bytes=in_memory_bytes)
        if not isinstance(words, Arrays) or 4 * self.samples * size > in_memory_bytes:
            raise ValueError(
                f"{spec}: strings are made in memory, and these take more than "
                f"{in_memory_bytes / 2**30:.1f} GiB: take fewer, or shorter rows"
            )
        said, classes = words.labels(), words.classes or ()
        if said is None or len(classes) != len(self.words):
            raise ValueError(
                f"{spec} has recordings of {len(classes)} classes, and reader.words names "
                f"{len(self.words)}: say what each is"
            )
        speakers = [self._speaker(name) for name in words.names or ()]
        of: dict[str, list[int]] = {}
        for i, (name, speaker) in enumerate(zip(words.names or (), speakers, strict=True)):
            if not (self.without and search(self.without, name)):
                of.setdefault(speaker, []).append(i)
        if left := len(words) - sum(map(len, of.values())):
            log.info("%s (%s): reader.without leaves out %d recordings", spec, split, left)
        if not of:
            raise ValueError(f"{spec} ({split}): reader.without leaves no recording")
        who = [sorted(of)[i % len(of)] for i in range(size)]
        rng = np.random.default_rng([self.seed, SPLITS.index(split)])
        rows: Rows = {"audio": np.zeros((size, self.samples), np.float32)}
        rows["length"], texts = np.zeros(size, np.int32), []
        for i, speaker in enumerate(who):
            x, picked = self._string(words, np.array(of[speaker]), rng)
            rows["audio"][i, : len(x)], rows["length"][i] = x, len(x)
            texts.append(" ".join(self.words[k] for k in said[picked]))
        names = [f"{split}/{speaker}-{i:05d}" for i, speaker in enumerate(who)]
        rows["text"] = spelled(texts, self.letters, size=self.longest, places=names)
        # Numbered over both splits, so that a speaker is the same in each.
        files = (name for part in self.audio.files(place).values() for name in part)
        everyone = sorted({self._speaker(name) for name in files})
        rows["label"] = np.array([everyone.index(speaker) for speaker in who], np.int32)
        return Arrays(rows, classes=everyone, names=names)

    def _string(
        self, words: Arrays, mine: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(samples [n], which recordings) of a string that fits into a row. mine: recordings of its
        speaker."""
        for _ in range(_TRIES):
            picked = rng.choice(mine, rng.integers(self.count[0], self.count[1] + 1))
            gaps = np.rint(self.rate * rng.uniform(*self.gap, len(picked) + 1)).astype(int)
            part = words.take(picked)
            size = int(gaps.sum() + part["length"].sum())
            if size <= self.samples:
                break
        else:
            raise ValueError(
                f"no string of {self.count[0]} to {self.count[1]} words fits into "
                f"{self.seconds:g} s: raise --reader.seconds"
            )
        x, at = rng.normal(0, self.noise * rng.uniform(), size).astype(np.float32), 0
        for gap, audio, length in zip(gaps, part["audio"], part["length"], strict=False):
            at += gap
            x[at : at + length] += audio[:length]
            at += length
        return x, picked

    def _speaker(self, name: str) -> str:
        found = search(self.speaker, name)
        if found is None or found[1] is None:
            raise ValueError(f"reader.speaker {self.speaker!r} finds no speaker in {name}")
        return found[1]

    def shapes(self) -> Spec:
        """Samples, how many of them are real, and letters."""
        integer = np.dtype(np.int32)
        audio = ((self.samples,), np.dtype(np.float32))
        return {"audio": audio, "length": ((), integer), "text": ((self.longest,), integer)}

    def plain(self, rows: Rows) -> np.ndarray:
        """As `Audio.plain`."""
        return self.audio.plain(rows)

    def durations(self, rows: Rows) -> np.ndarray:
        """As `Audio.durations`."""
        return self.audio.durations(rows)
