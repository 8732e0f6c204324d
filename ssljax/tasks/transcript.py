"""A target that is a text: the network says for each frame which letter it hears, if any."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from ssljax.losses.ctc import edit_distance, greedy


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """Outputs are logits [B, T, 1 + letters], the first for no letter (blank); a target is int
    [B, N], letters from 1 and then 0.

    Frames beyond the end of a recording must say blank for certain (`losses.ctc.silence`). The loss
    is that of connectionist temporal classification, -log p(text) over all ways to say it, and 0
    where there are fewer frames than the text needs.
    """

    letters: str = "abcdefghijklmnopqrstuvwxyz '"

    @property
    def width(self) -> int:
        """Numbers that the network gives for a frame."""
        return 1 + len(self.letters)

    def encode(self, text: str, size: int) -> list[int]:
        """The target of a text, `size` numbers. Raises: ValueError where it does not fit."""
        unknown = sorted(set(text) - set(self.letters))
        if unknown or len(text) > size:
            raise ValueError(f"{text!r}: needs up to {size} letters, and none of {unknown}")
        return [1 + self.letters.index(c) for c in text] + [0] * (size - len(text))

    def decode(self, target: jax.Array) -> str:
        """The text of a target [N]."""
        return "".join(self.letters[int(i) - 1] for i in target if int(i) > 0)

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted."""
        outputs, padding = outputs.astype(jnp.float32), (target == 0).astype(jnp.float32)
        real = jnp.zeros(outputs.shape[:2])
        nll = optax.ctc_loss(outputs, real, target, padding)
        twice = jnp.sum((target[:, 1:] == target[:, :-1]) & (target[:, 1:] > 0), axis=1)
        fits = jnp.sum(target > 0, axis=1) + twice <= outputs.shape[1]
        return weight * jnp.where(fits, nll, 0.0)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(the text of the best path, int32 [B, T]; its probability for each frame, geometric mean,
        [B])."""
        letters, log_p = greedy(outputs)
        return letters, jnp.exp(log_p / outputs.shape[1])

    def probabilities(self, outputs: jax.Array) -> None:
        """None: there are too many texts."""

    def average(self, outputs: jax.Array) -> jax.Array:
        """Outputs whose probabilities in each frame are the mean of those of several [E, ...]."""
        log_p = jax.nn.log_softmax(outputs.astype(jnp.float32), axis=-1)
        return jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(outputs))

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """Of each example, [B]: "accuracy" (the whole text is right) and "letter_errors", the
        letters to change over those of the text."""
        wrong = edit_distance(greedy(outputs)[0], target).astype(jnp.float32)
        count = jnp.maximum(jnp.sum(target > 0, axis=1), 1)
        return {"accuracy": (wrong == 0).astype(jnp.float32), "letter_errors": wrong / count}
