"""FM: each thing that is known has a vector, and two count together as their vectors agree.

Rendle, "Factorization Machines", ICDM 2010.

    logit = w_0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j

Here i and j are fields: the words of a set, such as genres, are one vector, their mean, and make no
pairs with each other. Trained as LR is.
"""

from dataclasses import dataclass

import jax

from ssljax import nets
from ssljax.method import PyTree
from ssljax.recipes_interactions import OfFields


@dataclass(frozen=True, kw_only=True)
class FM(OfFields):
    """Linear, and in all pairs of fields."""

    width: int = 16
    """Numbers of the vector of a feature."""

    @property
    def factors(self) -> int:
        return self.width

    def logits(
        self, params: PyTree, stats: PyTree, fields: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, PyTree]:
        linear, stats = super().logits(params, stats, fields, key)
        return linear + nets.pair_sum(fields[..., 1:]), stats
