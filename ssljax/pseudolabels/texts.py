"""Pseudo-labels that are texts: those that the data brings itself, and which one can believe."""

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ssljax.pseudolabels.generate import LabelContext
from ssljax.pseudolabels.labels import Guess
from ssljax.tasks.target import count, take


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Before the choice: examples that bring a label take it, as sure as the data says.

    The data has leaves "brought", targets, and "sure" [N], 0 for examples that bring none: pairs
    that were translated back, for instance, of which the label is real and the example was made.
    """

    alone: bool = False
    """All others abstain."""

    def guess(self, guess: Guess, context: LabelContext) -> Guess:
        rows = context.pool.take(np.arange(len(context.pool)))
        if not {"brought", "sure"} <= rows.keys():
            raise ValueError("this data brings no labels of its own: see `Parallel.back`")
        n, sure = len(context.pool), np.clip(rows["sure"], 0, 1)
        both = context.target.join([guess.target, rows["brought"]])
        assert count(both) == 2 * n
        which = np.where(sure > 0, n + np.arange(n), np.arange(n))
        others = 0.0 if self.alone else guess.whole(context.target).confidence
        return Guess(take(both, which), np.where(sure > 0, sure, others), None)


@dataclass(frozen=True, kw_only=True)
class Believable:
    """Before the choice: abstain where a text is too short or too long for its example, copies too
    much of it, or goes round in circles. Words are what stands between spaces."""

    shortest: float = 0.5
    """Words of the text over those of the example, at least."""
    longest: float = 2.0
    """The same, at most."""
    copied: float = 0.5
    """Share of the words of the text that the example has too, at most."""
    repeated: int = 3
    """How often one word may follow itself, at most."""

    def guess(self, guess: Guess, context: LabelContext) -> Guess:
        pool = context.pool
        if pool.readable is None:
            raise ValueError("Believable compares texts, and this data is none")
        texts = pool.readable(pool.take(np.arange(len(pool))))
        said = context.target.show(guess.target, None)
        good = np.array([self.accepts(a, b) for a, b in zip(texts, said, strict=True)], bool)
        confidence = guess.whole(context.target).confidence
        return guess._replace(confidence=np.where(good, confidence, 0.0))

    def accepts(self, text: str, said: str) -> bool:
        """Whether `said` may be what `text` means."""
        a, b = text.split(), said.split()
        if not a or not self.shortest <= len(b) / len(a) <= self.longest or not b:
            return False
        longest = _longest_run(b)
        copies = (Counter(a) & Counter(b)).total() / len(b)
        return copies <= self.copied and longest <= self.repeated


@dataclass(frozen=True, kw_only=True)
class Varied:
    """Before the choice: abstain where a text repeats itself, as language models do where they
    always take the likeliest (Holtzman et al. 2019, arXiv:1904.09751).
    """

    distinct: float = 0.5
    """Share of the runs of four characters that are different ones, at least."""
    repeated: int = 3
    """How often one word may follow itself, at most."""

    def guess(self, guess: Guess, context: LabelContext) -> Guess:
        said = context.target.show(guess.target, None)
        good = np.array([self.accepts(text) for text in said], bool)
        confidence = guess.whole(context.target).confidence
        return guess._replace(confidence=np.where(good, confidence, 0.0))

    def accepts(self, text: str) -> bool:
        """Whether a text says more than one thing."""
        runs = [text[i : i + 4] for i in range(len(text) - 3)]
        if not text.strip() or (runs and len(set(runs)) < self.distinct * len(runs)):
            return False
        return _longest_run(text.split()) <= self.repeated


def _longest_run(words: list[str]) -> int:
    """How often a word follows itself, itself counted; 0 without words."""
    longest = run = min(len(words), 1)
    for before, word in itertools.pairwise(words):
        run = run + 1 if word == before else 1
        longest = max(longest, run)
    return longest
