"""CL4SRec: SASRec whose state of a user stays itself when her items are cut, hidden or reordered.

Xie et al., "Contrastive Learning for Sequential Recommendation", ICDE 2022 (arXiv:2010.14395).

    L = L_SASRec + weight NT-Xent(s', s''),   s', s'' the last states of two views of a user's items

Each view is one of three, each as likely: a part of the items, some of them hidden, a part of them
in random order. Differs from the paper: states are compared by their cosines over a temperature,
where the paper has plain products.
"""

from dataclasses import dataclass
from functools import partial

import jax

from ssljax.losses.contrastive import nt_xent
from ssljax.method import Batch, Metrics, PyTree
from ssljax.recipes_sequences import OfFollowing
from ssljax.views import view_items


@dataclass(frozen=True, kw_only=True)
class CL4SRec(OfFollowing):
    """CL4SRec, with the views of the paper."""

    weight: float = 0.1
    """Of the contrastive loss."""
    temperature: float = 0.2
    """Of the contrastive loss."""
    crop: float = 0.6
    """Share of the items that a cut keeps."""
    hide: float = 0.3
    """Share of the items that are hidden."""
    reorder: float = 0.6
    """Share of the items that change places."""

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        key_next, *keys = jax.random.split(key, 3)
        following = self.following(params, batch, key_next)
        one, two = (self.view(params, batch, k) for k in keys)
        same = nt_xent(one, two, temperature=self.temperature)
        return following + self.weight * same, (extra, {"following": following, "same": same})

    def view(self, params: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
        """The last state [B, D] of a view of each user's last items."""
        key_views, key_net = jax.random.split(key)
        words = self.inputs(batch)["tokens"]
        shares = {"crop": self.crop, "hide": self.hide, "reorder": self.reorder}
        draw = jax.vmap(partial(view_items, hidden=self.hidden_item, **shares))
        seen = draw(jax.random.split(key_views, len(words)), words)
        return self.states(params, seen, key_net)[:, -1]
