"""DeepFM: a factorization machine and a network that read the same vectors, added.

Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", IJCAI 2017
(arXiv:1703.04247).

    logit = w_0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> + MLP(dropout(v_1, ..., v_F))
    L = mean cross-entropy of clicks, or mean squared error of ratings

The vectors of both parts are the same. Dropout is on what the network reads, where the paper has it
on its hidden layers.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.method import Batch, PyTree
from ssljax.nets import MLP
from ssljax.recipes_interactions import OfFields


@dataclass(frozen=True, kw_only=True)
class DeepFM(OfFields):
    """DeepFM, with the sizes of RecBole's."""

    width: int = 16
    """Numbers of the vector of a feature."""
    deep: MLP = MLP(widths=(128, 128, 128, 1), norm=False)
    """The network; its last width is 1."""
    dropout: float = 0.2
    """Share of the numbers that the network does not see in training."""

    @property
    def factors(self) -> int:
        return self.width

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        one, two = jax.random.split(key)
        params, extra = super().init(one, batch)
        flat = self.fields(params, batch)[..., 1:].reshape(len(batch["feature"]), -1)
        params["deep"], extra["stats"]["deep"] = nets.init(self.deep, two, flat)
        return params, extra

    def logits(
        self, params: PyTree, stats: PyTree, fields: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, PyTree]:
        linear, stats = super().logits(params, stats, fields, key)
        vectors = fields[..., 1:]
        flat = vectors.reshape(len(vectors), -1)
        if key is not None and self.dropout:
            kept = jax.random.bernoulli(key, 1 - self.dropout, flat.shape)
            flat = jnp.where(kept, flat / (1 - self.dropout), 0.0)
        deep, moved = nets.apply(
            self.deep, params["deep"], stats["deep"], flat, train=key is not None
        )
        return linear + nets.pair_sum(vectors) + deep[:, 0], stats | {"deep": moved}
