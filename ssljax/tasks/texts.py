"""What all targets have in common that are texts of a vocabulary, which a network writes."""

import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from ssljax.files import atomically
from ssljax.measure import Measure
from ssljax.tasks.bleu import bleu, words_of
from ssljax.tasks.cells import found_in, number_of
from ssljax.tasks.quality import ratio
from ssljax.tasks.target import Examples, Target, Targets, padded
from ssljax.tasks.verify import check_numbers

log = logging.getLogger("ssljax")
BLEU = Measure(key="bleu", name="BLEU", unit="")
_HEAD = ("file", "confidence", "text")


@dataclass(frozen=True, kw_only=True)
class Texts(Target):
    """A target is int [B, L], tokens with their end, if there is one, and then 0; all 0 where no
    text is known. A text is as sure as the geometric mean of its tokens. What texts mean only the
    data tells (`of`).
    """

    length: int = 64
    """Tokens of a text at most, its end among them."""
    eos: int | None = None
    """The token that ends a text; None: texts are cut and never end."""
    words: int | None = None
    """Tokens that may be written, the first ones of the vocabulary; None: all but 0."""
    temperature: float = 0.0
    """Above 0 tokens are drawn, by `seed` and example."""
    top_k: int = 0
    """Draw among so many likeliest tokens; 0: all."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that have so much probability together."""
    seed: int = 0
    data: Any = None
    """The data, whose `vocabulary` says what tokens mean (`of`); a recorded run holds None."""

    drops = False
    lines: ClassVar[bool] = False
    """Whether a text may have several lines; in a table they are then written as in JSON."""
    shown: ClassVar[tuple[Measure, ...]] = (
        BLEU,
        Measure(key="precision", name="precision of words"),
        Measure(key="recall", name="recall of words"),
        Measure(key="f1", name="F1 of words"),
    )

    def __post_init__(self) -> None:
        least = 1 if self.eos is None else 2
        if self.length < least or self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                f"length needs {least} or more, temperature and top_k 0 or more, top_p (0, 1]"
            )

    def pseudo(self, outputs: Any) -> tuple[jax.Array, jax.Array]:
        """(texts int32 [B, length]; the geometric mean of the probabilities of their tokens [B], 0
        for an empty text and for one that found no end, which abstain)."""
        tokens = outputs["tokens"]
        size = jnp.sum(tokens > 0, axis=1)
        sure = jnp.exp(outputs["log_p"] / jnp.maximum(size, 1))
        whole = size > 0
        if self.eos is not None:
            whole = jnp.any(tokens[:, 1:] == self.eos, axis=1)
        return tokens, jnp.where(whole, sure, 0.0)

    def check(self, data: Any) -> None:
        (leaf,) = self.leaves
        if getattr(data, "vocabulary", None) is None:
            raise ValueError(
                f"{leaf}s need data that says what its tokens mean, and this does not: read it "
                f"with {self.reader}"
            )
        if leaf in data.spec and data.spec[leaf][0] != (self.length,):
            raise ValueError(
                f"the data has {leaf}s of {data.spec[leaf][0][0]} tokens and the "
                f"target {self.length}: set its length to that of the reader"
            )

    reader: ClassVar[str] = "a reader of texts"
    """Which reader brings them, for a message."""

    def of(self, data: Any) -> "Texts":
        return dataclasses.replace(self, data=data)

    def known(self, truth: Targets) -> np.ndarray:
        """An empty text is unknown."""
        return np.any(np.asarray(truth) > 0, axis=1)

    def verify(self, target: np.ndarray) -> None:
        high = np.inf if self.words is None else self.words - 1
        check_numbers(target, "tokens", shape=(None,), low=0, high=high, whole=True)

    def fixed(self, target: Targets) -> Targets:
        return padded(np.asarray(target), (self.length,))

    def score(self, truth: Targets, guess: Targets) -> dict[str, float]:
        """ "bleu", and of words "precision", "recall" and "f1", each word of a text right as often
        as its reference has it."""
        found = self.quality(truth, guess, np.ones(len(truth), bool))
        return {k: v for k, v in found.items() if k != "coverage"}

    def quality(self, truth: Targets, guess: Targets, chosen: np.ndarray) -> dict[str, Any]:
        """As `score`; BLEU and precision are of the chosen, and no word of the others is found."""
        texts, kept = self.show(truth, None), np.flatnonzero(chosen)
        guesses = self.show(np.asarray(guess)[kept], None)
        hits = said = 0
        for i, text in zip(kept, guesses, strict=True):
            ours = Counter(words_of(text))
            hits, said = hits + (ours & Counter(words_of(texts[i]))).total(), said + ours.total()
        true = sum(len(words_of(text)) for text in texts)
        return {
            "coverage": float(np.mean(chosen)),
            "bleu": bleu([texts[i] for i in kept], guesses) if len(kept) else 0.0,
            "precision": float(ratio(hits, said)),
            "recall": float(ratio(hits, true)),
            "f1": float(ratio(2 * hits, said + true)),
        }

    def column(self, target: Targets) -> pa.Array:
        """Texts, null where none is known. Cut into tokens again they are the same texts, and maybe
        other tokens."""
        texts = self.show(target, None)
        real = self.known(target)
        return pa.array([t if k else None for t, k in zip(texts, real)], pa.string())

    def from_column(self, column: pa.Array) -> Targets:
        texts = column.to_pylist()
        bad = [i for i, text in enumerate(texts) if not isinstance(text, str | None)]
        if bad:
            raise ValueError(f"row {bad[0] + 1}: {texts[bad[0]]!r} is no text")
        return self._encoded(texts)

    def write(
        self, path: Path, examples: Examples, target: Targets, confidence: np.ndarray
    ) -> None:
        """A table apart by tabs: file, confidence, text (what was read), and what was written."""
        texts = examples.texts or [""] * len(examples.names)
        said = zip(examples.names, confidence, texts, self.show(target, None), strict=True)
        rows = [(*_HEAD, *self.leaves)]
        rows += [(a, f"{c:.6g}", self._cell(x), self._cell(y)) for a, c, x, y in said]
        lines = ["\t".join(row) for row in rows]
        atomically(Path(path), lambda fresh: fresh.write_text("\n".join(lines) + "\n", "utf-8"))

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        number = {name: i for i, name in enumerate(examples.names)}
        rows = [line.split("\t") for line in Path(path).read_text("utf-8").split("\n") if line]
        head = (*_HEAD, *self.leaves)
        if not rows or tuple(rows[0]) != head:
            raise ValueError(f"{path}, line 1: its columns are not {', '.join(head)}")
        index, texts, sure = [], [], []
        for line, row in enumerate(rows[1:], start=2):
            place = f"{path}, line {line}"
            if len(row) != len(rows[0]):
                raise ValueError(f"{place} has {len(row)} cells, the first {len(rows[0])}")
            index.append(found_in(number, row[0], place))
            sure.append(number_of(row[1], place))
            texts.append(self._text(row[3], place) or None)
        return np.array(index, np.int64), self._encoded(texts), np.array(sure, np.float32)

    def show(self, target: Targets, classes: Sequence[str] | None) -> list[str]:
        del classes  # texts are what they say
        words = self._words
        return [words.decode([int(i) for i in row if i > 0]) for row in np.asarray(target)]

    def _cell(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=False) if self.lines else " ".join(text.split())

    def _text(self, cell: str, place: str) -> str:
        if not self.lines or not cell:
            return cell
        try:
            found = json.loads(cell)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place}: {cell!r} is no text of JSON: {error}") from None
        if not isinstance(found, str):
            raise ValueError(f"{place}: {cell!r} is no text of JSON")
        return found

    def _encoded(self, texts: Sequence[str | None]) -> np.ndarray:
        """int32 [n, length]. Warns of texts that are cut."""
        found, cut = np.zeros((len(texts), self.length), np.int32), 0
        for row, text in zip(found, texts, strict=True):
            if text:
                end = [] if self.eos is None else [self.eos]
                ids = list(self._words.encode(text))
                cut += len(ids) + len(end) > self.length
                ids = [*ids[: self.length - len(end)], *end]
                row[: len(ids)] = ids
        if cut:
            log.warning(
                "%d of %d texts have more than %d tokens with their end and are cut: raise the "
                "length of target and reader",
                *(cut, len(texts), self.length),
            )
        return found

    @property
    def _words(self) -> Any:
        """The vocabulary of the data. Raises: ValueError where these targets know no data."""
        found = getattr(self.data, "vocabulary", None)
        if found is None:
            raise ValueError(
                f"what these tokens mean the data tells: {type(self).__name__}.of(data)"
            )
        return found
