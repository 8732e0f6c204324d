"""A target that is a text: the network says for each frame which letter it hears, if any."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa

from ssljax.files import atomically
from ssljax.losses.ctc import edit_distance, greedy, silence
from ssljax.measure import Measure
from ssljax.tasks.cells import found_in
from ssljax.tasks.quality import ratio
from ssljax.tasks.target import Examples, Target, Targets, padded
from ssljax.tasks.verify import check_numbers

_WER = Measure(key="wer", name="word error rate", better="lower")
_STEP = 16  # letters
_EDIT = 1 << 20  # what an edit costs where a word that is right gives 1 back


@dataclass(frozen=True, kw_only=True)
class Transcript(Target):
    """Outputs are logits [B, T, 1 + letters], the first for no letter (blank); a target is int
    [B, N], letters from 1 and then 0; -1 first where nobody knows it.

    Its encoder has a method `outputs` that gives `layers`, of which the last is read [B, T, D], and
    `real`, bool [B, T], false beyond the end of a recording. The loss is that of connectionist
    temporal classification, -log p(text) over all ways to say it, and 0 where there are fewer
    frames than the text needs. A text is as sure as the geometric mean of its frames.
    """

    letters: str = "abcdefghijklmnopqrstuvwxyz '"
    least: int = 1
    """Letters of the shortest text that a network may guess: with fewer it abstains."""

    leaves = ("text",)
    reads = "outputs"
    measure: ClassVar[Measure] = _WER
    shown: ClassVar[tuple[Measure, ...]] = (
        _WER,
        Measure(key="precision", name="precision of words"),
        Measure(key="recall", name="recall of words"),
        Measure(key="f1", name="F1 of words"),
    )

    @property
    def width(self) -> int:
        """Numbers that the network gives for a frame."""
        return 1 + len(self.letters)

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        return FrameHead(widths=(*hidden, self.width))

    def encode(self, text: str, size: int) -> list[int]:
        """The target of a text, `size` numbers. Raises: ValueError where it does not fit."""
        unknown = sorted(set(text) - set(self.letters))
        if unknown:
            raise ValueError(f"{text!r}: {unknown[0]!r} is none of the letters {self.letters!r}")
        if len(text) > size:
            raise ValueError(f"{text!r} has {len(text)} letters, more than {size}")
        return [1 + self.letters.index(c) for c in text] + [0] * (size - len(text))

    def decode(self, target: Any) -> str:
        """The text of a target [N]."""
        return "".join(self.letters[int(i) - 1] for i in target if int(i) > 0)

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted; weights are of whole texts."""
        outputs, padding = outputs.astype(jnp.float32), (target == 0).astype(jnp.float32)
        real = jnp.zeros(outputs.shape[:2])
        nll = optax.ctc_loss(outputs, real, target, padding)
        twice = jnp.sum((target[:, 1:] == target[:, :-1]) & (target[:, 1:] > 0), axis=1)
        fits = jnp.sum(target > 0, axis=1) + twice <= outputs.shape[1]
        return weight * jnp.where(fits, nll, 0.0)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(the text of the best path, int32 [B, T]; its probability for each frame, geometric mean,
        [B]; 0 for a text that is empty or shorter than `least`, which abstains)."""
        letters, log_p = greedy(outputs)
        long = jnp.sum(letters > 0, axis=1) >= max(self.least, 1)
        return letters, jnp.where(long, jnp.exp(log_p / outputs.shape[1]), 0.0)

    def average(self, outputs: jax.Array) -> jax.Array:
        """Outputs whose probabilities in each frame are the mean of those of several."""
        log_p = jax.nn.log_softmax(outputs.astype(jnp.float32), axis=-1)
        return jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(outputs))

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """ "accuracy" (the whole text is right) and "letter_errors", the letters to change over
        those of the text."""
        wrong = edit_distance(greedy(outputs)[0], target).astype(jnp.float32)
        count = jnp.maximum(jnp.sum(target > 0, axis=1), 1)
        return {"accuracy": (wrong == 0).astype(jnp.float32), "letter_errors": wrong / count}

    def check(self, data: Any) -> None:
        if "text" in data.spec:
            top = int(np.max(data.take(np.arange(len(data)))["text"]))
            if top > len(self.letters):
                raise ValueError(
                    f"the data has texts with letter number {top}, and the target "
                    f"{len(self.letters)} letters: set its letters to those of the reader"
                )

    def known(self, truth: Targets) -> np.ndarray:
        """An empty text is one; -1 is none."""
        return np.asarray(truth)[:, 0] >= 0

    def fixed(self, target: Targets) -> Targets:
        """Filled up to a multiple of 16 letters: few shapes, few compiled steps."""
        texts = np.asarray(target)
        return padded(texts, (-(-texts.shape[1] // _STEP) * _STEP,))

    def verify(self, target: np.ndarray) -> None:
        high = len(self.letters)
        check_numbers(target, "letters", shape=(None,), low=0, high=high, whole=True)

    def right(self, truth: Targets, guess: Targets) -> np.ndarray:
        return np.array(self.show(truth, None)) == np.array(self.show(guess, None))

    def score(self, truth: Targets, guess: Targets) -> dict[str, float]:
        """ "wer" and "cer", the words and letters to insert, leave out or change over those of the
        truth (over 1 where it has none: what is said in silence is wrong); "accuracy", the whole
        texts that are right."""
        texts, guesses = self.show(truth, None), self.show(guess, None)
        pairs = list(zip(texts, guesses, strict=True))
        words = sum(edits(a.split(), b.split())[0] for a, b in pairs)
        letters = sum(edits(a, b)[0] for a, b in pairs)
        return {
            "wer": float(words / max(sum(len(a.split()) for a in texts), 1)),
            "cer": float(letters / max(sum(map(len, texts)), 1)),
            "accuracy": float(np.mean([a == b for a, b in pairs])),
        }

    def quality(self, truth: Targets, guess: Targets, chosen: np.ndarray) -> dict[str, Any]:
        """ "wer", "cer" and "accuracy" of the chosen; precision, recall and F1 of words, which are
        right where the alignment with the fewest edits has them."""
        texts, guesses = self.show(truth, None), self.show(guess, None)
        kept = np.flatnonzero(chosen)
        hits = sum(edits(texts[i].split(), guesses[i].split())[1] for i in kept)
        labelled = sum(len(guesses[i].split()) for i in kept)
        true = sum(len(text.split()) for text in texts)
        found = {"wer": 0.0, "cer": 0.0, "accuracy": 0.0}
        if len(kept):
            found = self.score(np.asarray(truth)[kept], np.asarray(guess)[kept])
        return found | {
            "coverage": float(np.mean(chosen)),
            "precision": float(ratio(hits, labelled)),
            "recall": float(ratio(hits, true)),
            "f1": float(ratio(2 * hits, labelled + true)),
        }

    def column(self, target: Targets) -> pa.Array:
        """Texts."""
        return pa.array(self.show(target, None), pa.string())

    def from_column(self, column: pa.Array) -> Targets:
        texts = column.to_pylist()
        bad = [i for i, text in enumerate(texts) if not isinstance(text, str)]
        if bad:
            raise ValueError(f"row {bad[0] + 1}: {texts[bad[0]]!r} is no text")
        return self._encoded(texts, [f"row {i + 1}" for i in range(len(texts))])

    def write(
        self, path: Path, examples: Examples, target: Targets, confidence: np.ndarray
    ) -> None:
        """A manifest of JSON lines, {audio_filepath, duration, text, confidence}, the duration in
        seconds where it is known; where the file is named "text" as Kaldi has it, "name text"."""
        plain, lines = Path(path).name == "text", []
        spaced = [name for name in examples.names if len(name.split()) != 1]
        if plain and spaced:
            raise ValueError(f"{spaced[0]!r} has a space, which Kaldi's names cannot: write JSON")
        said = zip(examples.names, self.show(target, None), confidence, strict=True)
        for i, (name, text, c) in enumerate(said):
            row = {"audio_filepath": name, "text": text, "confidence": round(float(c), 6)}
            if examples.seconds is not None:
                row["duration"] = round(float(examples.seconds[i]), 4)
            lines.append(f"{name} {text}" if plain else json.dumps(row, ensure_ascii=False))
        atomically(Path(path), lambda fresh: fresh.write_text("\n".join(lines) + "\n", "utf-8"))

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        number = {name: i for i, name in enumerate(examples.names)}
        index, texts, sure, places = [], [], [], []
        rows = Path(path).read_text("utf-8").removesuffix("\n").split("\n")
        for line, row in enumerate(rows, start=1):
            place = f"{path}, line {line}"
            if Path(path).name == "text":
                name, _, text = row.rstrip("\r").partition(" ")
                found = {"audio_filepath": name, "text": text}
            else:
                try:
                    found = json.loads(row)
                    name, text = found["audio_filepath"], found["text"]
                except (json.JSONDecodeError, KeyError, TypeError) as error:
                    raise ValueError(
                        f"{place} is no audio_filepath with a text: {error!r}"
                    ) from None
            index.append(found_in(number, name, place))
            texts.append(text)
            sure.append(float(found.get("confidence", 1)))
            places.append(place)
        return np.array(index, np.int64), self._encoded(texts, places), np.array(sure, np.float32)

    def show(self, target: Targets, classes: Sequence[str] | None) -> list[str]:
        del classes  # letters have their own names
        return [self.decode(row) for row in np.asarray(target)]

    def _encoded(self, texts: list[str], places: list[str]) -> np.ndarray:
        size, rows = max(map(len, texts), default=0) or 1, []
        for text, place in zip(texts, places, strict=True):
            try:
                rows.append(self.encode(text, size))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
        return np.array(rows, np.int32).reshape(-1, size)


class FrameHead(nn.Module):
    """Outputs of an encoder -> logits [B, T, widths[-1]] float32, blank after the end."""

    widths: tuple[int, ...]
    """Of the layers; ReLU stands between them."""

    @nn.compact
    def __call__(self, outputs: Any, train: bool = False) -> jax.Array:
        del train
        x = outputs.layers[-1].astype(jnp.float32)
        for i, width in enumerate(self.widths):
            x = nn.Dense(width, name=f"linear_{i}")(nn.relu(x) if i else x)
        return silence(x, jnp.sum(outputs.real, axis=1))


def edits(truth: Sequence[Any], guess: Sequence[Any]) -> tuple[int, int]:
    """(insertions, deletions and changes from one to the other; how many stay as they are, the most
    with so few edits): Levenshtein 1966."""
    numbers = {x: i for i, x in enumerate(dict.fromkeys([*truth, *guess]))}
    b = np.array([numbers[x] for x in guess], np.int64)
    at = _EDIT * np.arange(len(b) + 1)
    row = at.copy()
    for x in truth:
        changed = row[:-1] + np.where(b == numbers[x], -1, _EDIT)
        best = np.minimum(row + _EDIT, np.concatenate([[row[0] + _EDIT], changed]))
        row = np.minimum.accumulate(best - at) + at  # insertions run along the row
    count = -(-int(row[-1]) // _EDIT)
    return count, count * _EDIT - int(row[-1])
