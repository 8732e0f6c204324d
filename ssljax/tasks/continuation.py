"""A target that is how a text goes on: what a causal language model writes behind a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.losses.language import row_sums, token_nll
from ssljax.measure import Measure
from ssljax.nets import GPT2, GPT2Writer
from ssljax.tasks.bleu import words_of
from ssljax.tasks.target import Rows, Targets
from ssljax.tasks.texts import Texts


def distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    """The share of different ones among the n-grams of all texts, which are lists of words; 0 where
    there is none."""
    grams = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
    return len(set(grams)) / max(len(grams), 1)


@dataclass(frozen=True, kw_only=True)
class Continuation(Texts):
    """A target is int [B, L], the tokens that follow a prompt, and 0 behind their end.

    Its encoder is a `GPT2`, which reads and writes with the same weights. Told the target, outputs
    are logits [B, L, V]; else the text that it writes, and its log p. The loss of an example is the
    mean over its tokens of cross-entropy; the prompt is not learnt. The number of the task is what
    the true text costs, bits a byte.
    """

    network: GPT2 = GPT2()
    """The encoder of the task."""

    leaves = ("continuation",)
    reads = "prompt"
    reader: ClassVar[str] = "Continuations"
    lines: ClassVar[bool] = True
    measure: ClassVar[Measure] = Measure(
        key="bits_per_byte", name="bits a byte", better="lower", unit="", digits=3
    )

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        del hidden
        names = ("network", "length", "eos", "words", "temperature", "top_k", "top_p", "seed")
        return GPT2Writer(**{name: getattr(self, name) for name in names})

    def asked(self, read: Any, batch: Rows, target: jax.Array | None) -> Any:
        told = {} if target is None else {"after": target}
        return read | told | {"index": batch["index"]}

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted; weights are of whole texts."""
        total, count = row_sums(token_nll(outputs, target), target > 0)
        return weight * total / jnp.maximum(count, 1)

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """ "accuracy", the share of tokens that are the likeliest after the true ones before."""
        right, count = row_sums(jnp.argmax(outputs, axis=-1) == target, target > 0)
        return {"accuracy": right / jnp.maximum(count, 1)}

    def score(self, truth: Targets, guess: Targets) -> dict[str, float]:
        """As of `Texts`, and "distinct_1" and "distinct_2", how varied all texts are together: of
        all single words and pairs of neighbours that were written, the share that are different
        (Li et al. 2016, arXiv:1510.03055)."""
        said = [words_of(text) for text in self.show(guess, None)]
        return super().score(truth, guess) | {f"distinct_{n}": distinct(said, n) for n in (1, 2)}

    def costs(
        self, outputs: jax.Array, target: jax.Array, batch: Rows
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """ "bits_per_byte" of the true text, and "nats" and "accuracy" of its tokens."""
        nats, count = row_sums(token_nll(outputs, target), target > 0)
        right, _ = row_sums(jnp.argmax(outputs, axis=-1) == target, target > 0)
        size = jnp.asarray(batch["bytes"], jnp.float32)
        return {
            "bits_per_byte": (nats / jnp.log(2.0), size),
            "nats": (nats, count),
            "accuracy": (right, count),
        }
