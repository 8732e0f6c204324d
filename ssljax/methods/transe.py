"""TransE: a relation is a step from the head of a triple to its tail.

Bordes et al., "Translating Embeddings for Modeling Multi-relational Data", NIPS 2013; trained as by
Sun et al. 2019 (arXiv:1902.10197), against wrong triples that weigh themselves.

    s(h, r, t) = margin - |h + r - t|_1
    L = (L_heads + L_tails) / 2, each `losses.knowledge.self_adversarial` with wrong heads or tails

Vectors start evenly within (margin + 2) / width; here both ends are replaced in every step.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.method import Batch, Metrics
from ssljax.recipes_triples import WithNegatives


@dataclass(frozen=True, kw_only=True)
class TransE(WithNegatives):
    """TransE, with the paper's settings of RotatE for what they share."""

    def asks(self, entity: jax.Array, relation: jax.Array, *, head: bool) -> jax.Array:
        return entity - relation if head else entity + relation

    def agree(self, asked: jax.Array, entity: jax.Array) -> jax.Array:
        return self.margin - jnp.sum(jnp.abs(asked - entity), axis=-1)

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        del key
        return self.against_negatives(params, batch), (extra, {})
