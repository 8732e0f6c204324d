"""Families of methods on what users dealt with one after another: networks of text that read items
in place of words.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import token_nll, weighted_mean
from ssljax.method import Batch, PyTree, State
from ssljax.nets import GPT2
from ssljax.recipes_interactions import Ranks


@dataclass(frozen=True, kw_only=True)
class OfSequences(Ranks):
    """What a user will see next: a network of text reads her last items in place of words.

    Item i is word i + 1, since 0 fills up, and the last word of all stands for a hidden item. A
    score is the product of a state of the network and the embedding of the item.
    """

    encoder: Any
    """A `GPT2`, or a `Bert`; an open `vocab` follows from the data."""

    def filled(self, data: Any) -> Self:
        if (here := getattr(data, "catalogue", None)) is None:
            return self
        items, encoder = self.items or len(here.items), self.encoder
        if encoder.vocab is None:
            encoder = encoder.clone(vocab=items + 2)
        return replace(self, items=items, encoder=encoder)

    def check(self, data: Any) -> None:
        if "sequence" not in data.spec:
            raise ValueError(
                "this method learns what comes next: use data interactions:PATH, read by "
                'Interactions(learn="next", split="last")'
            )

    @property
    def hidden_item(self) -> int:
        """The word that stands for it."""
        return (self.items or 0) + 1

    @staticmethod
    def words(batch: Batch) -> jax.Array:
        """The items of each row as words, int [B, L], 0 where there are none."""
        return jnp.where(batch["real"], batch["sequence"] + 1, 0)

    def inputs(self, batch: Batch) -> PyTree:
        """All but the oldest item of a row: those after which the next one is asked for."""
        return self.read(self.words(batch)[:, 1:])

    @staticmethod
    def read(words: jax.Array) -> dict[str, jax.Array]:
        """Words as the encoder takes them."""
        return {"tokens": words, "segments": (words > 0).astype(jnp.int32)}

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        params, _ = nets.init(self.encoder, key, self.inputs(batch))
        return {"encoder": params}, {"stats": {"encoder": {}}}

    def states(self, params: PyTree, words: jax.Array, key: jax.Array | None) -> jax.Array:
        """[B, L, D] of words int [B, L]; without a key no dropout."""
        rngs = None if key is None else {"dropout": key}
        options = {"train": key is not None, "rngs": rngs, "method": "tokens"}
        return nets.apply(self.encoder, params["encoder"], {}, self.read(words), **options)[0]

    def embed(self, state: State, batch: Batch) -> jax.Array:
        """The state [B, D] that the next item is told from."""
        return self.states(state.params, self.inputs(batch)["tokens"], None)[:, -1]

    def embeddings(self, params: PyTree) -> jax.Array:
        """Those of the items [items, D]."""
        return nets.word_table(params["encoder"])[1 : self.hidden_item]

    def item_vectors(self, state: State) -> jax.Array:
        return self.embeddings(state.params)

    def scores(self, state: State, batch: Batch) -> jax.Array:
        return self.embed(state, batch) @ self.embeddings(state.params).T


@dataclass(frozen=True, kw_only=True)
class OfFollowing(OfSequences):
    """Each item is told from those before it, by a network in which nothing sees what is later."""

    encoder: GPT2 = GPT2(
        vocab=None,
        width=64,
        depth=2,
        heads=1,
        length=50,
        hidden=64,
        activation="relu",
        dropout=0.2,
        attention_dropout=0.2,
    )
    loss_over: Literal["drawn", "all"] = "drawn"
    """What the next item is told from: items that are drawn, or all there are."""

    def following(self, params: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
        """The mean over all items but the first of a row, scalar:

            -log sigmoid(r(i)) - sum over items j drawn of log(1 - sigmoid(r(j)))       "drawn"
            -log softmax(r)(i)                                                          "all"

        r(j): the product of the state before and the embedding of item j.
        """
        states = self.states(params, self.words(batch)[:, :-1], key)
        table, target = self.embeddings(params), batch["sequence"][:, 1:]
        if self.loss_over == "all":
            each = token_nll(states @ table.T, target)
        elif self.loss_over == "drawn":
            right = jnp.sum(states * table[target], axis=-1)
            wrong = jnp.einsum("bld,blkd->blk", states, table[batch["negative"]])
            each = jax.nn.softplus(-right) + jnp.sum(jax.nn.softplus(wrong), axis=-1)
        else:
            raise ValueError(f"loss_over {self.loss_over!r}: choose drawn or all")
        return weighted_mean(each, batch["real"][:, :-1])
