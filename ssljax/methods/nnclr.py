"""NNCLR: SimCLR whose positive is the nearest neighbour of a view among earlier embeddings.

Dwibedi, Aytar, Tompson, Sermanet, Zisserman, "With a Little Help from My Friends", 2021,
arXiv:2104.14548.

    z = g(f(x)),    p = h(z),    nn = the entry of the queue that is closest to n(z), no gradient
    L = 1/2 InfoNCE(nn1, n(p2); T) + 1/2 InfoNCE(nn2, n(p1); T)
    then n(z1) replaces the oldest entries of the queue

Neighbours are compared with the predictions of the batch: the queue gives positives only.
There is no code of the authors; widths are the paper's, views those of solo-learn's NNCLR.
"""

from dataclasses import dataclass
from typing import Any

import jax

from ssljax import nets
from ssljax.losses.infonce import enqueue, fresh_queue, info_nce, nearest
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfTwoViews
from ssljax.views import ImageView, byol_views, view_pair


@dataclass(frozen=True, kw_only=True)
class NNCLR(OfTwoViews):
    """NNCLR with the paper's defaults for ImageNet and a batch of 4096."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 2048, 256), output_norm=True)
    predictor: MLP = MLP(widths=(4096, 256))
    views: tuple[ImageView, ImageView] = byol_views()
    temperature: float = 0.1
    queue: int = 98304
    """Embeddings among which neighbours are sought, a multiple of the batch."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.views[0].plain(batch["image"])
        key_nets, key_queue = jax.random.split(key)
        chain = self.chain | {"predictor": self.predictor}
        params, stats = nets.init_chain(chain, key_nets, x)
        queue = fresh_queue(key_queue, self.queue, self.projector.widths[-1], batch=len(x))
        return params, {"stats": stats, "queue": queue}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        views = view_pair(self.views, key, batch["image"])
        head = {"predictor": self.predictor}
        z, stats = nets.apply_each(self.chain, params, extra["stats"], views, train=True)
        (p1, p2), stats = nets.apply_each(head, params, stats, z, train=True)
        nn1, nn2 = (nearest(each, extra["queue"]["rows"]) for each in z)
        first = info_nce(nn1, p2, temperature=self.temperature)
        second = info_nce(nn2, p1, temperature=self.temperature)
        extra = {"stats": stats, "queue": enqueue(extra["queue"], z[0])}
        return 0.5 * (first + second), (extra, {})

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
