"""T5: cut spans out of a text, and write down what was there.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
2019, arXiv:1910.10683.

    encoder:  Thank you <X> me to your party <Y> week .
    decoder:  <X> for inviting <Y> last <eos>
    L = sum over target tokens of CE / number of target tokens

15% of the tokens are cut out, in spans of 3 on average. The decoder begins with token 0. Sentinels
are the last tokens of the network's vocabulary, counted down. A row of several documents is taken
for one. Features are the mean of the encoder's tokens, of a text without cuts.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import row_sums, token_nll, weighted_mean
from ssljax.method import Batch, Metrics, State
from ssljax.nets import T5Decoder, T5Encoder, shared_table, t5, text_inputs
from ssljax.nets.apply import known_vocab
from ssljax.recipes import OfTexts
from ssljax.views import corrupt_spans


@dataclass(frozen=True, kw_only=True)
class T5(OfTexts):
    """T5 with the paper's spans, by default of the small size; the decoder is as deep."""

    encoder: T5Encoder = t5("small")
    density: float = 0.15
    """Share of the tokens that is cut out."""
    span: float = 3.0
    """Mean length of a span."""
    eos: int = 3

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        key_encoder, key_decoder = jax.random.split(key)
        encoder, stats = nets.init(self.encoder, key_encoder, text_inputs(batch))
        past = jnp.zeros((1, 2, self.encoder.width))
        inputs = {"table": shared_table(encoder)[:1], "past": past, "seen": past[..., 0] == 0}
        decoder, _ = nets.init(self._decoder, key_decoder, jnp.zeros((1, 2), jnp.int32), **inputs)
        return {"encoder": encoder, "decoder": decoder}, {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_spans, key_net = jax.random.split(key)
        keys = jax.random.split(key_spans, len(batch["tokens"]))
        logits, target, weight = self._predict(params, batch, keys, key_net)
        value = weighted_mean(token_nll(logits, target), weight)
        right = weighted_mean(jnp.argmax(logits, axis=-1) == target, weight)
        return value, (extra, {"perplexity": jnp.exp(value), "accuracy": right})

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats and accuracy a target token; the spans of a row are a function of its index."""
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(batch["index"])
        logits, target, weight = self._predict(state.params, batch, keys, None)
        right = jnp.argmax(logits, axis=-1) == target
        return {
            "loss": row_sums(token_nll(logits, target), weight),
            "accuracy": row_sums(right, weight),
        }

    def _predict(
        self, params: Any, batch: Batch, keys: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(logits [B, T, V], targets, weights [B, T]); without a key no dropout."""
        sizes = jnp.sum(batch["segments"] > 0, axis=1)
        cut = partial(corrupt_spans, density=self.density, mean=self.span, eos=self.eos)
        cut = partial(cut, sentinel=known_vocab(self.encoder.vocab, "T5Encoder") - 1)
        rows = jax.vmap(cut)(keys, batch["tokens"], sizes)
        seen = jnp.arange(rows.inputs.shape[1]) < rows.input_size[:, None]
        x, training = {"tokens": rows.inputs, "segments": seen.astype(jnp.int32)}, key is not None
        key_encoder, key_decoder = (None, None) if key is None else jax.random.split(key)
        run = partial(nets.apply, train=training)
        past, _ = run(
            self.encoder, params["encoder"], {}, x, rngs=_dropout(key_encoder), method="tokens"
        )
        before = jnp.pad(rows.target, ((0, 0), (1, 0)))[:, :-1]
        table = shared_table(params["encoder"])
        inputs = {"table": table, "past": past, "seen": seen, "rngs": _dropout(key_decoder)}
        logits, _ = run(self._decoder, params["decoder"], {}, before, **inputs)
        weight = jnp.arange(rows.target.shape[1]) < rows.target_size[:, None]
        return logits, rows.target, weight & (sizes > 1)[:, None]

    @property
    def networks(self) -> dict[str, Any]:
        """Both networks, by the names of their parameters."""
        return {"encoder": self.encoder, "decoder": self._decoder}

    @property
    def _decoder(self) -> T5Decoder:
        names = ("depth", "heads", "head_width", "hidden", "eps", "dropout", "dtype")
        return T5Decoder(**{name: getattr(self.encoder, name) for name in names})


def _dropout(key: jax.Array | None) -> dict[str, jax.Array] | None:
    return None if key is None else {"dropout": key}
