"""The numbers of a round: what is only measured, and never goes back into training."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ssljax.pseudolabels import quality
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.tasks.target import Target, Targets, take

_SHOWN = 12  # mistakes that the report shows


@dataclass(frozen=True)
class Judge:
    """Compares labels with what is known."""

    target: Target
    out: np.ndarray
    """int [m], the examples of the pool that nobody has labelled."""
    truth: Targets | None
    """True targets of the pool, arrays [N, ...], or None."""
    held_out: Labels | None
    """True labels that training never sees, or None."""
    names: tuple[str, ...] | None
    """Of the classes."""
    size: int
    """Examples of the pool, N."""

    def measure(self, guess: Guess, pseudo: Labels, before: Labels | None) -> dict[str, Any]:
        """What round.json says of the labels of a round.

        Args:
          guess: on the whole pool. pseudo: what was chosen of it. before: that of the last round.
        """
        guess, used = guess.whole(self.target), pseudo.take(pseudo.is_used)
        found: dict[str, Any] = {
            "coverage": float(np.isin(self.out, used.index).mean()),
            "mean_weight": float(pseudo.weight.mean()),
            "mean_confidence": float(guess.confidence[self.out].mean()),
            "warnings": [],
        }
        if self.target.has_classes():
            found |= self._classes(used, before)
        if self.truth is not None:
            found |= self._compared(guess, used, self.truth)
        if self.held_out is not None:
            found["estimate"] = self._estimate(guess, used, self.held_out)
        return found

    def _classes(self, used: Labels, before: Labels | None) -> dict[str, Any]:
        """Which classes the labels are of, and how they moved."""
        classes = self.target.require_classes("shares of classes")
        found: dict[str, Any] = {}
        now, old = self._dense(used), None if before is None else self._dense(before)
        selected = np.bincount(now[now >= 0], minlength=classes)
        if old is not None:
            found["stability"] = quality.stability(old, now, classes=classes)
        last = None if old is None else np.bincount(old[old >= 0], minlength=classes)
        found["warnings"] = quality.warnings(selected, last, names=self.names)
        return found | {"selected": selected.tolist()}

    def _compared(self, guess: Guess, used: Labels, truth: Targets) -> dict[str, Any]:
        """With the truth, where it is known."""
        target, out = self.target, self.out[self.target.known(truth)[self.out]]
        if not len(out):
            return {}
        here, chosen = take(truth, out), np.isin(out, used.index)
        labels = jax.tree.map(lambda x: _placed(x, used.index, self.size)[out], used.target)
        every, m = take(guess.target, out), guess.confidence[out]
        everyone = target.quality(here, every, np.ones(len(out), bool))
        found: dict[str, Any] = {
            "quality": target.quality(here, labels, chosen),
            "all": {x.key: everyone[x.key] for x in target.shown},
        }
        right = target.right(here, every)
        if right is not None:
            cast = m > 0  # who abstains has not said that it is unsure
            found["reliability"] = quality.reliability(right[cast], m[cast])
            found["ece"] = quality.ece(right[cast], m[cast])
            found["mistakes"] = self._mistakes(used, take(truth, used.index))
        return found

    def _estimate(self, guess: Guess, used: Labels, held_out: Labels) -> dict[str, Any]:
        """The quality of labels as confident as those that are used, on held-out true labels."""
        target, guess = self.target, guess.take(held_out.index)
        m = guess.confidence
        numbers = target.quality(
            held_out.target, guess.target, (m >= used.confidence.min()) & (m > 0)
        )
        found = {k: v for k, v in numbers.items() if isinstance(v, float)}
        right = target.right(held_out.target, guess.target)
        more = {} if right is None else {"ece": quality.ece(right, m)}
        return {"examples": len(held_out)} | found | more

    def _mistakes(self, used: Labels, truth: Targets) -> list[list[Any]]:
        """[index, label, truth, confidence] of the most confident labels that are wrong."""
        right = self.target.right(truth, used.target)
        if right is None:
            return []
        wrong = np.flatnonzero(~right & self.target.known(truth))
        first = wrong[np.argsort(-used.confidence[wrong], kind="stable")[:_SHOWN]]
        said = self.target.show(take(used.target, first), self.names)
        true = self.target.show(take(truth, first), self.names)
        return [
            [int(used.index[i]), label, is_, float(used.confidence[i])]
            for i, label, is_ in zip(first, said, true, strict=True)
        ]

    def _dense(self, labels: Labels) -> np.ndarray:
        """The class of each example of the pool, -1 for none, int64 [N]."""
        found = np.full(self.size, -1, np.int64)
        found[labels.index] = self.target.hard(labels.target)
        return found


def _placed(x: np.ndarray, index: np.ndarray, size: int) -> np.ndarray:
    """[n, ...] of the examples `index` as [size, ...], 0 elsewhere."""
    found = np.zeros((size, *x.shape[1:]), x.dtype)
    found[index] = x
    return found
