"""Dialogues: what one speaker says, with the turns before it and what the speaker wants.

    dialogues:PATH[:SPLIT]    a file of JSON lines, .jsonl or .jsonl.gz, or a folder of them, such
                              as train.jsonl and test.jsonl.gz; a line is a dialogue:

    {"turns": [{"speaker": "user", "text": "Any table for two?", "intents": ["FindTable"]}, ...]}

An example is a turn of the chosen speaker, called by file, line and turn: train.jsonl:12:3. Its row
is [CLS] turn [SEP] turn [SEP] ... [SEP], with as many of the turns before it as were asked for and
fit whole, the oldest first:

    "tokens", "segments"   int32 [L], as of `Text`
    "types"                int32 [L], 0 where the chosen speaker speaks, 1 where another does
    "label"                its intent, -1 for a turn that has none or several, or one that no turn
                           of the training split has, which is said
    "answer", "answer_segments"   int32 [L], [CLS] next turn [SEP], where answers are asked for
"""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ssljax.data.cells import read_text
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.learnt import learnt
from ssljax.data.split_files import SplitFiles, split_files
from ssljax.data.text import Text, TokenText
from ssljax.data.tokenized import Tokenized

log = logging.getLogger("ssljax")
_FILES = (".jsonl", ".jsonl.gz")
_FORM = '{"turns": [{"speaker": "user", "text": "..."}, ...]}'


class Turn(NamedTuple):
    """What somebody says, and what she wants."""

    speaker: str
    text: str
    intents: tuple[str, ...]


class Chosen(NamedTuple):
    """An example."""

    name: str
    """File, line and number of the turn."""
    turns: list[Turn]
    """The turn, the last one, after those before it that a row may have."""
    answer: str
    """What another speaker says next; nothing where none does."""


class _Dialogue(NamedTuple):
    turns: list[Turn]
    name: str  # file and line


@dataclass(frozen=True, kw_only=True)
class Dialogues:
    """How dialogues become rows."""

    plain_name: ClassVar[str] = "bag of words"

    text: Text = Text(vocab=4096, length=48)
    """Length of a row and the vocabulary, trained on all turns of the training split."""
    history: int = 2
    """Turns before its own that a row has, at most."""
    speaker: str = "user"
    """Whose turns are examples."""
    answers: bool = False
    """Give each turn the next one, of another speaker, as "answer"; turns without are left out."""

    def __post_init__(self) -> None:
        if self.text.layout != "documents" or self.text.words:
            raise ValueError(
                "a row is one turn with its history: Dialogues(text=Text(layout='documents', "
                "words=False, ...))"
            )
        if self.history < 0:
            raise ValueError(f"history {self.history} must be 0 turns or more")

    @property
    def vocab(self) -> int:
        """Largest number of tokens of the vocabulary."""
        return self.text.vocab

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenDialogues":
        """The reader with its tokenizer and its intents: those of the run in `folder`, or learned
        from the training split of `spec`."""
        found = learnt(folder, "intents.json", lambda: {"intents": self._intents(spec)})
        text = self.text.tokenized(partial(self.texts, spec), folder)
        return TokenDialogues(self, text, tuple(found["intents"]))

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return _files(spec).splits

    def load(self, spec: str, *, split: str = "train", **options: Any) -> Arrays:
        """As `TokenDialogues.load`, by what is learned from the training split of `spec`."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec:
        """Tokens, segments and types of a row, and those of the answer."""
        names = ("types", "answer", "answer_segments") if self.answers else ("types",)
        one = ((self.text.length,), np.dtype(np.int32))
        return self.text.shapes() | {name: one for name in names}

    def plain(self, rows: Rows) -> np.ndarray:
        """As `Text.plain`, of the turn and its history."""
        return self.text.plain(rows)

    def _read(self, spec: str, split: str) -> list[_Dialogue]:
        """The dialogues of a split. Raises: ValueError that names file and line."""
        files = _files(spec)
        found = [d for file in files.of(split) for d in _dialogues(file, files.called(file))]
        if not any(turn.speaker == self.speaker for d in found for turn in d.turns):
            others = sorted({turn.speaker for d in found for turn in d.turns})
            raise ValueError(
                f"{spec} ({split}) holds no turn of {self.speaker!r}"
                + (f": its speakers are {', '.join(others)}" if others else ", and no dialogue")
            )
        return found

    def texts(self, spec: str) -> list[str]:
        """All that is said in the training split."""
        return [turn.text for d in self._read(spec, self.splits(spec)[0]) for turn in d.turns]

    def chosen(self, spec: str, split: str) -> list[Chosen]:
        """The examples of a split. Raises: ValueError where there is none."""
        found = []
        for d in self._read(spec, split):
            for i, turn in enumerate(d.turns):
                answered = i + 1 < len(d.turns) and d.turns[i + 1].speaker != self.speaker
                if turn.speaker == self.speaker and (answered or not self.answers):
                    turns = d.turns[max(0, i - self.history) : i + 1]
                    answer = d.turns[i + 1].text if answered else ""
                    found.append(Chosen(f"{d.name}:{i + 1}", turns, answer))
        if not found:
            raise ValueError(f"{spec} ({split}) holds no turn of {self.speaker!r} with an answer")
        return found

    def turns_of(self, said: str | Sequence[str]) -> list[Turn]:
        """The turns of a text, or of the texts of several turns, as in `TokenDialogues.rows`."""
        texts = [said] if isinstance(said, str) else list(said)[-self.history - 1 :]
        speakers = (f"not {self.speaker}", self.speaker)
        return [Turn(speakers[(len(texts) - i) % 2], x, ()) for i, x in enumerate(texts)]

    def _intents(self, spec: str) -> list[str]:
        turns = (turn for d in self._read(spec, self.splits(spec)[0]) for turn in d.turns)
        return sorted({t.intents[0] for t in turns if self._has_one(t)})

    def _has_one(self, turn: Turn) -> bool:
        return turn.speaker == self.speaker and len(turn.intents) == 1


class TokenDialogues(Tokenized):
    """A `Dialogues` with its tokenizer and the names of the intents."""

    reader: Dialogues

    def __init__(self, reader: Dialogues, text: TokenText, classes: tuple[str, ...]) -> None:
        super().__init__(reader, text)
        self.classes = classes

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`, in memory; without "label" where training has no turn with an intent.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # a few bytes a token, and nothing left to decode
        chosen = self.reader.chosen(spec, split)
        rows = self._rows([one.turns for one in chosen])
        if self.reader.answers:
            answers = self.text.rows([one.answer for one in chosen])
            rows |= {"answer": answers["tokens"], "answer_segments": answers["segments"]}
        if self.classes:
            rows["label"] = self._labels([one.turns[-1] for one in chosen], f"{spec} ({split})")
        names = [one.name for one in chosen]
        classes = self.classes or None
        return Arrays(rows, classes=classes, names=names, readable=self.readable)

    def rows(self, values: Sequence[Any], *, like: Spec | None = None) -> Rows:
        """One row a value, without intent: a text, or the texts of several turns, of which the last
        is of the chosen speaker, as every second one before it."""
        del like
        return self._rows([self.reader.turns_of(v) for v in values])

    def _rows(self, several: list[list[Turn]]) -> Rows:
        """Rows of turns, of which the last is that of the example."""
        length, first, end = self.reader.text.length, *map(self.text._special, ("[CLS]", "[SEP]"))
        said = list(dict.fromkeys(turn.text for turns in several for turn in turns))
        pieces = dict(zip(said, (ids for ids, _ in self.text._pieces(said)), strict=True))
        rows = {k: np.zeros((len(several), length), np.int32) for k in ("segments", "types")}
        pad = self.tokenizer.token_to_id("[PAD]") or 0
        rows = {"tokens": np.full((len(several), length), pad, np.int32)} | rows
        cut = 0
        for r, turns in enumerate(several):
            own = pieces[turns[-1].text]
            cut += len(own) > length - 2
            parts = [(turns[-1], own[: length - 2])]
            left = length - 2 - len(parts[0][1])
            for turn in turns[-2::-1]:
                left -= len(pieces[turn.text]) + 1
                if left < 0:
                    break
                parts.insert(0, (turn, pieces[turn.text]))
            tokens, types = [first], [0]
            for turn, ids in parts:
                tokens += [*ids.tolist(), end]
                types += [int(turn.speaker != self.reader.speaker)] * (len(ids) + 1)
            n = len(tokens)
            rows["tokens"][r, :n], rows["types"][r, :n], rows["segments"][r, :n] = tokens, types, 1
        if cut:
            log.warning(
                "%d of %d turns are longer than %d tokens and are cut: raise --reader.text.length",
                *(cut, len(several), length),
            )
        return rows

    def _labels(self, turns: list[Turn], called: str) -> np.ndarray:
        """Classes int32 [n], -1 for turns without; says how many have none and why."""
        number = {name: k for k, name in enumerate(self.classes)}
        unknown = Counter(t.intents[0] for t in turns if len(t.intents) == 1)
        for name in self.classes:
            del unknown[name]
        several = sum(len(t.intents) > 1 for t in turns)
        if several or unknown:
            log.warning(
                "%s: %d turns count as without intent: %d have several, %d one that training has "
                "not%s",
                *(called, several + unknown.total(), several, unknown.total()),
                f" ({', '.join(sorted(unknown))})" if unknown else "",
            )
        found = [number.get(t.intents[0], -1) if len(t.intents) == 1 else -1 for t in turns]
        return np.array(found, np.int32)


def _files(spec: str) -> SplitFiles:
    return split_files(spec, kind="dialogues", what="dialogues", endings=_FILES)


def _dialogues(file: Path, called: str) -> list[_Dialogue]:
    """The dialogues of a file. Raises: ValueError that names the line."""
    found = []
    for line, row in enumerate(read_text(file).split("\n"), start=1):
        if row.strip():
            where = f"{file}, line {line}"
            try:
                value = json.loads(row)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"{where} is not JSON ({error}): write {_FORM}") from error
            turns = value.get("turns") if isinstance(value, dict) else None
            if not isinstance(turns, list) or not turns:
                raise ValueError(f"{where} has no turns: write {_FORM}")
            read = [_turn(turn, f"{where}, turn {i}") for i, turn in enumerate(turns, start=1)]
            found.append(_Dialogue(read, f"{called}:{line}"))
    return found


def _turn(value: Any, where: str) -> Turn:
    fields = value if isinstance(value, dict) else {}
    for name in ("speaker", "text"):  # SGD has turns in which nothing is said
        if not isinstance(fields.get(name), str) or (
            name == "speaker" and not fields[name].strip()
        ):
            raise ValueError(f"{where} has no {name}: write {_FORM}")
    intents = fields.get("intents")
    intents = [] if intents is None else intents
    if not isinstance(intents, list) or not all(isinstance(x, str) and x.strip() for x in intents):
        raise ValueError(f"{where}: intents {intents!r} must be a list of texts, or []")
    names = tuple(dict.fromkeys(x.strip() for x in intents))
    return Turn(fields["speaker"].strip(), fields["text"].strip(), names)
