"""MAE: encode a quarter of the patches, and draw the pixels of the others with a light decoder.

He, Chen, Xie, Li, Dollar, Girshick, "Masked Autoencoders Are Scalable Vision Learners", 2021,
arXiv:2111.06377; start values and loss as in the authors' code.

    L = mean over removed patches of mean_d (decoder(encoder(kept)) - target)^2
    target = (patch - mean) / sqrt(var + 1e-6), var divided by D - 1, of each patch

The encoder sees the kept patches and the class token only. Differs from the authors' code in what
is computed, not in what comes out: the decoder puts no patch back into its place, as positions say
where it is, and predicts removed patches alone. The class token starts near zero, not at 0.02.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.masked import masked_mse, patch_statistics, patchify, unpatchify
from ssljax.method import Batch, Metrics, State
from ssljax.nets import Decoder, ViT, vit
from ssljax.recipes import Drawing, OfImages
from ssljax.views import ImageView, crop_and_flip, random_keep, view_batch


@dataclass(frozen=True, kw_only=True)
class MAE(Drawing, OfImages):
    """MAE with the paper's defaults for ViT-B on ImageNet."""

    encoder: ViT = vit("base", positions="sincos")
    decoder: Decoder = Decoder(width=512, depth=8, heads=16)
    """Thrown away after pretraining."""
    view: ImageView = crop_and_flip(scale=(0.2, 1.0))
    ratio: float = 0.75
    """Fraction of the patches that is removed."""
    normalize: bool = True
    """Predict pixels relative to the mean and the deviation of their patch."""

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_order = jax.random.split(key)
        x = view_batch(self.view, key_view, batch["image"])
        keep, removed = self._split(key_order, x)
        target, _, _ = self._target(x, removed)
        prediction = self.drawn(params, extra["stats"], x, keep, removed)
        value = masked_mse(prediction, target, jnp.ones(removed.shape, bool))
        return value, (extra, {})

    def _split(self, key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Patches that are kept [B, K] and those that are removed [B, N - K]."""
        rows, columns = self.encoder.grid(x)
        n = rows * columns
        order = random_keep(key, len(x), patches=n, keep=n)
        kept, removed = jnp.split(order, [int(n * (1 - self.ratio))], axis=1)
        return kept, removed

    def _target(self, x: jax.Array, removed: jax.Array) -> tuple[jax.Array, Any, Any]:
        """What is predicted [B, M, D], and what was subtracted and divided by."""
        patches = patchify(x, self.encoder.patch)
        target = jnp.take_along_axis(patches, removed[..., None], axis=1)
        mean, deviation = patch_statistics(target) if self.normalize else (0.0, 1.0)
        return (target - mean) / deviation, mean, deviation

    def numbers(self, channels: int) -> int:
        return self.encoder.patch**2 * channels

    def places(self, x: jax.Array) -> jax.Array:
        return nets.sincos_positions(*self.encoder.grid(x), self.decoder.width)

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: what the encoder sees, and the rest drawn to it.

        Mean and deviation of a patch, where they are not predicted, are the true ones.
        """
        x = self.view.plain(batch["image"])
        keep, removed = self._split(key, x)
        _, mean, deviation = self._target(x, removed)
        drawn = self.drawn(state.params, state.extra["stats"], x, keep, removed)
        patches, rows = patchify(x, self.encoder.patch), jnp.arange(len(x))[:, None]
        fills = (jnp.zeros_like(drawn), drawn * deviation + mean)
        size = {"height": x.shape[1], "width": x.shape[2]}
        shown = [
            unpatchify(patches.at[rows, removed].set(fill), self.encoder.patch, **size)
            for fill in fills
        ]
        return {"views": self.view.denormalize(jnp.stack(shown, axis=1))}
