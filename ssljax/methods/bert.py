"""BERT: hide some tokens of a text and predict them from the others.

Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", 2018, arXiv:1810.04805; masks drawn anew each time, as in RoBERTa (Liu et al. 2019,
arXiv:1907.11692).

    L = sum over chosen tokens of CE(head(encoder(masked row)), token) / number of chosen tokens
        + mean CE(pair head, whether B follows A)           with pairs

15% of the tokens are chosen: 80% of those are hidden, 10% replaced at random, 10% left as they are.
Differs from the paper: no pairs by default, as RoBERTa found them of no use; a row holds what the
reader puts into it. RoBERTa is this method with `nets.roberta` and a byte-level vocabulary.
Features are the mean of the tokens.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.losses.language import count_tokens, row_sums, token_nll, unigram, weighted_mean
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, Pooler, TokenHead, bert, text_inputs, word_table
from ssljax.recipes import OfTexts
from ssljax.views import mask_tokens, sentence_pair


@dataclass(frozen=True, kw_only=True)
class BERT(OfTexts):
    """BERT with the paper's masks; special tokens are numbered as `ssljax.data.Text` does."""

    encoder: Any = bert("base")
    """A `Bert`, or another network of tokens that has its embeddings: a `ByteNet`."""
    ratio: float = 0.15
    """Share of the tokens that is chosen."""
    split: tuple[float, float] = (0.8, 0.1)
    """Shares of the chosen tokens that are hidden and replaced at random; the rest stays."""
    whole_words: bool = False
    """Choose whole words; the reader must number them (`Text(words=True)`)."""
    pairs: Literal["none", "next", "order"] = "none"
    """Also tell whether B follows A: next sentence (BERT) or sentence order (ALBERT)."""
    cls: int = 2
    sep: int = 3
    mask: int = 4

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if self.whole_words and "words" not in batch:
            raise ValueError("whole_words needs rows that number their words: --reader.words True")
        keys = jax.random.split(key, 4)
        encoder, stats = nets.init(self.encoder, keys[0], text_inputs(batch))
        states = jnp.zeros((1, 1, self.encoder.width))
        head, _ = nets.init(self.networks["head"], keys[1], states, table=word_table(encoder)[:1])
        params = {"encoder": encoder, "head": head}
        if self.pairs != "none":
            params |= nets.init_chain(self._pair, keys[2], states)[0]
        counts = jnp.zeros(self.encoder.vocab)
        return params, {"stats": {"encoder": stats}, "counts": counts}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_rows, key_pair, key_net = jax.random.split(key, 3)
        keys = jax.random.split(key_rows, len(batch["tokens"]))
        rows, label = self._pairs(key_pair, batch)
        logits, target, weight, states = self._predict(params, rows, keys, key_net)
        value = weighted_mean(token_nll(logits, target), weight)
        floor, common = unigram(extra["counts"], target)
        metrics = {
            "masked_loss": value,
            "perplexity": jnp.exp(value),
            "masked_accuracy": weighted_mean(jnp.argmax(logits, axis=-1) == target, weight),
            "unigram_loss": weighted_mean(floor, weight),
            "unigram_accuracy": weighted_mean(common, weight),
        }
        if label is not None:
            empty = {"pooler": {}, "pair": {}}
            guess, _ = nets.apply_chain(self._pair, params, empty, states, train=True)
            pair, metrics["pair_accuracy"] = classification(guess, label)
            value = value + pair
        real = self._maskable(rows)
        counts = count_tokens(extra["counts"], rows["tokens"], real)
        return value, (extra | {"counts": counts}, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats and accuracy a chosen token; a row's masks are a function of its index."""
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(batch["index"])
        logits, target, weight, _ = self._predict(state.params, batch, keys, None)
        floor, common = unigram(state.extra["counts"], target)
        values = {
            "loss": token_nll(logits, target),
            "masked_accuracy": jnp.argmax(logits, axis=-1) == target,
            "unigram_loss": floor,
            "unigram_accuracy": common,
        }
        return {name: row_sums(value, weight) for name, value in values.items()}

    def _pairs(self, key: jax.Array, batch: Batch) -> tuple[Batch, jax.Array | None]:
        if self.pairs == "none":
            return batch, None
        tokens, segments = batch["tokens"], batch["segments"]
        build = partial(sentence_pair, cls=self.cls, sep=self.sep, swap=self.pairs == "order")
        others = jnp.roll(tokens, 1, axis=0), jnp.roll(segments, 1, axis=0)
        keys = jax.random.split(key, len(tokens))
        made = jax.vmap(build)(keys, tokens, others[0], segments, others[1])
        return {"tokens": made.tokens, "segments": made.segments, "types": made.types}, made.label

    def _maskable(self, rows: Batch) -> jax.Array:
        """Tokens of text, bool [B, L]: neither padding nor special."""
        tokens = rows["tokens"]
        return (rows["segments"] > 0) & (tokens != self.cls) & (tokens != self.sep)

    def _predict(
        self, params: Any, rows: Batch, keys: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """(logits [B, P, V], targets, weights [B, P], states [B, L, D]); no key, no dropout."""
        fields = {"ratio": self.ratio, "split": self.split, "mask": self.mask}
        hide = partial(mask_tokens, vocab=self.encoder.vocab, **fields)
        words = rows["words"] if self.whole_words else None
        hidden = jax.vmap(lambda k, t, m, w: hide(k, t, m, words=w))(
            keys, rows["tokens"], self._maskable(rows), words
        )
        x, training = text_inputs(rows) | {"tokens": hidden.tokens}, key is not None
        rngs = None if key is None else {"dropout": key}
        states, _ = nets.apply(
            self.encoder, params["encoder"], {}, x, train=training, rngs=rngs, method="tokens"
        )
        chosen = jnp.take_along_axis(states, hidden.positions[..., None], axis=1)
        table = word_table(params["encoder"])
        head = self.networks["head"]
        logits, _ = nets.apply(head, params["head"], {}, chosen, train=training, table=table)
        target = jnp.take_along_axis(rows["tokens"], hidden.positions, axis=1)
        return logits, target, hidden.weight, states

    @property
    def networks(self) -> dict[str, Any]:
        """All networks, by the names of their parameters."""
        net = self.encoder
        shared = {"activation": net.activation, "eps": net.eps, "dtype": net.dtype}
        found = {"encoder": net, "head": TokenHead(vocab=net.vocab, **shared)}
        if self.pairs != "none":
            found["pooler"] = Pooler(dtype=net.dtype)
            found["pair"] = MLP(widths=(2,), norm=False, dtype=net.dtype)
        return found

    @property
    def _pair(self) -> dict[str, Any]:
        return {name: self.networks[name] for name in ("pooler", "pair")}
