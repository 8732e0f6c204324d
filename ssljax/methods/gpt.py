"""GPT: predict each token from those before it.

Radford, Wu, Child, Luan, Amodei, Sutskever, "Language Models are Unsupervised Multitask Learners",
2019 (GPT-2).

    L = sum_t w_t CE(logits_t, x_{t+1}) / sum_t w_t,   w_t = 1 where x_{t+1} is of the same document

The network sees the first L - 1 tokens of a row and predicts the last L - 1, so rows of 65 tokens
give a context of 64. Features are the mean of the last states, of all tokens.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import count_tokens, row_sums, token_nll, unigram, weighted_mean
from ssljax.method import Batch, Metrics, State
from ssljax.nets import GPT2, gpt2
from ssljax.recipes import Encoding


@dataclass(frozen=True, kw_only=True)
class GPT(Encoding):
    """A causal language model, by default GPT-2 small."""

    encoder: GPT2 = gpt2("small")

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init(self.encoder, key, self._context(batch))
        counts = jnp.zeros(self.encoder.vocab)
        return {"encoder": params}, {"stats": {"encoder": stats}, "counts": counts}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        nll, target, weight, logits = self._predict(params["encoder"], batch, key)
        value = weighted_mean(nll, weight)
        floor, _ = unigram(extra["counts"], target)
        right = jnp.argmax(logits, axis=-1) == target
        metrics = {
            "perplexity": jnp.exp(value),
            "accuracy": weighted_mean(right, weight),
            "unigram_loss": weighted_mean(floor, weight),
        }
        return value, (extra | {"counts": count_tokens(extra["counts"], target, weight)}, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats and accuracy a token, and bits a byte where rows tell their bytes."""
        nll, target, weight, logits = self._predict(state.params["encoder"], batch, None)
        floor, _ = unigram(state.extra["counts"], target)
        loss, count = row_sums(nll, weight)
        found = {
            "loss": (loss, count),
            "accuracy": row_sums(jnp.argmax(logits, axis=-1) == target, weight),
            "unigram_loss": row_sums(floor, weight),
        }
        if "bytes" in batch:
            found["bits_per_byte"] = (loss / jnp.log(2.0), batch["bytes"].astype(jnp.float32))
        return found

    def _context(self, batch: Batch) -> dict[str, jax.Array]:
        """All but the last token of each row."""
        return {k: batch[k][:, :-1] for k in ("tokens", "segments")}

    def _predict(
        self, params: Any, batch: Batch, key: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """(nats, targets, weights [B, L - 1], logits [B, L - 1, V]); without a key no dropout."""
        x, training = self._context(batch), key is not None
        rngs = None if key is None else {"dropout": key}
        logits, _ = nets.apply(
            self.encoder, params, {}, x, train=training, rngs=rngs, method="logits"
        )
        target, after = batch["tokens"][:, 1:], batch["segments"][:, 1:]
        return token_nll(logits, target), target, (after > 0) & (after == x["segments"]), logits

    def inputs(self, batch: Batch) -> dict[str, jax.Array]:
        """What the encoder reads of a batch: all that it has positions for."""
        return {k: batch[k][:, : self.encoder.length] for k in ("tokens", "segments")}
