"""Sentences through a network that writes: what it makes of them, and how sure it is."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssljax.data import Arrays
from ssljax.data.reader import reads_values
from ssljax.files import atomically
from ssljax.methods import Student
from ssljax.runs.load import reader_of
from ssljax.selftraining.learners import NetworkTeacher
from ssljax.selftraining.teachers import load_any
from ssljax.tasks import Translation

HEAD = ("text", "translation", "confidence")


class Translator:
    """The network and the vocabulary of a run of self-training; its data is not needed."""

    def __init__(self, run: str | Path, *, file: str | None = None, **how: Any) -> None:
        """how: fields of `Translation` to write with, such as beams, penalty, temperature, seed.

        Raises: ValueError where the run translates nothing.
        """
        experiment, _, state, *_ = load_any(Path(run), file=file)
        model, reader = experiment.method, reader_of(experiment, Path(run))
        if not isinstance(model, Student) or not isinstance(model.task.target, Translation):
            raise ValueError(
                f"{run} does not translate: train one with `ssljax selftrain` and the target "
                "Translation"
            )
        assert reads_values(reader)  # of sentences
        target = dataclasses.replace(model.task.target, **how)
        model = dataclasses.replace(model, task=dataclasses.replace(model.task, target=target))
        self._teacher = NetworkTeacher(model, (state,), batch=experiment.batch)
        self._reader: Any = reader

    def __call__(self, texts: Sequence[str]) -> "list[Translated]":
        """What each sentence means. Raises: ValueError for an empty one."""
        empty = [i for i, text in enumerate(texts, start=1) if not text.strip()]
        if empty or not texts:
            raise ValueError(f"sentence {(empty or [1])[0]} is empty: leave it out")
        guess = self._teacher.guess(Arrays(self._reader.rows(list(texts))))
        rows = np.asarray(guess.target)
        said = [self._reader.decode([int(i) for i in row if i > 0]) for row in rows]
        return [Translated(*one) for one in zip(texts, said, map(float, guess.confidence))]


class Translated(NamedTuple):
    """confidence: the geometric mean of the probabilities of the tokens, 0 of an empty text and
    of one that found no end."""

    text: str
    translation: str
    confidence: float


def write_table(path: str | Path, found: Sequence[Translated]) -> None:
    """A table apart by tabs, text, translation and confidence, which `Parallel.back` reads."""
    rows = [HEAD, *((_cell(x.text), _cell(x.translation), f"{x.confidence:.6g}") for x in found)]
    lines = "\n".join("\t".join(row) for row in rows) + "\n"
    atomically(Path(path), lambda fresh: fresh.write_text(lines, "utf-8"))


def _cell(text: str) -> str:
    """A text as a cell: tabs and ends of lines are spaces there."""
    return " ".join(text.split())
