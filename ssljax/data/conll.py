"""Sentences with a tag for each word, in the columns of CoNLL: named entities, parts of speech.

    conll:PATH[:SPLIT]    a file, or a folder with one file a split (train.conll, dev.txt, ...)

A line is a word and its columns, apart by tabs or spaces (spaces in a word become _); a blank line
ends a sentence; "# name = value" and -DOCSTART- are comments. A row is that of `Text`, with

    "starts"  bool [L], the first token of each word     "tags"  int32 [L], its tag, else -100

Sentences that are longer than a row lose their last words, which is said.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.learnt import learnt
from ssljax.data.split_files import SplitFiles, split_files
from ssljax.data.text import Text, TokenText

log = logging.getLogger("ssljax")
_NONE = -100
_FILES = (".conll", ".txt", ".tsv", ".iob", ".bio", ".conllu")


class Sentences(NamedTuple):
    """words, tags: of each sentence; tags are "" where a file has words alone. names: what a person
    calls each, such as "train.conll:12" for the line where it begins.
    """

    words: list[list[str]]
    tags: list[list[str]]
    names: list[str]


@dataclass(frozen=True, kw_only=True)
class Conll:
    """How tagged sentences become rows."""

    plain_name: ClassVar[str] = "bag of words"

    text: Text = Text(vocab=8192, length=64)
    """How words become tokens; each word by itself, one that gives none as [UNK]."""
    column: int = -1
    """Which column holds the tags; the first holds the words."""

    def prepared(self, spec: str, folder: Path | None = None) -> "TaggedText":
        """The reader with its tokenizer: that of the run in `folder`, or one trained on `spec`."""

        def texts() -> list[str]:
            return [" ".join(words) for words in self.read(spec, "train").words]

        classes = tuple(learnt(folder, "tags.json", lambda: {"tags": self._tags(spec)})["tags"])
        return TaggedText(self, self.text.tokenized(texts, folder), classes)

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return _files(spec).splits

    def load(self, spec: str, *, split: str = "train", **options: Any) -> Arrays:
        """As `TaggedText.load`, with a tokenizer trained on the training split of `spec`."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec:
        """Tokens, segments, starts and tags of a row."""
        return _shapes(self.text)

    def plain(self, rows: Rows) -> np.ndarray:
        """As `Text.plain`."""
        return self.text.plain(rows)

    def read(self, spec: str, split: str) -> Sentences:
        """The sentences of a split. Raises: ValueError that names file and line."""
        files, found = _files(spec), Sentences([], [], [])
        for file in files.of(split):
            _sentences(file, files.called(file), self.column, found)
        if not found.words:
            raise ValueError(f"{spec} ({split}) holds no sentences")
        return found

    def _tags(self, spec: str) -> tuple[str, ...]:
        """Names of all tags in the training split, "O" first."""
        tags = {tag for row in self.read(spec, self.splits(spec)[0]).tags for tag in row if tag}
        return tuple(sorted(tags, key=lambda tag: (tag != "O", tag[2:], tag)))


class ReaderOfTags(Protocol):
    """What `TaggedText` asks of a reader: `Conll` and `Letters`."""

    plain_name: ClassVar[str]

    @property
    def text(self) -> Text:
        """How words become tokens."""
        ...

    def splits(self, spec: str) -> tuple[str, ...]: ...

    def read(self, spec: str, split: str) -> Sentences:
        """The sentences of a split, with their tags."""
        ...

    def plain(self, rows: Rows) -> np.ndarray: ...


class TaggedText:
    """A `Conll` or `Letters` with its tokenizer and its tags."""

    def __init__(self, reader: ReaderOfTags, text: TokenText, classes: tuple[str, ...]) -> None:
        self.reader, self.text, self.classes = reader, text, classes
        self.tokenizer, self.plain_name = text.tokenizer, type(reader).plain_name
        self.splits, self.plain = reader.splits, reader.plain

    def shapes(self) -> Spec:
        """Tokens, segments, starts and tags of a row."""
        return _shapes(self.reader.text)

    def prepared(self, spec: str, folder: Path | None = None) -> "TaggedText":
        """Itself."""
        del spec, folder
        return self

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`, in memory; without "tags" where the file has words alone.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # a few bytes a token, and nothing left to decode
        found = self.reader.read(spec, split)
        rows, cut = self._encoded(found)
        if cut:
            log.warning(
                "%s: %d of %d sentences are longer than a row of %d tokens and lose their last "
                "words: raise --reader.text.length",
                *(spec, cut, len(found.words), self.reader.text.length),
            )
        said = {
            row.tobytes(): " ".join(w) for row, w in zip(rows["tokens"], found.words, strict=True)
        }

        def readable(rows: Rows) -> list[str]:
            return [said.get(np.asarray(row).tobytes(), "") for row in rows["tokens"]]

        if not any(map(any, found.tags)):
            del rows["tags"]
        return Arrays(rows, classes=self.classes, names=found.names, readable=readable)

    def _encoded(self, found: Sentences) -> tuple[Rows, int]:
        """(rows, how many sentences were cut). Raises: ValueError for a tag that training lacks."""
        number = {"": _NONE} | {tag: k for k, tag in enumerate(self.classes)}
        length = self.reader.text.length
        shape = (len(found.words), length)
        first, last, unknown = map(self.text._special, ("[CLS]", "[SEP]", "[UNK]"))
        pad = self.tokenizer.token_to_id("[PAD]") or 0
        tokens, segments = np.full(shape, pad, np.int32), np.zeros(shape, np.int32)
        starts, tags = np.zeros(shape, bool), np.full(shape, _NONE, np.int32)
        cut = 0
        for i, (words, named, name) in enumerate(zip(*found, strict=True)):
            ids, begins, of = [first], [False], [_NONE]
            for (piece, _), tag in zip(self.text._encoded(words), named, strict=True):
                if tag not in number:
                    raise ValueError(
                        f"{name}: the tag {tag!r} is none of the training data, which has "
                        f"{', '.join(self.classes)}"
                    )
                piece = piece.tolist() or [unknown]
                if len(ids) + len(piece) + 1 > length:
                    cut += 1
                    break
                ids += piece
                begins += [True] + [False] * (len(piece) - 1)
                of += [number[tag]] + [_NONE] * (len(piece) - 1)
            n = len(ids)
            tokens[i, : n + 1], segments[i, : n + 1] = [*ids, last], 1
            starts[i, :n], tags[i, :n] = begins, of
        return {"tokens": tokens, "segments": segments, "starts": starts, "tags": tags}, cut


def _shapes(text: Text) -> Spec:
    tags = ((text.length,), np.dtype(np.int32))
    return text.shapes() | {"starts": (tags[0], np.dtype(bool)), "tags": tags}


def _files(spec: str) -> SplitFiles:
    return split_files(spec, kind="conll", what="tagged sentences", endings=_FILES)


def _sentences(file: Path, name: str, column: int, found: Sentences) -> None:
    """Adds the sentences of a file."""
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 ({error}): convert it first") from error
    words: list[str] = []
    tags: list[str] = []
    begin, width = 1, None
    for line, row in enumerate([*lines, ""], start=1):
        row = row.rstrip("\r")
        if not row.strip():
            if words:
                found.words.append(words)
                found.tags.append(tags)
                found.names.append(f"{name}:{begin}")
            words, tags = [], []
            continue
        if (row.startswith("# ") and "=" in row) or row.startswith("-DOCSTART-"):
            continue
        cells = row.split("\t") if "\t" in row else row.split()
        width = width or len(cells)
        if len(cells) != width:
            raise ValueError(f"{file}, line {line}: {len(cells)} columns, the first has {width}")
        if not words:
            begin = line
        words.append(cells[0].strip().replace(" ", "_") or "_")
        tags.append(cells[column].strip() if width > 1 else "")
