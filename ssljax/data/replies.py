"""What is answered in dialogues, to be written by a causal language model.

    dialogues:PATH[:SPLIT]    as in `Dialogues`

    tokens        int32 [B, P]  what was said     segments  int32 [B, P]  1
    continuation  int32 [B, L]  the answer        bytes     int32 [B]     those of the answer
    index         int32 [B]

In a prompt a turn of the chosen speaker follows [CLS] and one of another [SEP], which is also its
last token: whoever answers speaks next. An answer ends with [CLS], where the chosen speaker would
speak again, and then has 0. Prompts are filled with 0 in front, and lose their beginning where they
are too long; answers lose their end.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ssljax.data import tokens as tok
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.dialogues import Dialogues, Turn
from ssljax.data.text import Text
from ssljax.data.tokenized import Tokenized

log = logging.getLogger("ssljax")


@dataclass(frozen=True, kw_only=True)
class Replies:
    """How dialogues become prompts with their answers."""

    plain_name: ClassVar[str] = "bag of words"

    text: Text = Text(length=96, vocab=2048, tokenizer="bpe", lowercase=False)
    """The vocabulary, trained on all turns of the training split, and the length of prompt and
    answer together."""
    prompt: int = 56
    """Tokens of a prompt; the rest of the length is that of an answer, with its end."""
    history: int = 4
    """Turns before its own that a prompt has, at most."""
    speaker: str = "user"
    """Who is answered."""

    def __post_init__(self) -> None:
        if self.text.layout != "documents" or self.text.tokenizer == "wordpiece":
            raise ValueError(
                "answers are written by a tokenizer that keeps all of a text: give the reader a "
                "Text(tokenizer='bpe', lowercase=False) or 'characters', with layout='documents'"
            )
        if not 1 < self.prompt < self.text.length - 1:
            raise ValueError(
                f"prompt {self.prompt} must lie between 1 and the length {self.text.length} less 1"
            )

    @property
    def dialogues(self) -> Dialogues:
        """What reads the turns."""
        return Dialogues(text=self.text, history=self.history, speaker=self.speaker, answers=True)

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenReplies":
        """The reader with its tokenizer: that of the run in `folder`, or one trained on `spec`."""
        texts = partial(self.dialogues.texts, spec)
        return TokenReplies(self, self.text.tokenized(texts, folder))

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return self.dialogues.splits(spec)

    def load(self, spec: str, *, split: str = "train", **options: int) -> Arrays:
        """As `TokenReplies.load`, with a tokenizer trained on the training split."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec:
        """Prompt, answer and its bytes."""
        whole, rest = np.dtype(np.int32), self.text.length - self.prompt
        found: Spec = {name: ((self.prompt,), whole) for name in ("tokens", "segments")}
        return found | {"continuation": ((rest,), whole), "bytes": ((), whole)}

    def plain(self, rows: Rows) -> np.ndarray:
        """How often each token is in a prompt [B, V]."""
        return self.text.plain(rows)


class TokenReplies(Tokenized):
    """A `Replies` with its tokenizer."""

    reader: Replies

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`, in memory.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # four bytes a token, and nothing left to decode
        chosen = self.reader.dialogues.chosen(spec, split)
        sizes = tok.token_bytes(self.tokenizer)
        if sizes is None:
            raise ValueError(
                "bits a byte need a tokenizer that keeps all of a text: characters or bpe"
            )
        rows, end = self._prompts([one.turns for one in chosen]), self.text._special("[CLS]")
        size, cut = self.reader.text.length - self.reader.prompt, 0
        pieces = self._ids(one.answer for one in chosen)
        answers = np.zeros((len(chosen), size), np.int32)
        for row, one in zip(answers, chosen, strict=True):
            ids = pieces[one.answer]
            cut += len(ids) >= size
            ids = [*ids[: size - 1], end]
            row[: len(ids)] = ids
        if cut:
            log.warning(
                "%d of %d answers have more than %d tokens and lose their end: raise "
                "--reader.text.length",
                *(cut, len(chosen), size - 1),
            )
        rows["continuation"] = answers
        rows["bytes"] = np.asarray(sizes, np.int32)[answers].sum(1, dtype=np.int32)
        names = [one.name for one in chosen]
        return Arrays(rows, names=names, readable=self.readable, vocabulary=self.text)

    def rows(self, values: Sequence[Any], *, like: Spec | None = None) -> Rows:
        """One row a value: a text, or the texts of several turns, of which the last is of the
        chosen speaker, as every second one before it."""
        del like
        return self._prompts([self.reader.dialogues.turns_of(v) for v in values])

    def _prompts(self, several: list[list[Turn]]) -> Rows:
        me, other = map(self.text._special, ("[CLS]", "[SEP]"))
        pieces = self._ids(turn.text for turns in several for turn in turns)
        found = np.zeros((len(several), self.reader.prompt), np.int32)
        for row, turns in zip(found, several, strict=True):
            ids: list[int] = []
            for turn in turns:
                ids += [me if turn.speaker == self.reader.speaker else other]
                ids += pieces[turn.text]
            ids = [*ids, other][-len(row) :]
            row[-len(ids) :] = ids
        return {"tokens": found, "segments": np.ones_like(found)}

    def _ids(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """The tokens of each text."""
        said = list(dict.fromkeys(texts))
        return dict(zip(said, (ids.tolist() for ids, _ in self.text._pieces(said)), strict=True))
