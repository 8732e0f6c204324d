"""SwAV: predict the cluster of one crop from another, where all clusters are equally large.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", 2020,
arXiv:2006.09882; order of operations as in the authors' code.

    at the start of a step:  w_k <- w_k / |w_k|        (no gradient through it)
    z = n(g(f(crop))),    scores = z w^T,    Q_v = sinkhorn([queue_v w^T; scores_v] / eps)
    L = mean over the two assigned crops v, and all other crops u, of -Q_v log softmax(scores_u / T)

The prototypes w do not move in the first updates. The queue holds embeddings, which the present
prototypes score anew. It fills from `queue_start` on and counts once it is full.
Differs from the authors' code: "epochs" are updates here.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.normalize import l2_normalize
from ssljax.losses.prototypes import swav
from ssljax.method import Batch, Method, Metrics, State
from ssljax.nets import MLP, ResNet
from ssljax.parts import late
from ssljax.recipes import OfCrops
from ssljax.views import MultiCrop, multi_crop, simclr_imagenet, view_batch


@dataclass(frozen=True, kw_only=True)
class SwAV(OfCrops):
    """SwAV with the authors' defaults for ImageNet and a batch of 4096."""

    lengths = ("freeze", "queue_start")

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 128))
    crops: MultiCrop = multi_crop(simclr_imagenet(), split=0.14)
    """The two global crops are assigned to prototypes; all crops predict."""
    prototypes: int = 3000
    temperature: float = 0.1
    epsilon: float = 0.05
    """Smoothness of the assignments; too large a value makes them all alike."""
    freeze: int | float = 313
    """Updates before the prototypes begin to move."""
    queue: int = 0
    """Embeddings of each assigned crop that are kept, for small batches (3840 in the paper)."""
    queue_start: int | float = 0
    """Updates before the queue begins to fill; embeddings of an untrained network do harm."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.crops.plain(batch["image"])
        key_nets, key_prototypes = jax.random.split(key)
        params, stats = nets.init_chain(self.chain, key_nets, x)
        dim = self.projector.widths[-1]
        rows = jax.random.normal(key_prototypes, (self.prototypes, dim))
        params["prototypes"] = {"kernel": nets.unit_rows(rows)}
        extra = {"stats": stats, "update": jnp.zeros((), jnp.int32)}
        if self.queue:
            extra["queue"] = jnp.zeros((2, self.queue, dim))
        return params, extra

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        crops = view_batch(self.crops, key, batch["image"])
        z, stats = nets.apply_crops(self.chain, params, extra["stats"], crops, train=True)
        z = l2_normalize(z)
        w = nets.freeze(params["prototypes"]["kernel"], extra["update"] < self.freeze)
        exact = jax.lax.Precision.HIGHEST
        scores = jnp.einsum("bvd,kd->bvk", z, w, precision=exact)
        options: dict[str, Any] = {"epsilon": self.epsilon, "temperature": self.temperature}
        extra = extra | {"stats": stats}
        if not self.queue:
            return swav(scores, **options), (extra, {})
        queue = extra["queue"]
        full = jnp.any(queue[:, -1] != 0)
        queued = jnp.einsum("vqd,kd->vqk", queue, w, precision=exact)
        value = swav(scores, queued, full, **options)
        newest = jnp.swapaxes(jax.lax.stop_gradient(z[:, :2]), 0, 1)
        pushed = jnp.concatenate([newest, queue], axis=1)[:, : self.queue]
        fills = extra["update"] >= self.queue_start
        return value, (extra | {"queue": jnp.where(fills, pushed, queue)}, {})

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        return extra | {"update": k + 1}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        tx = late(tx, "prototypes") if self.freeze else tx
        method = super().build(tx, updates=updates)
        return method._replace(step=partial(_normalised, method.step))


def _normalised(step: Any, state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
    """A step from prototypes of length one."""
    prototypes = {"kernel": nets.unit_rows(state.params["prototypes"]["kernel"])}
    params = state.params | {"prototypes": prototypes}
    return step(replace(state, params=params), batch, key)
