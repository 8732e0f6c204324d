"""Sentences in two languages: what is translated, and what it means in the other.

    parallel:PATH[:SPLIT]    a folder with two files a split, a sentence a line: train.de, train.en,
                             dev.de.gz, ...; or tables with a column for each language, train.tsv;
                             or one such table

Line i of one file means line i of the other. A file of the source language without its other half
holds sentences whose translation nobody knows: for a pool, and for what is to be translated. A row
is that of `Text`, [CLS] sentence [SEP], with

    "translation"  int32 [L]   tokens of the other side, then [SEP], then 0; all 0 where unknown

Both languages share one vocabulary. `back` is a table of `ssljax translate`: sentences of the
target language and what a network made of them in the source language. They join the training
split turned around, their source marked by [MASK] (tagged back-translation: Caswell, Chelba,
Grangier 2019, arXiv:1906.06442), as labels that the data brings (`pseudolabels.texts.Brought`) and
no truth: "brought" as "translation", and "sure", float32, 0 for rows of one's own.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ssljax.data.cells import read_rows, read_text
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.split_files import SplitFiles, split_files
from ssljax.data.split_names import normal
from ssljax.data.text import Text
from ssljax.data.tokenized import Tokenized

log = logging.getLogger("ssljax")
_BACK = ("text", "translation", "confidence")


class _Pair(NamedTuple):
    text: str
    translation: str | None
    name: str
    sure: float = 0.0  # of a pair that was translated back


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """How pairs of sentences become rows."""

    plain_name: ClassVar[str] = "bag of words"

    text: Text = Text(tokenizer="bpe", vocab=8000, length=64, lowercase=False)
    """Rows and the vocabulary of both sides, trained on the training split."""
    source: str = "de"
    """Language that is read, the ending of its files."""
    target: str = "en"
    """Language that is written."""
    back: str | None = None
    """A table of back-translations that the training split has besides."""

    def __post_init__(self) -> None:
        if self.text.tokenizer in ("wordpiece", "characters") or self.text.layout != "documents":
            raise ValueError(
                "a translation is written as it is read, with its spaces and capital letters: "
                "Parallel(text=Text(tokenizer='bpe', lowercase=False, ...))"
            )
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source!r}: name two languages")

    @property
    def vocab(self) -> int:
        """Largest number of tokens of the vocabulary."""
        return self.text.vocab

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenPairs":
        """The reader with its tokenizer: that of the run in `folder`, or one trained on `spec`."""

        def texts() -> list[str]:
            pairs = self._read(spec, self.splits(spec)[0])
            return [text for p in pairs for text in (p.text, p.translation) if text]

        return TokenPairs(self, self.text.tokenized(texts, folder))

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return self._files(spec).splits

    def load(self, spec: str, *, split: str = "train", **options: Any) -> Arrays:
        """As `TokenPairs.load`, with a tokenizer trained on the training split of `spec`."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec:
        """Tokens, segments and translation of a row."""
        one = ((self.text.length,), np.dtype(np.int32))
        return self.text.shapes() | {"translation": one}

    def plain(self, rows: Rows) -> np.ndarray:
        """As `Text.plain`, of the source."""
        return self.text.plain(rows)

    def _files(self, spec: str) -> SplitFiles:
        kinds = [f".{end}{gz}" for end in (self.source, self.target, "tsv") for gz in ("", ".gz")]
        return split_files(spec, kind="parallel", what="sentences in two languages", endings=kinds)

    def _read(self, spec: str, split: str) -> list[_Pair]:
        """The pairs of a split. Raises: ValueError that names file and line."""
        files, found = self._files(spec), list[_Pair]()
        here = {str(file).removesuffix(".gz"): file for file in files.of(split)}
        for plain, file in here.items():
            stem, _, ending = plain.rpartition(".")
            if ending == "tsv":
                found += self._table(file, files.called(file))
            elif ending == self.source:
                found += _pairs(file, here.get(f"{stem}.{self.target}"), files.called(file))
            elif f"{stem}.{self.source}" not in here:
                log.warning("%s is not read: it has no .%s beside it", file, self.source)
        if not found:
            raise ValueError(
                f"{spec} ({split}) holds no sentences of {self.source!r}: its files end with "
                f".{self.source} and .{self.target}, or are tables .tsv"
            )
        return found

    def _table(self, file: Path, called: str) -> list[_Pair]:
        rows = read_rows("tsv", file)
        head = [cell.strip() for cell in rows[0][1]] if rows else []
        if self.source not in head or self.target not in head:
            raise ValueError(
                f"{file}, line 1 names the columns {', '.join(head)}: it needs {self.source} and "
                f"{self.target}"
            )
        a, b = head.index(self.source), head.index(self.target)
        cells = [(line, row[a], row[b]) for line, row in rows[1:]]
        return [_pair(file, called, line, x, y.strip() or None) for line, x, y in cells]

    def _turned(self, file: Path) -> list[_Pair]:
        """Back-translations: what was made is read, what was given is written."""
        if not file.is_file():
            raise FileNotFoundError(f"reader.back: there is no {file}")
        rows = read_rows("tsv", file)
        head = [cell.strip() for cell in rows[0][1]] if rows else []
        if not set(_BACK) <= set(head):
            raise ValueError(
                f"{file}, line 1 names the columns {', '.join(head)}: what `ssljax translate` "
                f"writes has {', '.join(_BACK)}"
            )
        a, b, c = map(head.index, _BACK)
        found = []
        for line, row in rows[1:]:
            try:
                sure = float(row[c])
            except ValueError:
                raise ValueError(f"{file}, line {line}: confidence {row[c]!r}") from None
            if row[b].strip():  # where the network said nothing there is nothing to learn
                pair = _pair(file, file.name, line, row[b], row[a])
                found.append(pair._replace(sure=sure))
        return found


class TokenPairs(Tokenized):
    """A `Parallel` with its tokenizer."""

    reader: Parallel

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`, in memory.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # a few bytes a token, and nothing left to decode
        pairs, back = self.reader._read(spec, split), list[_Pair]()
        if self.reader.back is not None and normal(split) == "train":
            back = self.reader._turned(Path(self.reader.back))
        rows = self.rows([p.text for p in pairs + back])
        known = [p.translation for p in pairs]
        rows["translation"] = self._written([*known, *[None] * len(back)])
        if back:
            _mark(rows, len(pairs), self.text._special("[MASK]"), self.text._special("[SEP]"))
            rows["brought"] = self._written([*[None] * len(pairs), *(p.translation for p in back)])
            rows["sure"] = np.array([p.sure for p in pairs + back], np.float32)
        if not any(known):
            del rows["translation"]
        names = [p.name for p in pairs + back]
        return Arrays(rows, names=names, readable=self.readable, vocabulary=self.text)

    def rows(self, values: Sequence[str], *, like: Spec | None = None) -> Rows:
        """One row a sentence, without translation."""
        return self.text.rows(values, like=like)

    def _written(self, texts: Sequence[str | None]) -> np.ndarray:
        """Translations int32 [n, L]. Warns of those that are cut."""
        length, end = self.reader.text.length, self.text._special("[SEP]")
        found, cut = np.zeros((len(texts), length), np.int32), 0
        pieces = self.text._pieces([text or "" for text in texts])
        for row, text, (ids, _) in zip(found, texts, pieces, strict=True):
            if text is not None:
                n = min(len(ids), length - 1)
                cut += len(ids) > n
                row[: n + 1] = [*ids[:n], end]
        if cut:
            log.warning(
                "%d of %d translations are longer than %d tokens with their end and are cut, also "
                "where they are compared with: raise --reader.text.length",
                *(cut, len(texts), length),
            )
        return found


def _mark(rows: Rows, first: int, mark: int, end: int) -> None:
    """Puts a mark behind [CLS] in all rows from number `first` on; what is too long loses its last
    token."""
    tokens, segments = rows["tokens"][first:], rows["segments"][first:]
    full = segments[:, -1] > 0
    if full.any():
        log.warning(
            "%d of %d back-translations fill their row and lose their last token to the mark: "
            "raise --reader.text.length", full.sum(), len(full)
        )  # fmt: skip
    tokens[:, 2:], tokens[:, 1] = tokens[:, 1:-1].copy(), mark
    segments[:, 2:] = segments[:, 1:-1].copy()
    tokens[full, -1] = end


def _pairs(source: Path, target: Path | None, called: str) -> list[_Pair]:
    """Lines of two files, or of one whose translations nobody knows."""
    first = _lines(source)
    second = [None] * len(first) if target is None else _lines(target)
    if len(first) != len(second):
        raise ValueError(
            f"{source} has {len(first)} lines and {target} {len(second)}: line i of one must mean "
            "line i of the other"
        )
    found = []
    for line, (text, translation) in enumerate(zip(first, second, strict=True), start=1):
        if translation is not None and not translation.strip():
            raise ValueError(
                f"{target}, line {line} is empty: remove the pair from both files, or put "
                "sentences without translation into a file of their own"
            )
        found.append(_pair(source, called, line, text, translation and translation.strip()))
    return found


def _pair(file: Path, called: str, line: int, text: str, translation: str | None) -> _Pair:
    if not text.strip():
        raise ValueError(f"{file}, line {line} has nothing to translate: remove the pair")
    return _Pair(text.strip(), translation, f"{called}:{line}")


def _lines(file: Path) -> list[str]:
    text = read_text(file)
    return text.removesuffix("\n").split("\n")
