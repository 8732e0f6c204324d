"""Genes and proteins: sequences of letters, one token a letter.

    letters:PATH[:SPLIT]    a file, or a folder with one file a split (train.fasta, test.txt, ...);
                            any may be gzipped

What a file is, its first line tells:

    >name class=donor       FASTA: letters follow, over as many lines as they need. The class may
                            stand behind the name; where it never does and a folder holds several
                            files that name no split (coding.fa, intron.fa), a file is a class
    donor, name, CCAGCT     class, name and letters of a sequence, apart by commas (UCI's genes)
    <>                      a chain follows, a letter a line with its tag: "G h" (Qian and
                            Sejnowski's proteins)

Letters are read in upper case; - and * are letters too; lines that begin with ; or # are comments.
A row is that of `Text`, [CLS] letters
[SEP], with a "label" where sequences have classes, or with "starts" and "tags", as `Conll` gives
them, where each letter has a tag.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ssljax.data.cells import read_text
from ssljax.data.conll import Sentences, TaggedText
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.labels import Column, classes_of
from ssljax.data.learnt import learnt
from ssljax.data.split_files import SplitFiles, split_files
from ssljax.data.split_names import normal
from ssljax.data.text import Text
from ssljax.data.tokenized import Tokenized

log = logging.getLogger("ssljax")
_PLAIN = (".fasta", ".fa", ".faa", ".fna", ".ffn", ".txt", ".csv", ".data")
_ENDINGS = (*_PLAIN, *(f"{ending}.gz" for ending in _PLAIN))
_NO_LETTER = re.compile(r"[^A-Za-z*-]")
_CLASS = re.compile(r"(?:^|\s)class=(\S+)")


class _Sequence(NamedTuple):
    letters: str
    name: str
    where: str
    label: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Letters:
    """How sequences of letters become rows."""

    plain_name: ClassVar[str] = "letters by place"

    text: Text = Text(tokenizer="characters", vocab=40, length=128, lowercase=False)
    """Rows: their length, and room for so many letters and special tokens."""

    def __post_init__(self) -> None:
        if self.text.tokenizer == "wordpiece" or self.text.layout == "windows":
            raise ValueError(
                "sequences of letters are rows of characters: "
                "Letters(text=Text(tokenizer='characters', lowercase=False, ...))"
            )

    def prepared(self, spec: str, folder: Path | None = None) -> "LetterText | TaggedText":
        """The reader with its letters and the names of its tags: those of the run in `folder`, or
        those of the training data `spec`.
        """
        rows = _read(_files(spec), _files(spec).splits[0])

        def tags() -> dict[str, Any]:
            return {"tags": sorted({tag for row in rows for tag in row.tags or ()})}

        text = self.text.tokenized(lambda: [row.letters for row in rows], folder)
        names = tuple(learnt(folder, "tags.json", tags)["tags"])
        return TaggedText(self, text, names) if names else LetterText(self, text)

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return _files(spec).splits

    def load(self, spec: str, *, split: str = "train", **options: Any) -> Arrays:
        """A split, read by the letters of the training split of `spec`."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec:
        """Tokens and segments of a row."""
        return self.text.shapes()

    def plain(self, rows: Rows) -> np.ndarray:
        """Which letter is at each place, [B, L V] of zeros and ones; padding is all zeros."""
        tokens = np.where(rows["segments"] > 0, rows["tokens"], -1)
        found = tokens[..., None] == np.arange(self.text.vocab)
        return found.reshape(len(tokens), -1).astype(np.float32)

    def read(self, spec: str, split: str) -> Sentences:
        """Letters with their tags, as `TaggedText` takes them. Raises: ValueError without tags."""
        rows = _read(_files(spec), split, say=True)
        return Sentences(
            [list(row.letters) for row in rows],
            [list(row.tags or [""] * len(row.letters)) for row in rows],
            [row.name for row in rows],
        )


class LetterText(Tokenized):
    """A `Letters` with its tokenizer, for sequences without tags."""

    reader: Letters

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`, in memory, with labels where its sequences have classes.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # a few bytes a letter, and nothing left to decode
        files = _files(spec)
        split = files.named or normal(split)
        found = {one: _read(files, one, say=one == split) for one in {*files.splits, split}}
        here = found[split]
        columns = {
            name: Column([row.label for row in part], lambda i, part=part: part[i].where)
            for name, part in found.items()
            if any(row.label is not None for row in part)
        }
        labels, classes = classes_of(columns, split, place=spec)
        rows = self.rows([row.letters for row in here])
        if labels is not None:
            rows["label"] = labels
        names = [row.name for row in here]
        return Arrays(rows, classes=classes, names=names, readable=self.readable)

    def rows(self, values: Sequence[str], *, like: Spec | None = None) -> Rows:
        """One row a sequence, without labels. Raises: ValueError for what are no letters."""
        for i, value in enumerate(values):
            _check(value, f"sequence {i}")
        return self.text.rows([value.upper() for value in values], like=like)


def _files(spec: str) -> SplitFiles:
    return split_files(spec, kind="letters", what="sequences of letters", endings=_ENDINGS)


def _read(files: SplitFiles, split: str, *, say: bool = False) -> list[_Sequence]:
    """The sequences of a split. say: how many have no letters.

    Raises: ValueError that names file and line.
    """
    found: list[_Sequence] = []
    of_file: list[str] = []
    for file in files.of(split):
        rows = _sequences(file, files.called(file))
        found += rows
        of_file += [file.name.split(".")[0]] * len(rows)
    empty = [row.name for row in found if not row.letters]
    if len(empty) == len(found):
        raise ValueError(f"{files.place} ({split}) holds no sequences")
    if empty and say:
        log.warning(
            "%s: %d of %d sequences have no letters and are left out, such as %s",
            *(files.place, len(empty), len(found), empty[0]),
        )
    by_file = files.place.is_dir() and len(set(of_file)) > 1 and set(files.files) == {"train"}
    if by_file and all(row.label is None and row.tags is None for row in found):
        found = [row._replace(label=of) for row, of in zip(found, of_file, strict=True)]
    tagged = {row.tags is not None for row in found}
    if len(tagged) > 1:
        raise ValueError(f"{files.place} ({split}) mixes chains with tags and other sequences")
    return [row for row in found if row.letters]


def _sequences(file: Path, called: str) -> list[_Sequence]:
    """What is in a file, in the form that its first line shows."""
    lines = [(i, line.strip()) for i, line in enumerate(read_text(file).split("\n"), start=1)]
    lines = [(i, line) for i, line in lines if line and not line.startswith((";", "#"))]
    if not lines:
        return []
    first = lines[0][1]
    if first.startswith(">"):
        return _fasta(file, called, lines)
    if first == "<>":
        return _chains(file, called, lines)
    if first.count(",") == 2:
        return _table(file, called, lines)
    raise ValueError(
        f"{file}, line {lines[0][0]} begins no sequence: it is neither FASTA (>name), nor class, "
        f"name and letters apart by commas, nor a chain (<>), but {first[:40]!r}"
    )


def _fasta(file: Path, called: str, lines: list[tuple[int, str]]) -> list[_Sequence]:
    found: list[_Sequence] = []
    parts: list[str] = []

    def close() -> None:
        if found:
            found[-1] = found[-1]._replace(letters="".join(parts).upper())
        parts.clear()

    for i, line in lines:
        if line.startswith(">"):
            close()
            name, _, rest = line[1:].strip().partition(" ")
            said = _CLASS.search(rest)
            found.append(
                _Sequence("", name or f"{called}:{i}", f"{file}, line {i}", said and said[1])
            )
        else:
            _check(line, f"{file}, line {i}")
            parts.append(line)
    close()
    return found


def _table(file: Path, called: str, lines: list[tuple[int, str]]) -> list[_Sequence]:
    found = []
    for i, line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        where = f"{file}, line {i}"
        if len(cells) != 3:
            raise ValueError(f"{where} has {len(cells)} cells: it needs class, name and letters")
        label, name, letters = cells
        _check(letters, where)
        found.append(_Sequence(letters.upper(), name or f"{called}:{i}", where, label or None))
    return found


def _chains(file: Path, called: str, lines: list[tuple[int, str]]) -> list[_Sequence]:
    found: list[tuple[str, str, list[str], list[str]]] = []  # name, place, letters, tags
    ended = False
    for i, line in lines:
        where = f"{file}, line {i}"
        if line == "<>":
            found.append((f"{called}:{i}", where, [], []))
            ended = False
        elif line in ("<end>", "end"):
            ended = True
        else:
            cells = line.split()
            if len(cells) != 2 or len(cells[0]) != 1:
                raise ValueError(f"{where} is {line[:40]!r}: a letter and its tag belong there")
            if ended:
                raise ValueError(f"{where} follows the end of a chain: a new one begins with <>")
            _check(cells[0], where)
            found[-1][2].append(cells[0].upper())
            found[-1][3].append(cells[1])
    return [
        _Sequence("".join(letters), name, where, tags=tuple(tags))
        for name, where, letters, tags in found
    ]


def _check(letters: str, where: str) -> None:
    """Raises: ValueError for anything that is no letter of a sequence."""
    wrong = _NO_LETTER.search(letters)
    if wrong:
        raise ValueError(
            f"{where} holds {wrong[0]!r}, which is no letter of a sequence (A to Z, * and -)"
        )
