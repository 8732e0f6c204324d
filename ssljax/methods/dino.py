"""DINO: a student follows the softmax of its own moving average, seen on another, larger crop.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021, arXiv:2104.14294;
order of updates as in the authors' code.

    teacher, global crops:     P_t = softmax((t - c) / T_t)
    student, all crops:        L = mean over pairs of different crops of -P_t log softmax(s / T_s)
    after the loss:            c <- 0.9 c + 0.1 mean t           (raw logits, global batch)
    after the update k:        teacher <- m teacher + (1 - m) student,   m from tau to 1 (cosine)

The teacher starts as a copy, runs in training mode on batch statistics of its own, and is what
`embed` evaluates. The prototypes, the last layer, do not move in the first updates.
Differs from the authors' code: T_t warms up per update, not per epoch; no stochastic depth; crops
are bilinear. `targets="sinkhorn"` replaces the centring as DINOv2 does.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.distillation import centred_softmax, cross_view, move_centre
from ssljax.losses.sinkhorn import sinkhorn
from ssljax.method import Batch, Method, Metrics, target_backbone
from ssljax.nets import DINOHead, vit
from ssljax.parts import late
from ssljax.recipes import OfCrops
from ssljax.views import MultiCrop, dino_crops, view_batch


@dataclass(frozen=True, kw_only=True)
class DINO(OfCrops):
    """DINO with the authors' defaults for ImageNet."""

    lengths = ("warmup", "freeze")

    encoder: Any = vit("small", any_size=True)
    head: DINOHead = DINOHead()
    crops: MultiCrop = dino_crops()
    """The teacher sees the two global crops, the student all."""
    targets: Literal["centre", "sinkhorn"] = "centre"
    """How the teacher's logits become targets: less their running mean, or by Sinkhorn-Knopp."""
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    """After its warm-up; above 0.07 training is unstable."""
    warmup_temperature: float = 0.04
    """Where the teacher's temperature starts."""
    warmup: int | float = 0
    """Updates until the teacher's temperature has risen."""
    centre_momentum: float = 0.9
    """Share of the old centre that the running mean of the teacher's logits keeps."""
    tau: float = 0.996
    """Decay of the teacher at update 0; it rises to 1 along half a cosine."""
    freeze: int | float = 1251
    """Updates before the prototypes begin to move: an epoch of ImageNet with a batch of 1024."""

    backbone = staticmethod(target_backbone)

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if self.targets not in ("centre", "sinkhorn"):
            raise ValueError(f"no targets {self.targets!r}: choose 'centre' or 'sinkhorn'")
        params, stats = nets.init_chain(self.chain, key, self.crops.plain(batch["image"]))
        target = {"params": params, "stats": stats}
        extra = {"stats": stats, "target": jax.tree.map(jnp.copy, target)}
        centre = jnp.zeros(self.head.prototypes)
        return params, extra | {"centre": centre, "update": jnp.zeros((), jnp.int32)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        target, update, centre = extra["target"], extra["update"], extra["centre"]
        wide, small = view_batch(self.crops, key, batch["image"])
        head = params["head"]
        frozen = nets.freeze(head["prototypes"], update < self.freeze)
        params = params | {"head": head | {"prototypes": frozen}}
        student, stats = nets.apply_crops(
            self.chain, params, extra["stats"], (wide, small), train=True
        )
        teacher, target_stats = nets.apply_crops(
            self.chain, target["params"], target["stats"], (wide,), train=True
        )
        temperature = schedules.linear(
            update, self.warmup, start=self.warmup_temperature, stop=self.teacher_temperature
        )
        if self.targets == "centre":
            targets = centred_softmax(teacher, centre, temperature=temperature)
        else:
            targets = sinkhorn(teacher / temperature)
        value = cross_view(student, targets, temperature=self.student_temperature)
        extra = extra | {
            "stats": stats,
            "target": target | {"stats": target_stats},
            "centre": move_centre(centre, teacher, momentum=self.centre_momentum),
        }
        # ln K where the teacher says nothing, 0 where it always says the same with certainty.
        entropy = jnp.mean(jnp.sum(jax.scipy.special.entr(targets), axis=-1))
        return value, (extra, {"teacher_entropy": jax.lax.stop_gradient(entropy)})

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
