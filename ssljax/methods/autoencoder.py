"""Autoencoder: a code from which the image can be drawn again; denoising, if the input is noisy.

Hinton, Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313,
2006; denoising: Vincent, Larochelle, Bengio, Manzagol, "Extracting and Composing Robust Features
with Denoising Autoencoders", ICML 2008.

    L = mean over pixels and batch of BCE(sigmoid(decoder(encoder(x + noise))), x)

Differs from the 2008 paper: Gaussian noise (one of the three kinds of their JMLR article of 2010),
and convolutions. The features are the whole code, flattened where it is a grid: place is what tells
digits apart, and the decoder sees it; a mean over places would lose it.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.reconstruction import bernoulli_nll
from ssljax.method import Batch, Metrics, State, backbone
from ssljax.nets import ConvDecoder, ConvEncoder
from ssljax.recipes import OfImages
from ssljax.views import ImageView, plain_only, view_batch


@dataclass(frozen=True, kw_only=True)
class Autoencoder(OfImages):
    """An autoencoder; the defaults are for 28x28 grey images."""

    encoder: Any = ConvEncoder()
    decoder: Any = ConvDecoder()
    """Its size and channels are those of the images that `view` gives."""
    view: ImageView = plain_only(size=28)
    """The image to draw again; by default nothing about it is random."""
    noise: float = 0.0
    """Standard deviation of the noise on the input, in units of the view; 0: no denoising."""

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        to_view, to_noise = jax.random.split(key)
        x = view_batch(self.view, to_view, batch["image"])
        logits, stats = nets.apply_chain(
            self.chain, params, extra["stats"], self._noisy(to_noise, x), train=True
        )
        target = self.view.denormalize(x)
        value = jnp.mean(bernoulli_nll(logits, target)) / target[0].size
        error = jnp.mean((jax.nn.sigmoid(logits) - target) ** 2)
        return value, ({"stats": stats}, {"pixel_error": error})

    def augment(self, state: State, codes: jax.Array, key: jax.Array, *, scale: float) -> jax.Array:
        """New images near the given ones: codes [B, D] -> [B, H, W, C] in [0, 1].

        The noise in each direction of the code is `scale` times the spread of the codes in it.
        """
        noise = jax.random.normal(key, codes.shape) * jnp.std(codes, axis=0)
        return self.decode(state, codes + scale * noise)

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        """Codes [..., D] -> images [..., H, W, C] in [0, 1]."""
        params, stats = state.params["decoder"], state.extra["stats"]["decoder"]
        return jax.nn.sigmoid(nets.draw(self.decoder, params, stats, codes))

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: input and reconstruction, between images, and near them."""
        x = self.view.plain(batch["image"])
        to_noise, to_codes = jax.random.split(key)
        noisy = self._noisy(to_noise, x)
        seen = nets.apply(self.encoder, *backbone(state), noisy, train=False)[0]
        codes = self.embed(state, batch)
        near = [self.augment(state, codes, k, scale=0.5) for k in jax.random.split(to_codes, 5)]
        return {
            "views": jnp.stack([self.view.denormalize(noisy), self.decode(state, seen)], axis=1),
            "interpolations": self.decode(state, nets.blend(codes, count=7)),
            "augmentations": jnp.stack(near, axis=1),
        }

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "decoder": self.decoder}

    def _noisy(self, key: jax.Array, x: jax.Array) -> jax.Array:
        return x + self.noise * jax.random.normal(key, x.shape) if self.noise else x
