"""BYOL: predict a slowly moving copy of the network's output for another view, without negatives.

Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", 2020,
arXiv:2006.07733; constants and order of updates as in the authors' code.

    L = mean_i [ l(q(z1), z2') + l(q(z2), z1') ],    l(p, z) = |n(p) - n(z)|^2 = 2 - 2 cos(p, z)
    after the optimizer step number k:  target += (1 - tau)(online - target)
    tau(k) = 1 - (1 - tau_base)(cos(pi k / K) + 1) / 2

The target runs in training mode on the statistics of its own batches; its batch-norm buffers are
its own and not an average of the online ones. It starts from weights of its own, not from a copy.
Differs from the authors' code: the heads start as torch's (`nets.MLP`), theirs a little wider.
"""

from dataclasses import dataclass
from typing import Any

import jax
import optax

from ssljax import nets, schedules
from ssljax.losses.siamese import byol_regression
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfTwoViews
from ssljax.views import ImageView, byol_views, view_pair


@dataclass(frozen=True, kw_only=True)
class BYOL(OfTwoViews):
    """BYOL with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(4096, 256), output_bias=False)
    predictor: MLP = MLP(widths=(4096, 256), output_bias=False)
    views: tuple[ImageView, ImageView] = byol_views()
    """The two views differ in blur and solarization."""
    tau: float = 0.996
    """Decay of the target at step 0; it rises to 1 along half a cosine."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.views[0].plain(batch["image"])
        online, target = jax.random.split(key)
        params, stats = nets.init_chain(self._target | {"predictor": self.predictor}, online, x)
        target_params, target_stats = nets.init_chain(self._target, target, x)
        return params, {"stats": stats, "target": {"params": target_params, "stats": target_stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        stats, target = extra["stats"], extra["target"]
        target_stats = target["stats"]
        chain = self._target | {"predictor": self.predictor}
        predictions, targets = [], []
        # Each view is a pass of its own, so batch norm never mixes the two, as the authors do it.
        for x in view_pair(self.views, key, batch["image"]):
            p, stats = nets.apply_chain(chain, params, stats, x, train=True)
            z, target_stats = nets.apply_chain(
                self._target, target["params"], target_stats, x, train=True
            )
            predictions.append(p)
            targets.append(jax.lax.stop_gradient(z))
        (p1, p2), (z1, z2) = predictions, targets
        value = byol_regression(p1, z2) + byol_regression(p2, z1)
        extra = {"stats": stats, "target": {"params": target["params"], "stats": target_stats}}
        return value, (extra, {})

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.cosine(k, updates, start=self.tau, stop=1.0)
        target, online = extra["target"], {name: params[name] for name in self._target}
        moved = optax.incremental_update(online, target["params"], 1 - tau)
        return extra | {"target": {"params": moved, "stats": target["stats"]}}

    @property
    def _target(self) -> dict[str, Any]:
        """The networks that have a target; the predictor has none."""
        return {"encoder": self.encoder, "projector": self.projector}
