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
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.masked import masked_mse, patch_statistics, patchify, unpatchify
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, Decoder, ViT, vit
from ssljax.recipes import OfImages
from ssljax.views import ImageView, crop_and_flip, random_keep, view_batch


@dataclass(frozen=True, kw_only=True)
class MAE(OfImages):
    """MAE with the paper's defaults for ViT-B on ImageNet."""

    encoder: ViT = vit("base", positions="sincos")
    decoder: Decoder = Decoder(width=512, depth=8, heads=16)
    """Thrown away after pretraining."""
    view: ImageView = crop_and_flip(scale=(0.2, 1.0))
    ratio: float = 0.75
    """Fraction of the patches that is removed."""
    normalize: bool = True
    """Predict pixels relative to the mean and the deviation of their patch."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        key_nets, *keys = jax.random.split(key, 4)
        x = self.view.plain(batch["image"])
        params, stats = nets.init(self.encoder, keys[0], x)
        tokens = jnp.zeros((1, 1, self.encoder.width))
        place = jnp.zeros((1, 1, self.decoder.width))
        decoder, _ = nets.init(self.decoder, keys[1], tokens, places=place, wanted=place)
        head, _ = nets.init(self._head(x), keys[2], place)
        params = {"encoder": params, "decoder": decoder, "head": head}
        return nets.xavier(key_nets, params), {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_order = jax.random.split(key)
        x = view_batch(self.view, key_view, batch["image"])
        keep, removed = self._split(key_order, x)
        target, _, _ = self._target(x, removed)
        prediction = self._predict(params, extra["stats"], x, keep, removed)
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

    def _predict(
        self, params: Any, stats: Any, x: jax.Array, keep: jax.Array, removed: jax.Array
    ) -> jax.Array:
        """Predictions [B, M, D] for the removed patches."""
        encode = partial(nets.apply, self.encoder, train=True, method="tokens")
        tokens, _ = encode(params["encoder"], stats["encoder"], x, keep=keep)
        table = nets.sincos_positions(*self.encoder.grid(x), self.decoder.width)
        places = jnp.pad(table[keep], ((0, 0), (1, 0), (0, 0)))  # that of the class token is zero
        decode = partial(nets.apply, self.decoder, places=places, wanted=table[removed], train=True)
        drawn, _ = decode(params["decoder"], {}, tokens)
        return nets.apply(self._head(x), params["head"], {}, drawn, train=True)[0]

    def _head(self, x: jax.Array) -> MLP:
        pixels = self.encoder.patch**2 * x.shape[-1]
        return self.networks["head"].clone(widths=(pixels,))

    @property
    def networks(self) -> dict[str, Any]:
        """All networks, by the names of their parameters; the head is that for colour images."""
        head = MLP(widths=(3 * self.encoder.patch**2,), norm=False, dtype=self.decoder.dtype)
        return {"encoder": self.encoder, "decoder": self.decoder, "head": head}

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: what the encoder sees, and the rest drawn to it.

        Mean and deviation of a patch, where they are not predicted, are the true ones.
        """
        x = self.view.plain(batch["image"])
        keep, removed = self._split(key, x)
        _, mean, deviation = self._target(x, removed)
        drawn = self._predict(state.params, state.extra["stats"], x, keep, removed)
        patches, rows = patchify(x, self.encoder.patch), jnp.arange(len(x))[:, None]
        fills = (jnp.zeros_like(drawn), drawn * deviation + mean)
        size = {"height": x.shape[1], "width": x.shape[2]}
        shown = [
            unpatchify(patches.at[rows, removed].set(fill), self.encoder.patch, **size)
            for fill in fills
        ]
        return {"views": self.view.denormalize(jnp.stack(shown, axis=1))}
