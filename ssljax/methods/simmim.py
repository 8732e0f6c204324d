"""SimMIM: hide most of an image, and let one linear layer draw the hidden pixels.

Xie, Zhang, Cao, Lin, Bao, Yao, Dai, Hu, "SimMIM: A Simple Framework for Masked Image Modeling",
2021, arXiv:2111.09886; settings as in the authors' code for ViT-B.

    L = mean over hidden pixels of |head(encoder(patches, hidden ones replaced by a token)) - x|

Squares of 32 pixels are hidden, 60 % of them, so a patch cannot be drawn from its neighbours.
Differs from the authors' ViT: learned absolute positions in place of a relative bias that all
blocks share; no stochastic depth and no layer scale.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.masked import masked_mae, patchify, unpatchify
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, ViT, vit
from ssljax.recipes import OfImages
from ssljax.views import ImageView, crop_and_flip, hide, square_masks, view_batch


@dataclass(frozen=True, kw_only=True)
class SimMIM(OfImages):
    """SimMIM with the authors' settings for ViT-B on ImageNet."""

    encoder: ViT = vit("base", pool="mean", mask_token=True)
    view: ImageView = crop_and_flip(scale=(0.67, 1.0))
    square: int = 32
    """Side of a hidden square in pixels."""
    ratio: float = 0.6
    """Fraction of the squares that is hidden, rounded up."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        key_encoder, key_head = jax.random.split(key)
        x = self.view.plain(batch["image"])
        encoder, stats = nets.init(self.encoder, key_encoder, x)
        token = jnp.zeros((1, self.encoder.width))
        head, _ = nets.init(self._head(x), key_head, token)
        return {"encoder": encoder, "head": head}, {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_mask = jax.random.split(key)
        x = view_batch(self.view, key_view, batch["image"])
        mask = self._mask(key_mask, x)
        prediction = self._predict(params, extra["stats"], x, mask)
        value = masked_mae(prediction, patchify(x, self.encoder.patch), mask)
        return value, (extra, {})

    def _mask(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """Which patches are hidden, bool [B, N]."""
        patch = self.encoder.patch
        if self.square % patch:
            raise ValueError(f"squares of {self.square} pixels are not made of {patch}-pixel ones")
        side, grid = self.square // patch, self.encoder.grid(x)
        return square_masks(key, len(x), grid=grid, square=side, ratio=self.ratio)

    def _predict(self, params: Any, stats: Any, x: jax.Array, mask: jax.Array) -> jax.Array:
        """The pixels of all patches, [B, N, D]."""
        encode = partial(nets.apply, self.encoder, train=True, method="tokens")
        tokens, _ = encode(params["encoder"], stats["encoder"], x, mask=mask)
        return nets.apply(self._head(x), params["head"], {}, tokens[:, 1:], train=True)[0]

    def _head(self, x: jax.Array) -> MLP:
        pixels = self.encoder.patch**2 * x.shape[-1]
        return MLP(widths=(pixels,), norm=False, dtype=self.encoder.dtype)

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: the image with its hidden squares, and these drawn."""
        x, patch = self.view.plain(batch["image"]), self.encoder.patch
        mask = self._mask(key, x)
        drawn = self._predict(state.params, state.extra["stats"], x, mask)
        mixed = jnp.where(mask[..., None], drawn, patchify(x, patch))
        drawn = unpatchify(mixed, patch, height=x.shape[1], width=x.shape[2])
        shown = jnp.stack([hide(x, mask, patch=patch), drawn], axis=1)
        return {"views": self.view.denormalize(shown)}
