"""BPR: what a user has chosen scores higher than what she has not, by the product of two vectors.

Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009, with matrix
factorization.

    L = mean -log sigmoid(<u, i+> - <u, i->) + decay (|u|^2 + |i+|^2 + |i-|^2)

Items i- are drawn evenly from those that the user has not chosen; with K of them the first term is
their mean, and the last their sum.
"""

from dataclasses import dataclass

import jax

from ssljax.method import Batch, Metrics, PyTree
from ssljax.recipes_interactions import OfRankings


@dataclass(frozen=True, kw_only=True)
class BPR(OfRankings):
    """Matrix factorization by BPR."""

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        del key
        return self.preferred(params, extra, batch), (extra, {})
