"""A reader with its tokenizer: it reads any data with the vocabulary of the data of its run."""

from pathlib import Path
from typing import Any, Self

from ssljax.data.text import TokenText


class Tokenized:
    """What readers of texts become once their tokenizer is there; each says how it loads."""

    def __init__(self, reader: Any, text: TokenText) -> None:
        """reader: what it was made of, whose `splits`, `shapes` and `plain` it has."""
        self.reader, self.text, self.tokenizer = reader, text, text.tokenizer
        self.plain_name = type(reader).plain_name
        self.splits, self.shapes, self.plain = reader.splits, reader.shapes, reader.plain
        self.encode, self.decode, self.readable = text.encode, text.decode, text.readable
        self.stream = text.stream

    def prepared(self, spec: str, folder: Path | None = None) -> Self:
        """Itself."""
        del spec, folder
        return self
