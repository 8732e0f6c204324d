"""A talk with a network that has learned what is answered in dialogues."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data import Arrays
from ssljax.data.replies import TokenReplies
from ssljax.methods import Student
from ssljax.runs.load import reader_of
from ssljax.selftraining.learners import NetworkTeacher
from ssljax.selftraining.teachers import load_any
from ssljax.tasks import Continuation


class Chat:
    """One talk: what was said so far is what the next answer goes by."""

    def __init__(self, run: str | Path, *, file: str | None = None, **how: Any) -> None:
        """run: a folder of self-training; its data is not needed. how: fields of `Continuation` to
        write with, such as temperature, top_k, top_p and seed.

        Raises: ValueError where the run has not learned to answer.
        """
        experiment, _, state, *_ = load_any(Path(run), file=file)
        model, reader = experiment.method, reader_of(experiment, Path(run))
        learnt = model.task.target if isinstance(model, Student) else None
        if not isinstance(learnt, Continuation) or not isinstance(reader, TokenReplies):
            raise ValueError(
                f"{run} writes no answers: train a run that talks with `ssljax selftrain`, "
                "the target Continuation and the reader Replies, as experiments/gpt_sgd.py does"
            )
        self.said: list[str] = []
        """What both have said, in turns; the first one is of who was answered in training."""
        assert isinstance(model, Student)  # only that has a target
        target = dataclasses.replace(learnt, **how)
        model = dataclasses.replace(model, task=dataclasses.replace(model.task, target=target))
        self._teacher = NetworkTeacher(model, (state,), batch=1)
        self._reader = reader

    def __call__(self, text: str) -> str:
        """The answer to a text, after what was said before. Raises: ValueError for an empty one."""
        if not text.strip():
            raise ValueError("there is nothing to answer: say something")
        self.said.append(text.strip())
        (row,) = np.asarray(self._teacher.guess(Arrays(self._reader.rows([self.said]))).target)
        answer = self._reader.decode([int(i) for i in row if i > 0]).strip()
        self.said.append(answer)
        return answer
