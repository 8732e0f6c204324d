"""data2vec for images: predict, of hidden patches, what a slowly moving copy makes of the whole.

Baevski, Hsu, Xu, Babu, Gu, Auli, "data2vec: A General Framework for Self-supervised Learning in
Speech, Vision and Language", 2022, arXiv:2202.03555; order and constants as in the authors' code.

    y = LN(mean over the top K blocks of LN(output of the block)),  of the copy, whole image, sg
    L = mean over hidden patches of smooth_l1(head(encoder(masked image)), y), beta 2
    after update k:  target <- tau target + (1 - tau) encoder

LN has neither scale nor bias. Blocks of patches are hidden, as in BEiT (views/masks.py). The online
encoder is what is evaluated. Differs from the authors' ViT: learned absolute positions in place of
a relative bias that all blocks share; no stochastic depth, attention dropout or layer scale.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.masked import layer_targets, masked_smooth_l1
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, ViT, vit
from ssljax.recipes import OfImages
from ssljax.views import ImageView, block_masks, crop_and_flip, hide, view_batch

_JITTER = {"jitter": 1.0, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.0}


@dataclass(frozen=True, kw_only=True)
class Data2Vec(OfImages):
    """data2vec with the authors' settings for ViT-B on ImageNet."""

    lengths = ("ramp",)

    encoder: ViT = vit("base", pool="mean", mask_token=True)
    view: ImageView = replace(crop_and_flip(scale=(0.08, 1.0)), **_JITTER)
    hidden: int = 120
    """Patches of an image that are hidden, at most."""
    smallest: int = 16
    """Smallest area of a block of hidden patches, in patches."""
    top: int = 6
    """Blocks that make the targets, K."""
    beta: float = 2.0
    """Where the loss turns from a parabola into a line."""
    tau: float = 0.9998
    """Decay of the target."""
    tau_start: float = 0.999
    ramp: int | float = 0
    """Updates in which the decay rises from `tau_start` to `tau` along a straight line."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if not 1 <= self.top <= self.encoder.depth:
            raise ValueError(f"top={self.top} of an encoder with {self.encoder.depth} blocks")
        key_encoder, key_head = jax.random.split(key)
        encoder, stats = nets.init(self.encoder, key_encoder, self.view.plain(batch["image"]))
        head, _ = nets.init(self._head, key_head, jnp.zeros((1, self.encoder.width)))
        target = {"params": {"encoder": encoder}, "stats": {"encoder": stats}}
        extra = {"stats": {"encoder": stats}, "target": jax.tree.map(jnp.copy, target)}
        return {"encoder": encoder, "head": head}, extra

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_mask = jax.random.split(key)
        x = view_batch(self.view, key_view, batch["image"])
        mask, target = self._mask(key_mask, x), extra["target"]
        run = partial(nets.apply, self.encoder)
        teacher = target["params"]["encoder"], target["stats"]["encoder"]
        student = params["encoder"], extra["stats"]["encoder"]
        layers, _ = run(*teacher, x, train=False, method="layers")
        tokens, _ = run(*student, x, train=True, method="tokens", mask=mask)
        prediction, _ = nets.apply(self._head, params["head"], {}, tokens[:, 1:], train=True)
        y = layer_targets(layers[-self.top :, :, 1:])
        return masked_smooth_l1(prediction, y, mask, beta=self.beta), (extra, {})

    def _mask(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """Which patches are hidden, bool [B, N]."""
        counts = jnp.full(len(x), self.hidden)
        return block_masks(key, counts, grid=self.encoder.grid(x), smallest=self.smallest)

    @property
    def _head(self) -> MLP:
        return MLP(widths=(self.encoder.width,), norm=False, dtype=self.encoder.dtype)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.linear(k, self.ramp, start=self.tau_start, stop=self.tau)
        target, online = extra["target"], {"encoder": params["encoder"]}
        moved = optax.incremental_update(online, target["params"], 1 - tau)
        return extra | {"target": target | {"params": moved}}

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: the image with its hidden patches; no pixels are predicted."""
        x = self.view.plain(batch["image"])
        shown = hide(x, self._mask(key, x), patch=self.encoder.patch)
        return {"views": self.view.denormalize(shown)[:, None]}
