"""LeJEPA: all views of an image meet at the mean of its global ones, and embeddings stay Gaussian.

Balestriero, LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the
Heuristics", 2025, arXiv:2511.08544, algorithm 2.

    z = g(f(crop)),    c = mean of z over the global crops
    L = (1 - w) mean (z - c)^2 + w SIGReg(z of each crop)

There is no teacher, no stop-gradient and no schedule: the Gaussian alone prevents collapse. The
directions of SIGReg are drawn anew in each step.
"""

from dataclasses import dataclass
from typing import Any

import jax

from ssljax import nets
from ssljax.losses.sigreg import directions, invariance, sigreg
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, vit
from ssljax.recipes import OfCrops
from ssljax.views import MultiCrop, lejepa_crops, view_batch


@dataclass(frozen=True, kw_only=True)
class LeJEPA(OfCrops):
    """LeJEPA with the authors' recommendations for ImageNet."""

    encoder: Any = vit("small", any_size=True)
    projector: MLP = MLP(widths=(2048, 2048, 128))
    crops: MultiCrop = lejepa_crops()
    weight: float = 0.05
    """Of SIGReg; the only hyperparameter of the loss."""
    slices: int = 1024
    """Directions of SIGReg."""

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_views, key_slices = jax.random.split(key)
        crops = view_batch(self.crops, key_views, batch["image"])
        z, stats = nets.apply_crops(self.chain, params, extra["stats"], crops, train=True)
        parts = {
            "invariance": invariance(z, global_views=2),
            "sigreg": sigreg(z, directions(key_slices, z.shape[-1], self.slices)),
        }
        value = (1 - self.weight) * parts["invariance"] + self.weight * parts["sigreg"]
        return value, ({"stats": stats}, parts)

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
