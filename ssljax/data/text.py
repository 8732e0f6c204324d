"""Text as rows of token numbers, all of one length: the `Reader` of language.

A row is {"tokens": int32 [L], "segments": int32 [L]}. `segments` numbers the documents in a row
from 1, and 0 is padding: attention stays inside a segment, and losses count none of the padding.
Three layouts:

    documents   one document a row, [CLS] text [SEP], cut at L; with its label, where it has one
    packed      documents of all lengths share rows, and none crosses into another
    windows     one long text; training windows start anywhere, a pass over it covers every token
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from ssljax.data import tokens as tok
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.documents import Documents, document_splits, read_documents
from ssljax.data.windows import Windows

log = logging.getLogger("ssljax")
_OPEN = 64  # rows that packing keeps open for documents that still fit
_CHUNK = 1 << 16  # characters of a long text that are tokenized at once


@dataclass(frozen=True, kw_only=True)
class Text:
    """How text becomes rows; data is text:PATH, tsv:PATH or csv:PATH (`ssljax.data.documents`)."""

    plain_name: ClassVar[str] = "bag of words"

    length: int = 128
    """Tokens in a row, L."""
    vocab: int = 8192
    """Largest number of tokens of the vocabulary, special ones included."""
    tokenizer: str = "wordpiece"
    """wordpiece, bpe or characters, trained on the training data; or the path of a tokenizer.json.
    """
    layout: Literal["documents", "packed", "windows"] = "documents"
    """One document a row, several of them packed into a row, or windows of one long text."""
    unit: Literal["file", "block", "line"] = "block"
    """What a document is in plain text: a file, a block between blank lines, or a line."""
    columns: tuple[str, ...] = ()
    """Columns of a table that are the text, joined by a space; (): those that are called so."""
    label: str | None = None
    """Column of a table that is the class; None: the one that is called so; "": none."""
    specials: tuple[str, ...] = tok.SPECIALS
    """Special tokens; () gives a vocabulary of the text alone, enough for windows."""
    lowercase: bool = True
    """wordpiece drops upper case and accents."""
    words: bool = False
    """Number the words of a row in "words" int32 [L], for masks of whole words."""

    def __post_init__(self) -> None:
        if self.layout not in ("documents", "packed", "windows"):
            raise ValueError(f"layout {self.layout!r}: choose documents, packed or windows")
        if self.length < 3:
            raise ValueError(f"length {self.length}: a row needs at least 3 tokens")
        if self.layout != "windows" and not {"[CLS]", "[SEP]"} <= set(self.specials):
            raise ValueError(f"layout {self.layout} needs the special tokens [CLS] and [SEP]")

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenText":
        """The reader with its tokenizer: that of the run in `folder`, or one trained on `spec`."""
        return self.tokenized(lambda: self._read(spec, "train").texts, folder)

    def tokenized(self, texts: Callable[[], list[str]], folder: Path | None) -> "TokenText":
        """The reader with the tokenizer of the run in `folder`, or one trained on `texts()`."""
        file = None if folder is None else Path(folder) / tok.FILE
        if file is not None and file.is_file():
            return TokenText(self, tok.load_tokenizer(file))
        if self.tokenizer in tok.KINDS:
            options = {"specials": self.specials, "lowercase": self.lowercase}
            made = tok.train_tokenizer(self.tokenizer, texts(), vocab=self.vocab, **options)
        else:
            made = tok.load_tokenizer(Path(self.tokenizer))
        if file is not None:
            tok.save_tokenizer(made, file)
        return TokenText(self, made)

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return document_splits(spec)

    def load(self, spec: str, *, split: str = "train", **options: Any) -> "Arrays | Windows":
        """As `TokenText.load`, with a tokenizer trained on the training split of `spec`."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec:
        """Tokens and segments of a row."""
        names = ("tokens", "segments", "words") if self.words else ("tokens", "segments")
        return {name: ((self.length,), np.dtype(np.int32)) for name in names}

    def plain(self, rows: Rows) -> np.ndarray:
        """How often each token is in a row [B, V]; padding does not count."""
        counts = np.zeros((len(rows["tokens"]), self.vocab), np.float32)
        at, _ = np.nonzero(rows["segments"])
        np.add.at(counts, (at, rows["tokens"][rows["segments"] > 0]), 1)
        return counts

    def _read(self, spec: str, split: str) -> Documents:
        unit = "file" if self.layout == "windows" else self.unit
        return read_documents(spec, split=split, unit=unit, columns=self.columns, label=self.label)


class TokenText:
    """A `Text` with its tokenizer: reads any data with the vocabulary of the training data."""

    plain_name = Text.plain_name

    def __init__(self, text: Text, tokenizer: Any) -> None:
        """tokenizer: of the package tokenizers. Raises: ValueError where it does not fit `text`."""
        size = tokenizer.get_vocab_size()
        if size > text.vocab:
            raise ValueError(
                f"the tokenizer has {size} tokens, more than reader.vocab {text.vocab}: set "
                f"--reader.vocab {size}"
            )
        self.text, self.tokenizer = text, tokenizer
        self._fast = tokenizer.encode_batch_fast  # keeps no places in the text, and no words
        self.splits, self.shapes, self.plain = text.splits, text.shapes, text.plain

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenText":
        """Itself."""
        del spec, folder
        return self

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> "Arrays | Windows":
        """A split of `spec`, in memory.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # four bytes a token, and nothing left to decode
        found = self.text._read(spec, split)
        if self.text.layout == "windows":
            stream = self._streamed(found)
            return Windows(stream, self.text.length, sizes=tok.token_bytes(self.tokenizer))
        if self.text.layout == "packed":
            return Arrays(self._pack(self._pieces(found.texts)), readable=self.readable)
        rows = self.rows(found.texts)
        if found.labels is not None:
            rows["label"] = found.labels
        return Arrays(rows, classes=found.classes, names=found.names, readable=self.readable)

    def rows(self, texts: Sequence[str], *, like: Spec | None = None) -> Rows:
        """One row a text, [CLS] text [SEP], without labels."""
        del like
        texts = list(texts)
        pieces = self._pieces(texts)
        lengths = np.array([len(ids) + 2 for ids, _ in pieces])
        if (lengths > self.text.length).any():
            log.warning(
                "%d of %d texts are longer than %d tokens and are cut (the longest has %d): raise "
                "--reader.length (of a reader that has a Text: --reader.text.length) to keep all",
                *((lengths > self.text.length).sum(), len(texts), self.text.length, lengths.max()),
            )
        return self._rows([[pair] for pair in pieces])

    def _pieces(self, texts: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        return [pair for part in _chunks(texts, 1000) for pair in self._encoded(part)]

    def encode(self, text: str) -> np.ndarray:
        """Token numbers of a text, int32 [N], without [CLS] and [SEP]."""
        return self._encoded([text])[0][0]

    def decode(self, numbers: Any) -> str:
        """The text of token numbers."""
        return self.tokenizer.decode([int(i) for i in numbers], skip_special_tokens=True)

    def readable(self, rows: Rows) -> list[str]:
        """The text of each row, as far as the vocabulary keeps it."""
        lengths = (rows["segments"] > 0).sum(1)
        kept = [row[:n].tolist() for row, n in zip(rows["tokens"], lengths, strict=True)]
        return self.tokenizer.decode_batch(kept, skip_special_tokens=True)

    def stream(self, numbers: Iterator[int]) -> Iterator[str]:
        """The text of tokens as they come; a character of several tokens comes with its last."""
        seen: list[int] = []
        shown = ""
        for number in numbers:
            seen.append(number)
            text = self.decode(seen)
            if text.endswith("\ufffd"):
                continue
            yield text[len(shown) :]
            shown = text
            if len(seen) > 64 and text.endswith((" ", "\n")):  # decoding stays short
                seen, shown = [], ""

    def whole(self, spec: str, split: str) -> np.ndarray:
        """All tokens of a split, one document after the other, int32 [N]."""
        return self._streamed(self.text._read(spec, split))

    def _streamed(self, found: Documents) -> np.ndarray:
        return np.concatenate([self._stream(t) for t in found.texts])

    def _stream(self, text: str) -> np.ndarray:
        """Tokens of a long text, cut for tokenizing where a line begins."""
        parts, start = [], 0
        while start < len(text):
            end = text.find("\n", start + _CHUNK) + 1 or len(text)
            parts.append(text[start:end])
            start = end
        return np.concatenate([numbers for numbers, _ in self._encoded(parts)])

    def _encoded(self, texts: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """(tokens, words) of each text, int32 [n]; words count from 0."""
        try:
            encode = self.tokenizer.encode_batch if self.text.words else self._fast
            found = encode(texts, add_special_tokens=False)
        except Exception as error:  # the library raises nothing more precise
            raise ValueError(
                f"the tokenizer cannot read this text ({error}): has it characters that the "
                "training data has not? Give the reader a vocabulary with [UNK], or drop them"
            ) from error
        return [
            (
                np.array(e.ids, np.int32),
                np.array([-1 if w is None else w for w in e.word_ids], np.int32)
                if self.text.words
                else np.zeros(len(e.ids), np.int32),
            )
            for e in found
        ]

    def _pack(self, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Rows:
        """Documents into rows, each in the first of the last open rows where it fits.

        Documents that are longer than a row become several.
        """
        room = self.text.length - 2
        cut = [
            (ids[i : i + room], words[i : i + room])
            for ids, words in pairs
            for i in range(0, max(len(ids), 1), room)
            if len(ids)
        ]
        rows: list[list[tuple[np.ndarray, np.ndarray]]] = []
        left: list[int] = []
        for pair in cut:
            need = len(pair[0]) + 2
            opened = range(max(0, len(rows) - _OPEN), len(rows))
            at = next((i for i in opened if left[i] >= need), len(rows))
            if at == len(rows):
                rows.append([])
                left.append(self.text.length)
            rows[at].append(pair)
            left[at] -= need
        return self._rows(rows)

    def _rows(self, rows: list[list[tuple[np.ndarray, np.ndarray]]]) -> Rows:
        """Rows of documents with [CLS] and [SEP] around each; what is too long is cut."""
        length, first, last = self.text.length, *map(self._special, ("[CLS]", "[SEP]"))
        names = tuple(self.text.shapes())
        out = {name: np.zeros((len(rows), length), np.int32) for name in names}
        pad = self.tokenizer.token_to_id("[PAD]")
        out["tokens"] += pad or 0
        for r, documents in enumerate(rows):
            start = 0
            for d, (ids, words) in enumerate(documents):
                n = min(len(ids), length - start - 2)
                end = start + n + 2
                out["tokens"][r, start:end] = [first, *ids[:n], last]
                out["segments"][r, start:end] = d + 1
                if self.text.words:  # numbers go on through the row; special tokens have none
                    shift = 1 + out["words"][r].max(initial=0)
                    out["words"][r, start + 1 : end - 1] = words[:n] + shift
                start = end
        return out

    def _special(self, name: str) -> int:
        number = self.tokenizer.token_to_id(name)
        if number is None:
            raise ValueError(f"this tokenizer has no {name}: choose layout windows, or another one")
        return number


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for i in range(0, len(items), size):
        yield items[i : i + size]
