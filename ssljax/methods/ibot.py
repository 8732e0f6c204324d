"""iBOT: DINO on class tokens, and the same distillation for patches hidden from the student.

Zhou et al., "iBOT: Image BERT Pre-Training with Online Tokenizer", 2021, arXiv:2111.07832; losses
and order of updates as in the authors' code.

    L = DINO(class tokens of all crops)
      + mean over global crops of the mean over their hidden patches of -P_t log softmax(s / T_s),
        P_t = softmax((t - c') / T_t) of the same patch of the same crop, which the teacher sees

Class tokens and patches share a head but not a centre; c' is the mean over all patches. Half of the
crops have blocks of 10 to 50 % of their patches hidden, the others none.
With an encoder of pool="mean" the mean of the patches stands for the image, in place of the class
token. Differs from the authors' code: T_t warms up per update, not per epoch; no stochastic depth.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.distillation import centred_softmax, cross_view, masked_patches, move_centre
from ssljax.method import Batch, Method, Metrics, target_backbone
from ssljax.nets import DINOHead, ViT, vit
from ssljax.parts import late
from ssljax.recipes import OfCrops
from ssljax.views import MultiCrop, block_masks, dino_crops, view_batch


@dataclass(frozen=True, kw_only=True)
class IBOT(OfCrops):
    """iBOT with the authors' settings for ViT-S on ImageNet."""

    lengths = ("warmup", "freeze")

    encoder: ViT = vit("small", any_size=True, mask_token=True)
    head: DINOHead = DINOHead(prototypes=8192)
    crops: MultiCrop = dino_crops(split=0.25, local_crops=10)
    masked: float = 0.5
    """Probability that patches of a global crop are hidden."""
    ratio: tuple[float, float] = (0.1, 0.5)
    """Then this fraction of them, uniformly."""
    smallest: int = 16
    """Smallest area of a block of hidden patches."""
    student_temperature: float = 0.1
    teacher_temperature: float = 0.07
    warmup_temperature: float = 0.04
    """Where the teacher's temperature starts."""
    warmup: int | float = 37_530
    """Updates until the teacher's temperature has risen: 30 epochs with a batch of 1024."""
    centre_momentum: float = 0.9
    """Share of the old centre that the running mean of the teacher's logits keeps."""
    tau: float = 0.996
    """Decay of the teacher at update 0; it rises to 1 along half a cosine."""
    freeze: int | float = 1251
    """Updates before the prototypes begin to move."""

    backbone = staticmethod(target_backbone)

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self.chain, key, self.crops.plain(batch["image"]))
        target = {"params": params, "stats": stats}
        zero = jnp.zeros(self.head.prototypes)
        extra = {"stats": stats, "target": jax.tree.map(jnp.copy, target)}
        extra |= {"centre": zero, "patch_centre": jnp.copy(zero)}
        return params, extra | {"update": jnp.zeros((), jnp.int32)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_views, key_masked, key_ratio, key_blocks = jax.random.split(key, 4)
        wide, small = view_batch(self.crops, key_views, batch["image"])
        b, side = len(wide), wide.shape[2] // self.encoder.patch
        x = wide.reshape(-1, *wide.shape[2:])
        hidden = jax.random.uniform(
            key_ratio, (2 * b,), minval=self.ratio[0], maxval=self.ratio[1]
        ) * jax.random.bernoulli(key_masked, self.masked, (2 * b,))
        mask = block_masks(key_blocks, hidden * side**2, grid=(side, side), smallest=self.smallest)

        target, update = extra["target"], extra["update"]
        head = params["head"]
        frozen = nets.freeze(head["prototypes"], update < self.freeze)
        params = params | {"head": head | {"prototypes": frozen}}
        student, stats = self._logits(params, extra["stats"], x, mask)
        student_cls = student[:, 0].reshape(b, 2, -1)
        if small.shape[1]:
            local, stats = nets.apply_crops(self.chain, params, stats, (small,), train=True)
            student_cls = jnp.concatenate([student_cls, local], axis=1)
        teacher, target_stats = self._logits(target["params"], target["stats"], x, None)

        temperature = schedules.linear(
            update, self.warmup, start=self.warmup_temperature, stop=self.teacher_temperature
        )
        cls, patches = teacher[:, 0], teacher[:, 1:]
        targets = centred_softmax(cls, extra["centre"], temperature=temperature)
        targets = targets.reshape(b, 2, -1)
        patch_targets = centred_softmax(patches, extra["patch_centre"], temperature=temperature)
        warm = self.student_temperature
        value_cls = cross_view(student_cls, targets, temperature=warm)
        value_patch = masked_patches(student[:, 1:], patch_targets, mask, temperature=warm)
        m = self.centre_momentum
        extra = extra | {
            "stats": stats,
            "target": target | {"stats": target_stats},
            "centre": move_centre(extra["centre"], cls, momentum=m),
            "patch_centre": move_centre(extra["patch_centre"], patches, momentum=m),
        }
        return value_cls + value_patch, (extra, {"cls": value_cls, "patch": value_patch})

    def _logits(self, params: Any, stats: Any, x: jax.Array, mask: Any) -> tuple[jax.Array, Any]:
        """Logits [2B, 1 + N, K] of all tokens of the global crops."""
        tokens, encoder_stats = nets.apply(
            self.encoder,
            params["encoder"],
            stats["encoder"],
            x,
            train=True,
            method="tokens",
            mask=mask,
        )
        whole = self.encoder.pooled(tokens)[:, None]
        tokens = jnp.concatenate([whole, tokens[:, 1:]], axis=1)
        logits, head_stats = nets.apply(
            self.head, params["head"], stats["head"], tokens, train=True
        )
        return logits, {"encoder": encoder_stats, "head": head_stats}

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
