"""Recordings with what is said in them: manifests of JSON lines.

    manifest:PATH[:SPLIT]    a file of JSON lines, or a folder with one a split (train.jsonl, ...)

A line is {"audio_filepath": "a/b.wav", "text": "what is said"}, as NeMo has it and as
`ssljax label --out labels.jsonl` writes it; paths begin at the folder of the manifest. Without a
text, or with null, nobody has written down what is said: an example of the pool. A row is that of
`Audio` with

    "text"  int32 [longest], letters counted from 1 and then 0; -1 first where nobody knows it
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ssljax.data.audio import Audio
from ssljax.data.cells import read_text
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.decode import in_memory
from ssljax.data.folder import Files
from ssljax.data.spelled import LETTERS, UNKNOWN, check_letters, spelled
from ssljax.data.split_files import SplitFiles, split_files
from ssljax.data.stream import Stream

log = logging.getLogger("ssljax")
_FILES = (".jsonl", ".json", ".manifest")


class Line(NamedTuple):
    """A line of a manifest. place: what to call it in a message."""

    audio: str
    text: str | None
    place: str


@dataclass(frozen=True, kw_only=True)
class Transcripts:
    """How recordings with texts become rows."""

    plain_name: ClassVar[str] = Audio.plain_name

    audio: Audio = Audio(seconds=16.0)
    """How a recording is read; its `label` and `test` are not used."""
    letters: str = LETTERS
    """What a text is made of, in the order of their numbers: those of the target."""
    longest: int = 256
    """Letters of a text, at most."""

    def __post_init__(self) -> None:
        check_letters(self.letters)

    def prepared(self, spec: str, folder: Path | None = None) -> "Transcripts":
        """Itself: nothing is learnt from the data."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return _files(spec).splits

    def load(
        self,
        spec: str,
        *,
        split: str = "train",
        in_memory_bytes: int = 4 * 2**30,
        workers: int = 0,
    ) -> Arrays | Stream:
        """A split of `spec`, in memory where it fits.

        Raises: ValueError or FileNotFoundError that name file and line of what does not fit.
        """
        files = _files(spec)
        folder = files.place if files.place.is_dir() else files.place.parent
        lines = [line for file in files.of(split) for line in _lines(file, folder)]
        if not lines:
            raise ValueError(f"{spec} ({split}) holds no recordings")
        places = [line.place for line in lines]
        seen: dict[str, str] = {}
        for line in lines:
            if line.audio in seen:
                raise ValueError(
                    f"{line.place}: {line.audio} is in {seen[line.audio]} already: keep one"
                )
            seen[line.audio] = line.place
        text = spelled(
            [line.text for line in lines], self.letters, size=self.longest, places=places
        )
        without = int((text[:, 0] == UNKNOWN).sum())
        if without:
            log.info("%s (%s): %d of %d recordings have no text", spec, split, without, len(lines))
        source = _Recordings(folder, [line.audio for line in lines], text)
        if 4 * self.audio.samples * len(source) > in_memory_bytes:
            return Stream(source, self._decoded, workers=workers)
        found = in_memory(source, self._decoded)
        self.audio.say_cut(source, range(len(source)))
        return found

    def _decoded(self, record: dict[str, Any], name: str) -> Rows:
        return self.audio.decode(record, name) | {"text": record["text"]}

    def shapes(self) -> Spec:
        """Samples, how many of them are real, and letters."""
        return self.audio.shapes() | {"text": ((self.longest,), np.dtype(np.int32))}

    def plain(self, rows: Rows) -> np.ndarray:
        """As `Audio.plain`."""
        return self.audio.plain(rows)

    def durations(self, rows: Rows) -> np.ndarray:
        """As `Audio.durations`."""
        return self.audio.durations(rows)


class _Recordings:
    """Files with their texts as records; see `ssljax.data.sources.Source`."""

    classes = None

    def __init__(self, folder: Path, names: Sequence[str], text: np.ndarray) -> None:
        self._files, self._names, self._text = Files(str(folder)), names, text

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"audio": self._files.read(self._names[i]), "text": self._text[i]}

    def labels(self) -> None:
        return None

    def name(self, i: int) -> str:
        return str(Path(self._files.place) / self._names[i])

    def key(self, i: int) -> str:
        return self._names[i]


def _files(spec: str) -> SplitFiles:
    return split_files(spec, kind="manifest", what="recordings with texts", endings=_FILES)


def _lines(file: Path, folder: Path) -> list[Line]:
    """The lines of a manifest, with paths from `folder` on. Raises: ValueError that names one."""
    found = []
    for number, row in enumerate(read_text(file).split("\n"), start=1):
        if not row.strip():
            continue
        place = f"{file}, line {number}"
        try:
            said = json.loads(row)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place} is no JSON ({error}): one recording a line") from None
        name = said.get("audio_filepath") if isinstance(said, dict) else None
        if not isinstance(name, str) or not name:
            raise ValueError(f'{place} has no "audio_filepath": name the file of the recording')
        text = said.get("text")
        if text is not None and not isinstance(text, str):
            raise ValueError(f"{place}: the text {text!r} is none: put it in quotes")
        if said.get("offset"):
            raise ValueError(
                f"{place} is a part of {name}, from second {said['offset']} on: write each part "
                "into a file of its own"
            )
        path = file.parent / name
        if not path.is_file():
            raise FileNotFoundError(f"{place}: there is no {path}")
        inside = path.is_relative_to(folder)
        found.append(Line(path.relative_to(folder).as_posix() if inside else name, text, place))
    return found
