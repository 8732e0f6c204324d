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
import optax

from ssljax import nets
from ssljax.losses.sigreg import directions, invariance, sigreg
from ssljax.method import Batch, Method, Metrics, State, backbone, from_loss
from ssljax.nets import MLP, vit
from ssljax.views import ImageView, MultiCrop, lejepa_crops, show_crops, view_batch


@dataclass(frozen=True, kw_only=True)
class LeJEPA:
    """LeJEPA with the authors' recommendations for ImageNet."""

    encoder: Any = vit("small", any_size=True)
    projector: MLP = MLP(widths=(2048, 2048, 128))
    crops: MultiCrop = lejepa_crops()
    weight: float = 0.05
    """Of SIGReg; the only hyperparameter of the loss."""
    slices: int = 1024
    """Directions of SIGReg."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.crops.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_views, key_slices = jax.random.split(key)
        crops = view_batch(self.crops, key_views, batch["image"])
        z, stats = nets.apply_crops(self._chain, params, extra["stats"], crops, train=True)
        parts = {
            "invariance": invariance(z, global_views=2),
            "sigreg": sigreg(z, directions(key_slices, z.shape[-1], self.slices)),
        }
        value = (1 - self.weight) * parts["invariance"] + self.weight * parts["sigreg"]
        return value, ({"stats": stats}, parts)

    def embed(self, state: State, batch: Batch) -> jax.Array:
        x = self.plain_view.plain(batch["image"])
        return nets.apply(self.encoder, *backbone(state), x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Pictures for the report."""
        return show_crops(self.crops, key, batch["image"])

    @property
    def plain_view(self) -> ImageView:
        """How `embed` prepares an image; an export does the same."""
        return self.crops.views[0]

    @property
    def _chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        del updates  # nothing in LeJEPA depends on the length of the run
        return from_loss(tx, init=self.init, loss=self.loss, embed=self.embed)
