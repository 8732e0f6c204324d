"""MoCo v2: find an image's key, made by a slow copy of the network, among a queue of older keys.

Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive Learning", 2020,
arXiv:2003.04297; He et al., "Momentum Contrast", 2019, arXiv:1911.05722.

    q = n(f_q(x1)),    k = n(f_k(x2)) without gradient
    L = mean of -log softmax([q k, q u_1, ..., q u_K] / T)_0,    u the queue before this batch
    then the batch's keys replace the oldest of the queue;   f_k <- m f_k + (1 - m) f_q

The key network starts as a copy; the average is over parameters, its batch norm has statistics of
its own. Batch norm works on `groups` parts of the batch, and keys are shuffled among the groups:
else query and key could be matched by what their batch has in common. This is the authors' 8
devices with 32 images each; groups = 1 is batch norm over the whole batch, without shuffling.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.infonce import enqueue, fresh_queue, info_nce_queue
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, moco_imagenet, view_pair


@dataclass(frozen=True, kw_only=True)
class MoCoV2(OfImages):
    """MoCo v2 with the authors' defaults for ImageNet and a batch of 256."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 128), norm=False)
    view: ImageView = moco_imagenet()
    """Drawn twice for each image, for the query and for the key."""
    temperature: float = 0.2
    queue: int = 65536
    """Keys that are kept, a multiple of the batch."""
    tau: float = 0.999
    """Decay of the key network."""
    groups: int = 8
    """Parts of the batch with a batch norm of their own."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.view.plain(batch["image"])
        if self.groups < 1 or len(x) % self.groups:
            raise ValueError(f"groups {self.groups} must divide the batch of {len(x)}")
        key_nets, key_queue = jax.random.split(key)
        params, stats = nets.init_chain(self.chain, key_nets, x)
        target = jax.tree.map(jnp.copy, {"params": params, "stats": stats})
        queue = fresh_queue(key_queue, self.queue, self.projector.widths[-1], batch=len(x))
        return params, {"stats": stats, "target": target, "queue": queue}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_views, key_shuffle = jax.random.split(key)
        queries, keys = view_pair((self.view, self.view), key_views, batch["image"])
        q, stats = nets.apply_groups(
            self.chain, params, extra["stats"], queries, groups=self.groups
        )
        order = jnp.arange(len(keys))
        if self.groups > 1:  # elsewhere it would only move images between devices
            order = jax.random.permutation(key_shuffle, order)
            keys = keys[order]
        target = extra["target"]
        k, target_stats = nets.apply_groups(
            self.chain, target["params"], target["stats"], keys, groups=self.groups
        )
        k = k[jnp.argsort(order)] if self.groups > 1 else k
        value = info_nce_queue(q, k, extra["queue"]["rows"], temperature=self.temperature)
        target = {"params": target["params"], "stats": target_stats}
        return value, ({"stats": stats, "target": target, "queue": enqueue(extra["queue"], k)}, {})

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        # The authors do this before the next key pass, with the same result.
        target = extra["target"]
        moved = optax.incremental_update(params, target["params"], 1 - self.tau)
        return extra | {"target": {"params": moved, "stats": target["stats"]}}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
