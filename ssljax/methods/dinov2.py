"""DINOv2: DINO and iBOT with one head, targets by Sinkhorn-Knopp, and class tokens kept apart.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023, arXiv:2304.07193,
section 4; losses and order of updates as in the authors' code.

    L = DINO(class tokens of all crops) + iBOT(hidden patches)
      + 0.1 * sum over the two global crops of KoLeo(the encoder's class tokens)
    P_t = sinkhorn(t / T_t),  for class tokens of both crops together, and for hidden patches

Half of the global crops have blocks of 10 to 50 % of their patches hidden. The head runs on hidden
patches only, in a buffer that holds the most that a crop may hide.
With an encoder of pool="mean" the mean of the patches stands for the image, in place of the class
token. Differs from the authors' code: no stochastic depth, layer scale or layer-wise learning
rates; while the prototypes rest, theirs have a learning rate of zero, here they are left out as in
DINO.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.distillation import cross_view, masked_patches
from ssljax.losses.koleo import koleo
from ssljax.losses.sinkhorn import sinkhorn
from ssljax.method import Batch, Method, Metrics, target_backbone
from ssljax.nets import DINOHead, ViT, vit
from ssljax.parts import late
from ssljax.recipes import OfCrops
from ssljax.views import (
    MultiCrop,
    block_masks,
    dino_crops,
    hidden_first,
    spread_counts,
    view_batch,
)


@dataclass(frozen=True, kw_only=True)
class DINOv2(OfCrops):
    """DINOv2 with the authors' defaults for ImageNet."""

    lengths = ("warmup", "freeze")

    encoder: ViT = vit("large", any_size=True, mask_token=True)
    head: DINOHead = DINOHead()
    crops: MultiCrop = dino_crops(split=0.32)
    masked: float = 0.5
    """Share of the global crops with hidden patches."""
    ratio: tuple[float, float] = (0.1, 0.5)
    """Fractions of hidden patches, spread evenly over those crops."""
    smallest: int = 4
    """Smallest area of a block of hidden patches."""
    koleo_weight: float = 0.1
    """Weight of the loss that keeps class tokens apart."""
    student_temperature: float = 0.1
    teacher_temperature: float = 0.07
    warmup_temperature: float = 0.04
    """Where the teacher's temperature starts."""
    warmup: int | float = 37_500
    """Updates until the teacher's temperature has risen: 30 of the authors' epochs."""
    tau: float = 0.992
    """Decay of the teacher at update 0; it rises to 1 along half a cosine."""
    freeze: int | float = 1250
    """Updates before the prototypes begin to move."""

    backbone = staticmethod(target_backbone)

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self.chain, key, self.crops.plain(batch["image"]))
        target = {"params": params, "stats": stats}
        extra = {"stats": stats, "target": jax.tree.map(jnp.copy, target)}
        return params, extra | {"update": jnp.zeros((), jnp.int32)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_views, key_counts, key_blocks = jax.random.split(key, 3)
        wide, small = view_batch(self.crops, key_views, batch["image"])
        b, side = len(wide), wide.shape[2] // self.encoder.patch
        x = wide.reshape(-1, *wide.shape[2:])
        counts = spread_counts(
            key_counts, 2 * b, patches=side**2, share=self.masked, ratio=self.ratio
        )
        mask = block_masks(key_blocks, counts, grid=(side, side), smallest=self.smallest)
        index, hidden = hidden_first(mask, max(1, int(side**2 * self.ratio[1])))

        target, update = extra["target"], extra["update"]
        head = params["head"]
        frozen = nets.freeze(head["prototypes"], update < self.freeze)
        params = params | {"head": head | {"prototypes": frozen}}
        student, features, stats = self._logits(params, extra["stats"], x, index, mask)
        student_cls = student[:, 0].reshape(b, 2, -1)
        if small.shape[1]:
            local, stats = nets.apply_crops(self.chain, params, stats, (small,), train=True)
            student_cls = jnp.concatenate([student_cls, local], axis=1)
        teacher, _, target_stats = self._logits(target["params"], target["stats"], x, index, None)

        teacher = teacher / schedules.linear(
            update, self.warmup, start=self.warmup_temperature, stop=self.teacher_temperature
        )
        targets = sinkhorn(teacher[:, 0]).reshape(b, 2, -1)
        patch_targets = sinkhorn(teacher[:, 1:], mask=hidden)
        warm = self.student_temperature
        parts = {
            "cls": cross_view(student_cls, targets, temperature=warm),
            "patch": masked_patches(student[:, 1:], patch_targets, hidden, temperature=warm),
            "koleo": koleo(features[0::2]) + koleo(features[1::2]),
        }
        value = parts["cls"] + parts["patch"] + self.koleo_weight * parts["koleo"]
        extra = extra | {"stats": stats, "target": target | {"stats": target_stats}}
        return value, (extra, parts)

    def _logits(
        self, params: Any, stats: Any, x: jax.Array, index: jax.Array, mask: Any
    ) -> tuple[jax.Array, jax.Array, Any]:
        """Of the global crops: logits [2B, 1 + M, K] of the class token and of the patches at
        index [2B, M], and the class tokens themselves [2B, D].
        """
        encoder = params["encoder"], stats["encoder"]
        tokens, encoder_stats = nets.apply(
            self.encoder, *encoder, x, train=True, method="tokens", mask=mask
        )
        whole = self.encoder.pooled(tokens)
        chosen = jnp.take_along_axis(tokens, index[..., None] + 1, axis=1)
        chosen = jnp.concatenate([whole[:, None], chosen], axis=1)
        logits, head_stats = nets.apply(
            self.head, params["head"], stats["head"], chosen, train=True
        )
        return logits, whole, {"encoder": encoder_stats, "head": head_stats}

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.cosine(k, updates, start=self.tau, stop=1.0)
        moved = optax.incremental_update(params, extra["target"]["params"], 1 - tau)
        return extra | {"target": extra["target"] | {"params": moved}, "update": k + 1}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "head": self.head}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        tx = late(tx, "head/prototypes") if self.freeze else tx
        return super().build(tx, updates=updates)
