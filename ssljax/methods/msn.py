"""MSN: a view with patches left out belongs to the same prototypes as another, whole view.

Assran et al., "Masked Siamese Networks for Label-Efficient Learning", 2022, arXiv:2204.07141;
losses and order of updates as in the authors' code.

    anchors: one large crop without 15 % of its patches, ten small crops; target: another large crop
    p = softmax(n(anchor) n(w)^T / 0.1),    p+ = sinkhorn(sharpen(the same of the moving average))
    L = mean -sum_k p+_k log p_k + (ln K - H(mean p))
    after update k:  target <- m target + (1 - m) online,   m = 0.996 + 0.004 k / (1.25 updates)

The prototypes w have no moving average. Batch norm in the projector sees large and small crops
apart, and the target runs in training mode.
Differs from the authors' code: patches are left out for each image anew, not alike for all images
on a device.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.prototypes import msn
from ssljax.method import Batch, Metrics, target_backbone
from ssljax.nets import MLP, ViT, vit
from ssljax.recipes import OfCrops
from ssljax.views import MultiCrop, msn_crops, random_keep, view_batch


@dataclass(frozen=True, kw_only=True)
class MSN(OfCrops):
    """MSN with the authors' settings for ViT-S on ImageNet."""

    encoder: ViT = vit("small", any_size=True)
    projector: MLP = MLP(widths=(2048, 2048, 256), activation="gelu")
    crops: MultiCrop = msn_crops()
    """The first global crop is the target, all others are anchors."""
    drop: float = 0.15
    """Fraction of the patches of the large anchor that are left out."""
    prototypes: int = 1024
    temperature: float = 0.1
    sharpening: float = 0.25
    """Temperature of the targets beyond that of the anchors."""
    weight: float = 1.0
    """Of the regulariser that spreads the anchors over the prototypes."""
    tau: float = 0.996
    """Decay of the target at update 0; it rises along a straight line."""

    backbone = staticmethod(target_backbone)

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        key_nets, key_prototypes = jax.random.split(key)
        x = self.crops.plain(batch["image"])
        params, stats = nets.init_chain(self.chain, key_nets, x)
        target = jax.tree.map(jnp.copy, {"params": params, "stats": stats})
        dim = self.projector.widths[-1]
        rows = jax.random.uniform(key_prototypes, (self.prototypes, dim), minval=-1.0)
        return params | {"prototypes": rows * dim**-0.5}, {"stats": stats, "target": target}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_views, key_keep = jax.random.split(key)
        wide, small = view_batch(self.crops, key_views, batch["image"])
        target, stats = extra["target"], extra["stats"]
        patches = (wide.shape[2] // self.encoder.patch) ** 2
        kept = max(1, int(patches * (1 - self.drop)))
        keep = random_keep(key_keep, len(wide), patches=patches, keep=kept)
        anchor, stats = self._embedded(params, stats, wide[:, 1], keep)
        anchors = anchor[:, None]
        if small.shape[1]:
            local, stats = nets.apply_crops(self.chain, params, stats, (small,), train=True)
            anchors = jnp.concatenate([anchors, local], axis=1)
        z, target_stats = self._embedded(target["params"], target["stats"], wide[:, 0], None)
        value, spread = msn(
            anchors,
            jax.lax.stop_gradient(z),
            params["prototypes"],
            temperature=self.temperature,
            sharpening=self.sharpening,
            weight=self.weight,
        )
        extra = {"stats": stats, "target": target | {"stats": target_stats}}
        return value, (extra, {"regulariser": spread})

    def _embedded(self, params: Any, stats: Any, x: jax.Array, keep: Any) -> tuple[jax.Array, Any]:
        y, encoder_stats = nets.apply(
            self.encoder, params["encoder"], stats["encoder"], x, train=True, keep=keep
        )
        projector = params["projector"], stats["projector"]
        z, projector_stats = nets.apply(self.projector, *projector, y, train=True)
        return z, {"encoder": encoder_stats, "projector": projector_stats}

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.linear(k, round(1.25 * updates), start=self.tau, stop=1.0)
        online = {name: params[name] for name in self.chain}
        moved = optax.incremental_update(online, extra["target"]["params"], 1 - tau)
        return extra | {"target": extra["target"] | {"params": moved}}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
