"""BERT4Rec: hide some items of a user and tell them from those before and behind.

Sun et al., "BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from
Transformer", CIKM 2019 (arXiv:1904.06690).

    L = sum over hidden items of CE(head(encoder(masked row)), item) / number of hidden items

The next item is one that is hidden behind the last. Differs from the paper: in training there are
no rows of which the last item alone is hidden.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import token_nll, weighted_mean
from ssljax.method import Batch, Metrics, PyTree, State
from ssljax.nets import Bert, TokenHead
from ssljax.recipes_sequences import OfSequences
from ssljax.views import mask_tokens


@dataclass(frozen=True, kw_only=True)
class BERT4Rec(OfSequences):
    """BERT4Rec, with the sizes of the paper."""

    encoder: Bert = Bert(
        vocab=None, width=64, depth=2, heads=2, hidden=256, length=51, types=1, eps=1e-5
    )
    ratio: float = 0.2
    """Share of the items that is hidden."""

    @property
    def head(self) -> TokenHead:
        """From a state to a score for each word."""
        net = self.encoder
        return TokenHead(vocab=net.vocab, activation=net.activation, eps=net.eps, dtype=net.dtype)

    @property
    def networks(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "head": self.head}

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        one, two = jax.random.split(key)
        params, extra = super().init(one, batch)
        states = jnp.zeros((1, 1, self.encoder.width))
        table = nets.word_table(params["encoder"])[:1]
        params["head"], _ = nets.init(self.head, two, states, table=table)
        return params, extra

    def inputs(self, batch: Batch) -> PyTree:
        """All but the oldest item of a row, and one that is hidden behind them."""
        words = self.words(batch)[:, 1:]
        return self.read(jnp.pad(words, ((0, 0), (0, 1)), constant_values=self.hidden_item))

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        key_rows, key_net = jax.random.split(key)
        words, split = self.words(batch), (1.0, 0.0)
        options = {"ratio": self.ratio, "split": split, "mask": self.hidden_item}
        hide = partial(mask_tokens, vocab=self.hidden_item + 1, **options)
        hidden = jax.vmap(hide)(jax.random.split(key_rows, len(words)), words, words > 0)
        states = self.states(params, hidden.tokens, key_net)
        at = hidden.positions
        logits = self.said(params, jnp.take_along_axis(states, at[..., None], axis=1))
        each = token_nll(logits, jnp.take_along_axis(batch["sequence"], at, axis=1))
        return weighted_mean(each, hidden.weight), (extra, {})

    def said(self, params: PyTree, states: jax.Array) -> jax.Array:
        """Scores of all items [..., items] from states [..., D]."""
        table = nets.word_table(params["encoder"])
        logits, _ = nets.apply(self.head, params["head"], {}, states, train=False, table=table)
        return logits[..., 1 : self.hidden_item]

    def scores(self, state: State, batch: Batch) -> jax.Array:
        return self.said(state.params, self.embed(state, batch))
