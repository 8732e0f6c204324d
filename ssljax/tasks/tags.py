"""A target that is a class for each word: entities, parts of speech, protein structure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from ssljax.files import atomically
from ssljax.losses.classify import spread_weight
from ssljax.measure import Measure
from ssljax.nets import MLP
from ssljax.tasks.cells import found_in, number_of
from ssljax.tasks.quality import ratio
from ssljax.tasks.target import Array, Examples, Rows, Target, Targets, joined
from ssljax.tasks.verify import check_alike, check_numbers

NONE = -100
"""The tag of a token that is asked for none: padding, and the later tokens of a word."""


@dataclass(frozen=True, kw_only=True)
class Tags(Target):
    """Outputs are logits [B, L, K], and `asked`, bool [B, L]; a target is int [B, L], -100 for the
    tokens that are asked for no tag.

    The batch says in "starts", bool [B, L], which tokens begin a word and carry its tag. Where tags
    are B-x, I-x and O, the number of the task is F1 of whole entities, read strictly: an entity
    begins with its B and goes on while I of its kind follow. Else it is the share of tags that are
    right. The loss of a sentence is the mean over its words.
    """

    tags: tuple[str, ...]
    """Their names, by number."""
    sure: Literal["minimum", "mean"] = "minimum"
    """How sure a sentence is: as its least sure word, or as the mean of its words."""

    leaves = ("tags",)
    reads = "tokens"

    @property
    def entities(self) -> bool:
        """Whether tags say where entities begin and go on."""
        kinds = [tag for tag in self.tags if tag != "O"]
        return bool(kinds) and all(tag[:2] in ("B-", "I-") for tag in kinds)

    @property
    def measure(self) -> Measure:
        if self.entities:
            return Measure(key="f1", name="F1 of entities")
        return Measure(key="accuracy", name="tags right")

    @property
    def shown(self) -> tuple[Measure, ...]:
        right = Measure(key="accuracy", name="tags right")
        if not self.entities:
            return (right,)
        parts = (Measure(key=k, name=f"{k} of entities") for k in ("precision", "recall"))
        return (self.measure, *parts, right)

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        return MLP(widths=(*hidden, len(self.tags)), norm=False)

    def complete(self, outputs: jax.Array, batch: Rows) -> dict[str, Array]:
        return {"logits": outputs, "asked": batch["starts"].astype(bool)}

    def loss(self, outputs: Any, target: jax.Array, weight: jax.Array) -> jax.Array:
        log_p = jax.nn.log_softmax(outputs["logits"].astype(jnp.float32), axis=-1)
        nll = -jnp.take_along_axis(log_p, jnp.maximum(target, 0)[..., None], axis=-1)[..., 0]
        counts = target >= 0
        each = jnp.where(counts, nll * spread_weight(weight, target.shape[1:]), 0.0)
        return jnp.sum(each, axis=1) / jnp.maximum(jnp.sum(counts, axis=1), 1)

    def pseudo(self, outputs: Any) -> tuple[jax.Array, jax.Array]:
        """(tags int32 [B, L], -100 where none is asked for; the largest probability of each token
        [B, L], 0 there)."""
        p = jax.nn.softmax(outputs["logits"].astype(jnp.float32), axis=-1)
        asked = outputs["asked"]
        tags = jnp.where(asked, jnp.argmax(p, axis=-1), NONE).astype(jnp.int32)
        return tags, jnp.where(asked, jnp.max(p, axis=-1), 0.0)

    def average(self, outputs: Any) -> dict[str, jax.Array]:
        """Outputs whose probabilities are the mean of those of several."""
        log_p = jax.nn.log_softmax(outputs["logits"].astype(jnp.float32), axis=-1)
        mean = jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(log_p))
        return {"logits": mean, "asked": outputs["asked"][0]}

    def metrics(self, outputs: Any, target: jax.Array) -> dict[str, jax.Array]:
        """ "accuracy", the share of tags that are right."""
        counts = target >= 0
        right = counts & (jnp.argmax(outputs["logits"], axis=-1) == target)
        return {"accuracy": jnp.sum(right, axis=1) / jnp.maximum(jnp.sum(counts, axis=1), 1)}

    def check(self, data: Any) -> None:
        if "starts" not in data.spec:
            raise ValueError(
                f"tags need data that says where words begin (starts), and this has only "
                f"{', '.join(data.spec)}: read it with Conll"
            )
        if "tags" in data.spec and data.classes is not None and data.classes != self.tags:
            raise ValueError(
                f"the data has the tags {', '.join(data.classes)} and the target "
                f"{', '.join(self.tags)}: give it those of the data, in that order"
            )

    def known(self, truth: Targets) -> np.ndarray:
        """A sentence without any tag is unknown."""
        return np.any(np.asarray(truth) >= 0, axis=1)

    def verify(self, target: np.ndarray) -> None:
        asked = np.where(np.asarray(target) == NONE, 0, target)
        check_numbers(asked, "tags", shape=(None,), low=0, high=len(self.tags) - 1, whole=True)

    def join(self, parts: Sequence[Targets]) -> Targets:
        return joined(parts, fill=NONE)

    def whole(self, confidence: np.ndarray, target: Targets) -> np.ndarray:
        """That of the least sure word or the mean of the words (`sure`), 0 where there is none."""
        if len(confidence.shape) == 1:
            return confidence
        asked = np.asarray(target) >= 0
        if self.sure == "minimum":
            return np.where(asked.any(1), np.where(asked, confidence, 1).min(1), 0)
        return ratio(np.where(asked, confidence, 0).sum(1), asked.sum(1))

    def right(self, truth: Targets, guess: Targets) -> np.ndarray:
        truth, guess = np.asarray(truth), np.asarray(guess)
        return ((truth == guess) | (truth < 0)).all(1)

    def score(self, truth: Targets, guess: Targets) -> dict[str, float]:
        """ "accuracy" of tags; of entities "precision", "recall" and "f1", over all of them."""
        found = self.quality(truth, guess, np.ones(len(truth), bool))
        return {k: v for k, v in found.items() if k != "coverage"}

    def quality(self, truth: Targets, guess: Targets, chosen: np.ndarray) -> dict[str, Any]:
        """As `score`, where entities of sentences that are not chosen are not found."""
        truth, guess = np.asarray(truth), np.asarray(guess)
        check_alike(truth, guess, "tokens")
        counts = (truth >= 0) & np.asarray(chosen)[:, None]
        right = (counts & (truth == guess)).sum()
        found = {"coverage": float(np.mean(chosen)), "accuracy": float(ratio(right, counts.sum()))}
        if not self.entities:
            return found
        true = self._entities(truth, truth, np.ones(len(truth), bool))
        said = self._entities(truth, guess, chosen)
        hits = len(true & said)
        return found | {
            "precision": float(ratio(hits, len(said))),
            "recall": float(ratio(hits, len(true))),
            "f1": float(ratio(2 * hits, len(true) + len(said))),
        }

    def _entities(
        self, asked: np.ndarray, tags: np.ndarray, rows: np.ndarray
    ) -> set[tuple[int, int, int, str]]:
        """(sentence, first word, word behind the last, kind) of all entities. asked: int [n, L],
        at least 0 where a word is asked for."""
        found = set()
        for i in np.flatnonzero(rows):
            words = [self.tags[k] if k >= 0 else "O" for k in tags[i][asked[i] >= 0]]
            found |= {(int(i), *entity) for entity in entities_of(words)}
        return found

    def column(self, target: Targets) -> pa.Array:
        """Lists of names of tags, empty for tokens that are asked for none."""
        named = [[self.tags[k] if k >= 0 else None for k in row] for row in np.asarray(target)]
        return pa.array(named, pa.list_(pa.string()))

    def from_column(self, column: pa.Array) -> Targets:
        rows = column.to_pylist()
        if not all(isinstance(row, list) for row in rows):
            raise ValueError("cells are no lists of tags")
        number = {None: NONE} | {tag: k for k, tag in enumerate(self.tags)}
        for i, row in enumerate(rows, start=1):
            bad = [tag for tag in row if tag not in number]
            if bad:
                raise ValueError(f"row {i}: {bad[0]!r} is none of the tags {', '.join(self.tags)}")
        found = [np.array([[number[tag] for tag in row]], np.int32) for row in rows]
        return self.join(found) if found else np.zeros((0, 0), np.int32)

    def write(
        self, path: Path, examples: Examples, target: Targets, confidence: np.ndarray
    ) -> None:
        """A CoNLL file: a word and its tag in a line, a blank line behind each sentence, and its
        name and confidence in comments. Words that did not fit into a row have no line."""
        if examples.texts is None:
            raise ValueError("a CoNLL file needs the words of each sentence: read them with Conll")
        sure, lines = self.whole(np.asarray(confidence), target), []
        said = zip(examples.names, examples.texts, np.asarray(target), sure, strict=True)
        for name, text, row, c in said:
            lines += [f"# sent_id = {name}", f"# confidence = {c:.6g}"]
            tags = [self.tags[k] for k in row if k >= 0]
            lines += [f"{w}\t{tag}" for w, tag in zip(text.split(" "), tags)] + [""]
        atomically(Path(path), lambda fresh: fresh.write_text("\n".join(lines) + "\n", "utf-8"))

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        number = {name: i for i, name in enumerate(examples.names)}
        known = {tag: k for k, tag in enumerate(self.tags)}
        starts = np.asarray(examples.rows["starts"], bool)
        index, target, sure = [], [], []
        for sentence in Path(path).read_text("utf-8").split("\n\n"):
            lines = [line for line in sentence.split("\n") if line]
            if not lines:
                continue
            notes = dict(x[1:].split("=", 1) for x in lines if x[0] == "#" and "=" in x)
            notes = {key.strip(): value.strip() for key, value in notes.items()}
            name = notes.get("sent_id", "")
            i = found_in(number, name, f"{path}, sentence {len(index) + 1}")
            place = f"{path}, sentence {name}"
            tags = [line.split("\t")[-1] for line in lines if "\t" in line]
            if len(tags) != starts[i].sum() or not set(tags) <= known.keys():
                raise ValueError(
                    f"{place}: {len(tags)} tags for {starts[i].sum()} words, or other tags than "
                    f"{', '.join(self.tags)}"
                )
            row = np.full(starts.shape[1], NONE, np.int32)
            row[starts[i]] = [known[tag] for tag in tags]
            index.append(i)
            target.append(row)
            sure.append(number_of(notes.get("confidence", "1"), place))
        found = np.array(target, np.int32).reshape(-1, starts.shape[1])
        return np.array(index, np.int64), found, np.array(sure, np.float32)

    def show(self, target: Targets, classes: Sequence[str] | None) -> list[str]:
        """The tags of the words; of entities those alone, with the number of the word."""
        del classes  # tags have their own names
        rows = ([self.tags[k] for k in row if k >= 0] for row in np.asarray(target))
        if not self.entities:
            return [" ".join(row) for row in rows]
        marked = ([f"{i}:{t}" for i, t in enumerate(row, start=1) if t != "O"] for row in rows)
        return [" ".join(row) or "no entity" for row in marked]


def entities_of(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """(first word, word behind the last, kind) of the entities in a sentence, read strictly: I-x
    that follows neither B-x nor I-x of an entity is none."""
    found, start, kind = set(), -1, ""
    for i, tag in enumerate([*tags, "O"]):
        if start >= 0 and tag != f"I-{kind}":
            found.add((start, i, kind))
            start = -1
        if tag.startswith("B-"):
            start, kind = i, tag[2:]
    return found
