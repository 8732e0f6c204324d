"""Variational autoencoder: an autoencoder whose codes are Gaussians, close to a normal prior.

Kingma, Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114; beta: Higgins et al.,
"beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework", ICLR 2017.

    z = mu(x) + s(x) e,  e ~ N(0, 1)
    L = mean over the batch of [ sum over pixels of BCE(sigmoid(decoder(z)), x)
                                 + beta KL(N(mu, s^2) || N(0, 1)) ],  in nats

with one sample of z for each image. The features are the mean mu. Differs from the paper in its
networks, which were fully connected.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.reconstruction import bernoulli_nll, gaussian_kl
from ssljax.method import Batch, Metrics, State, backbone
from ssljax.nets import ConvDecoder, VariationalEncoder
from ssljax.recipes import OfImages
from ssljax.views import ImageView, plain_only, view_batch


@dataclass(frozen=True, kw_only=True)
class VAE(OfImages):
    """A variational autoencoder; the defaults are for 28x28 grey images."""

    encoder: Any = VariationalEncoder()
    """A network with `posterior`, which gives mean and log variance."""
    decoder: Any = ConvDecoder(grid=32)
    """Its size and channels are those of the images that `view` gives."""
    view: ImageView = plain_only(size=28)
    """The image to draw again; by default nothing about it is random."""
    beta: float = 1.0
    """Weight of the KL divergence: 1 bounds the likelihood, more presses codes into the prior."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(
            {"encoder": self.encoder, "decoder": self.decoder},
            key,
            self.view.plain(batch["image"]),
        )
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        stats = extra["stats"]
        to_view, to_code = jax.random.split(key)
        x = view_batch(self.view, to_view, batch["image"])
        (mean, log_var), encoder = nets.apply(
            self.encoder, params["encoder"], stats["encoder"], x, train=True, method="posterior"
        )
        z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(to_code, mean.shape)
        logits, decoder = nets.apply(
            self.decoder, params["decoder"], stats["decoder"], z, train=True
        )
        distortion = jnp.mean(bernoulli_nll(logits, self.view.denormalize(x)))
        kl = jnp.mean(gaussian_kl(mean, log_var))
        extra = {"stats": {"encoder": encoder, "decoder": decoder}}
        return distortion + self.beta * kl, (extra, {"distortion": distortion, "kl": kl})

    def augment(self, state: State, batch: Batch, key: jax.Array, *, scale: float) -> jax.Array:
        """New images near the given ones, from their posteriors: [B, H, W, C] in [0, 1].

        scale: of the posterior's standard deviation; 1 draws from it.
        """
        x = self.view.plain(batch["image"])
        mean, log_var = nets.apply(
            self.encoder, *backbone(state), x, train=False, method="posterior"
        )[0]
        noise = jax.random.normal(key, mean.shape) * jnp.exp(0.5 * log_var)
        return self.decode(state, mean + scale * noise)

    def sample(self, state: State, key: jax.Array, *, count: int) -> jax.Array:
        """Images of codes from the prior, [count, H, W, C] in [0, 1]."""
        return self.decode(state, jax.random.normal(key, (count, self.encoder.code)))

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        """Codes [..., D] -> the means of pixels [..., H, W, C] in [0, 1]."""
        params, stats = state.params["decoder"], state.extra["stats"]["decoder"]
        return jax.nn.sigmoid(nets.draw(self.decoder, params, stats, codes))

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: reconstructions, between images, near them, from the prior."""
        codes = self.embed(state, batch)
        keys = jax.random.split(key, 6)
        near = [self.augment(state, batch, k, scale=2.0) for k in keys[:5]]
        samples = self.sample(state, keys[5], count=8 * len(codes))
        plain = self.view.denormalize(self.view.plain(batch["image"]))
        return {
            "views": jnp.stack([plain, self.decode(state, codes)], axis=1),
            "interpolations": self.decode(state, nets.blend(codes, count=7)),
            "augmentations": jnp.stack(near, axis=1),
            "samples": samples.reshape(len(codes), 8, *samples.shape[1:]),
        }
