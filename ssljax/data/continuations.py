"""A text as prompts, and how each goes on: what a causal language model learns to write.

    text:PATH[:SPLIT]       as in `Text`, whose tokenizer and splits are used

    tokens        int32 [B, P]  a prompt          segments  int32 [B, P]  1
    continuation  int32 [B, L]  what follows it   bytes     int32 [B]     those of the continuation
    index         int32 [B]

Windows of P + L tokens stand one behind the other; the rest at the end is left out. Token 0 must be
none of the text, so the vocabulary begins with [PAD].
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ssljax.data import tokens as tok
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.text import Text
from ssljax.data.tokenized import Tokenized

log = logging.getLogger("ssljax")


@dataclass(frozen=True, kw_only=True)
class Continuations:
    """How a text becomes prompts with what follows them."""

    plain_name: ClassVar[str] = "bag of words"
    text: Text = Text(
        length=64, vocab=256, tokenizer="characters", layout="windows", specials=("[PAD]",)
    )
    """How text becomes tokens; its length is that of a window, prompt and continuation."""
    prompt: int = 32
    """Tokens of a prompt; the rest of a window follows it."""

    def __post_init__(self) -> None:
        if self.text.layout != "windows" or self.text.specials[:1] != ("[PAD]",):
            raise ValueError(
                "continuations are windows of a text whose token 0 is none: give the reader a Text "
                'with layout="windows" and specials=("[PAD]",)'
            )
        if not 0 < self.prompt < self.text.length:
            raise ValueError(
                f"prompt {self.prompt} must lie between 0 and the length {self.text.length}"
            )

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenContinuations":
        """The reader with its tokenizer: that of the run in `folder`, or one trained on `spec`."""
        return TokenContinuations(self, self.text.prepared(spec, folder))

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return self.text.splits(spec)

    def load(self, spec: str, *, split: str = "train", **options: int) -> Arrays:
        """As `TokenContinuations.load`, with a tokenizer trained on the training split."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec:
        """Prompt, continuation and its bytes."""
        prompt, rest = self.prompt, self.text.length - self.prompt
        whole = np.dtype(np.int32)
        found: Spec = {name: ((prompt,), whole) for name in ("tokens", "segments")}
        return found | {"continuation": ((rest,), whole), "bytes": ((), whole)}

    def plain(self, rows: Rows) -> np.ndarray:
        """How often each token is in a prompt [B, V]."""
        return self.text.plain(rows)


class TokenContinuations(Tokenized):
    """A `Continuations` with its tokenizer."""

    reader: Continuations

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`, in memory.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # four bytes a token, and nothing left to decode
        length, prompt = self.reader.text.length, self.reader.prompt
        stream = self.text.whole(spec, split)
        count = len(stream) // length
        if not count:
            raise ValueError(
                f"{spec} ({split}) has {len(stream)} tokens and a window {length}: choose a "
                "smaller --reader.text.length"
            )
        if rest := len(stream) - count * length:
            log.info("%s (%s): the last %d tokens fill no window", spec, split, rest)
        window = stream[: count * length].reshape(count, length)
        rows: Rows = {
            "tokens": window[:, :prompt],
            "segments": np.ones((count, prompt), np.int32),
            "continuation": window[:, prompt:],
        }
        sizes = tok.token_bytes(self.tokenizer)
        if sizes is None:
            raise ValueError(
                "bits a byte need a tokenizer that keeps all of a text: characters or bytes"
            )
        rows["bytes"] = np.asarray(sizes, np.int32)[window[:, prompt:]].sum(1, dtype=np.int32)
        names = [f"{split}:{i * length}" for i in range(count)]
        return Arrays(rows, names=names, readable=self.readable, vocabulary=self.text)

    def rows(self, values: list[str], *, like: Spec | None = None) -> Rows:
        """One row a prompt: its last tokens, after padding. Says how many lose their beginning."""
        del like
        size, cut = self.reader.prompt, 0
        found = np.zeros((len(values), size), np.int32)
        for row, text in zip(found, values, strict=True):
            ids = self.encode(text)
            cut += len(ids) > size
            if len(ids):
                row[-min(len(ids), size) :] = ids[-size:]
        if cut:
            log.warning(
                "%d of %d prompts have more than %d tokens and lose their beginning: raise "
                "--reader.prompt to keep all of them",
                *(cut, len(values), size),
            )
        return {"tokens": found, "segments": np.ones_like(found)}
