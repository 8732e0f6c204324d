"""DistMult: a triple is as probable as the sum of the products of its three vectors.

Yang et al., "Embedding Entities and Relations for Learning and Inference in Knowledge Bases", ICLR
2015, arXiv:1412.6575; trained as by Lacroix et al. 2018 (arXiv:1806.07297): against all entities,
with the cube of the norms, and a vector of its own for the way back of each relation.

    s(h, r, t) = sum_d h_d r_d t_d,     s(h, r^-1, t) for the way back
    L = mean [ CE(s(h, r, .), t) + decay n(h, r, t) + CE(s(t, r^-1, .), h) + decay n(t, r^-1, h) ]
    n = sum_d |h_d|^3 + |r_d|^3 + |t_d|^3
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.method import Batch, Metrics
from ssljax.recipes_triples import AgainstAll


@dataclass(frozen=True, kw_only=True)
class DistMult(AgainstAll):
    """DistMult against all entities."""

    def asks(self, entity: jax.Array, relation: jax.Array, *, head: bool) -> jax.Array:
        del head
        return entity * relation

    def modulus(self, vector: jax.Array) -> jax.Array:
        return jnp.abs(vector)

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        del key
        return self.against_all(params, batch), (extra, {})
