"""MoCo v3: predict the key of another view among those of the batch; no queue; for ResNet and ViT.

Chen, Xie, He, "An Empirical Study of Training Self-Supervised Vision Transformers", 2021,
arXiv:2104.02057; constants and order of updates as in the authors' code.

    q = h(g(f(x))),    k = g'(f'(x)) without gradient,    ctr(q, k) = 2 T InfoNCE(n(q), n(k); T)
    L = ctr(q1, k2) + ctr(q2, k1),    (f', g') <- m (f', g') + (1 - m)(f, g)
    m(k) = 1 - (1 - m)(1 + cos(pi k / K)) / 2

The average comes after the query passes and before the key passes of step k, that is at the end of
step k - 1; the copy starts equal. Its batch norm has statistics of its own.
ViT: `projector=VIT_PROJECTOR, predictor=VIT_PREDICTOR, temperature=0.2`, sin-cos positions, and
patches embedded by a random layer that is never trained (`freeze_patches`), which keeps it stable.
Differs from the authors' code: the initial weights of a ViT are those of `ssljax.nets.ViT`.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.infonce import info_nce
from ssljax.method import Batch, Method, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfTwoViews
from ssljax.views import ImageView, byol_views, view_pair

_PLAIN = MLP(widths=(4096, 256), hidden_bias=False, output_bias=False)
_NORMED = _PLAIN.clone(output_norm=True, output_affine=False)
VIT_PROJECTOR = _NORMED.clone(widths=(4096, 4096, 256))
VIT_PREDICTOR = _NORMED


@dataclass(frozen=True, kw_only=True)
class MoCoV3(OfTwoViews):
    """MoCo v3 with the authors' defaults for a ResNet-50 on ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = _NORMED
    predictor: MLP = _PLAIN
    views: tuple[ImageView, ImageView] = byol_views()
    """Crops from 8 % of the image on for a ViT; the authors' ResNets have 20 %."""
    temperature: float = 1.0
    tau: float = 0.99
    """Decay of the key network at step 0; it rises to 1 along half a cosine."""
    freeze_patches: bool = False
    """Leave a ViT's patch embedding at its random start."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        chain = self._target | {"predictor": self.predictor}
        params, stats = nets.init_chain(chain, key, self.views[0].plain(batch["image"]))
        if self.freeze_patches and "patch_embed" not in params["encoder"]:
            raise ValueError("freeze_patches is for a ViT: this encoder has no patch embedding")
        target = {"params": params, "stats": stats}
        target = {
            kind: {name: tree[name] for name in self._target} for kind, tree in target.items()
        }
        return params, {"stats": stats, "target": jax.tree.map(jnp.copy, target)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        if self.freeze_patches:
            params = _map_patches(jax.lax.stop_gradient, params)
        views = view_pair(self.views, key, batch["image"])
        chain, target = self._target | {"predictor": self.predictor}, extra["target"]
        (q1, q2), stats = nets.apply_each(chain, params, extra["stats"], views, train=True)
        keys, target_stats = nets.apply_each(
            self._target, target["params"], target["stats"], views, train=True
        )
        k1, k2 = jax.lax.stop_gradient(keys)
        one, other = (info_nce(q, k, temperature=self.temperature) for q, k in ((q1, k2), (q2, k1)))
        value = 2 * self.temperature * (one + other)
        target = {"params": target["params"], "stats": target_stats}
        return value, ({"stats": stats, "target": target}, {})

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.cosine(k + 1, updates, start=self.tau, stop=1.0)
        target, online = extra["target"], {name: params[name] for name in self._target}
        moved = optax.incremental_update(online, target["params"], 1 - tau)
        return extra | {"target": {"params": moved, "stats": target["stats"]}}

    @property
    def _target(self) -> dict[str, Any]:
        """The networks that have a slow copy; the predictor has none."""
        return {"encoder": self.encoder, "projector": self.projector}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        # Without a gradient, weight decay would still shrink them.
        return super().build(_still_patches(tx) if self.freeze_patches else tx, updates=updates)


def _map_patches(f: Any, params: Any) -> Any:
    """Parameters, those of the patch embedding through f."""
    encoder = params["encoder"]
    return params | {"encoder": encoder | {"patch_embed": jax.tree.map(f, encoder["patch_embed"])}}


def _still_patches(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer with updates of zero for the patch embedding."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = tx.update(updates, state, params)
        return _map_patches(jnp.zeros_like, updates), state

    return optax.GradientTransformation(tx.init, update)
