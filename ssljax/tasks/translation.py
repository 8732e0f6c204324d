"""A target that is a text of a vocabulary: a decoder writes it, token by token."""

from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.losses.language import row_sums, token_nll
from ssljax.measure import Measure
from ssljax.nets import T5Decoder, T5Writer
from ssljax.tasks.target import Rows
from ssljax.tasks.texts import BLEU, Texts


@dataclass(frozen=True, kw_only=True)
class Translation(Texts):
    """A target is int [B, L], tokens with their end and then 0, all 0 where no text is known.

    Its encoder has a method `memory` for a decoder. Told the target, outputs are logits [B, L, V];
    else the text that the decoder writes, and its log p. The loss of an example is the mean over
    its tokens of cross-entropy with label smoothing.
    """

    decoder: T5Decoder = T5Decoder()
    """As wide as the encoder, whose table of words it shares."""
    eos: int = 3
    """The token that ends a text."""
    smoothing: float = 0.1
    """Share of the probability that the loss spreads over the whole vocabulary."""
    beams: int = 4
    """Beginnings that beam search keeps; 1 takes the likeliest token each time. There are none
    where tokens are drawn."""
    penalty: float = 1.0
    """Exponent of the length by which log p is divided before texts are compared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beams < 1 or not 0 <= self.smoothing < 1:
            raise ValueError("beams needs 1 or more, and smoothing must lie in [0, 1)")

    leaves = ("translation",)
    reads = "memory"
    reader: ClassVar[str] = "Parallel"
    measure: ClassVar[Measure] = BLEU

    @property
    def networks(self) -> dict[str, Any]:
        return {"decoder": self.decoder}

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        del hidden
        names = ("decoder", "length", "eos", "words", "beams", "penalty")
        drawn = ("temperature", "top_k", "top_p", "seed")
        return T5Writer(**{name: getattr(self, name) for name in (*names, *drawn)})

    def asked(self, read: Any, batch: Rows, target: jax.Array | None) -> Any:
        found = read | {"index": batch["index"]}
        if target is not None:
            found["before"] = jnp.pad(target, ((0, 0), (1, 0)))[:, :-1]
        return found

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted; weights are of whole texts."""
        nll, real = token_nll(outputs, target), target > 0
        if self.smoothing:
            spread = jax.nn.logsumexp(outputs, axis=-1) - jnp.mean(outputs, axis=-1)
            nll = (1 - self.smoothing) * nll + self.smoothing * spread
        total, count = row_sums(nll, real)
        return weight * total / jnp.maximum(count, 1)

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """ "accuracy", the share of tokens that are the likeliest after the true ones before."""
        right, count = row_sums(jnp.argmax(outputs, axis=-1) == target, target > 0)
        return {"accuracy": right / jnp.maximum(count, 1)}
