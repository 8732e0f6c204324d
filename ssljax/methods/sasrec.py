"""SASRec: tell each item of a user from those before it, by attention over her last ones.

Kang, McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (arXiv:1808.09781).

    r_t(j) = <state_t, e_j>,  state_t of the items up to t,  e_j the embedding of item j
    L = mean_t  -log sigmoid(r_t(i_(t+1))) - sum over items j drawn of log(1 - sigmoid(r_t(j)))

or, with loss_over "all", the mean of -log softmax(r_t)(i_(t+1)) over all items. Items are drawn
evenly from those that the user has nothing to do with. Differs from the paper: the network is our
GPT-2, which has its norms before queries, keys and values alike, a projection behind attention, and
embeddings that are not scaled; positions count from the first item of a row, not back from the
last.
"""

from dataclasses import dataclass

import jax

from ssljax.method import Batch, Metrics, PyTree
from ssljax.recipes_sequences import OfFollowing


@dataclass(frozen=True, kw_only=True)
class SASRec(OfFollowing):
    """SASRec, with the sizes of the paper: two blocks, as wide inside as outside."""

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        return self.following(params, batch, key), (extra, {})
