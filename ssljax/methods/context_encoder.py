"""Context encoder: draw the missing centre of an image from what surrounds it (inpainting).

Pathak, Krahenbuhl, Donahue, Darrell, Efros, "Context Encoders: Feature Learning by Inpainting",
2016, arXiv:1604.07379.

    x' = (1 - M) x + M decoder(encoder((1 - M) x)),     M the central square
    L = |x' - x|_1 over M  [ + w softplus(-D(x')),  and for D  softplus(-D(x)) + softplus(D(x')) ]

Differs from the paper: L1 in place of L2; D sees the whole image and not the square alone, so the
seam counts; D and the rest take their steps at the same time, so that one optimizer serves both. In
each term the other player's parameters are constants.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.gan import nonsaturating_discriminator, nonsaturating_generator
from ssljax.losses.reconstruction import masked_l1
from ssljax.method import Batch, Metrics, State
from ssljax.nets import ConvDecoder, ConvEncoder, DiscriminatorHead, DiscriminatorTrunk
from ssljax.recipes import OfImages
from ssljax.views import ImageView, plain_only, view_batch
from ssljax.views.image import CIFAR_MEAN, CIFAR_STD


@dataclass(frozen=True, kw_only=True)
class ContextEncoder(OfImages):
    """Inpainting; the defaults are for 32x32 colour images."""

    encoder: Any = ConvEncoder(widths=(64, 128, 256), code=512, norm=True)
    decoder: Any = ConvDecoder(size=32, channels=3, widths=(256, 128), grid=256, norm=True)
    """Draws a whole image, of which only the hole is used."""
    view: ImageView = plain_only(size=32, mean=CIFAR_MEAN, std=CIFAR_STD)
    """What is to be completed; the hole is filled with its mean, zero."""
    hole: float = 0.5
    """Side of the missing square, as a fraction of the image's."""
    adversarial: float = 0.0
    """Weight of the discriminator's opinion; 0: there is none, and reconstruction alone."""
    discriminator: Any = DiscriminatorTrunk(widths=(32, 64, 128))
    """The network that tells drawn centres from real ones, where `adversarial` is above 0."""
    head: Any = DiscriminatorHead()

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        k1, k2 = jax.random.split(key)
        x = self.view.plain(batch["image"])
        params, stats = nets.init_chain(self.chain, k1, x)
        if self.adversarial:
            d, d_stats = nets.init_discriminator(self._critic, k2, x)
            params, stats = params | {"discriminator": d}, stats | {"discriminator": d_stats}
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = view_batch(self.view, key, batch["image"])
        mask = self.mask(x.shape[1])
        drawn, stats = nets.apply_chain(
            self.chain, params, extra["stats"], jnp.where(mask, 0.0, x), train=True
        )
        error = masked_l1(drawn, x, mask)
        if not self.adversarial:
            return error, ({"stats": stats}, {})
        fake, constant = jnp.where(mask, drawn, x), jax.lax.stop_gradient
        d, d_stats = params["discriminator"], stats["discriminator"]
        to_fool, _ = nets.score(self._critic, constant(d), d_stats, fake)
        of_real, d_stats = nets.score(self._critic, d, d_stats, x)
        of_fake, d_stats = nets.score(self._critic, d, d_stats, constant(fake))
        fooled = nonsaturating_generator(to_fool)
        told = nonsaturating_discriminator(of_real, of_fake)
        metrics = {"l1": error, "fooled_loss": fooled, "discriminator_loss": told}
        value = error + self.adversarial * fooled + told
        return value, ({"stats": stats | {"discriminator": d_stats}}, metrics)

    def complete(self, state: State, batch: Batch) -> jax.Array:
        """Images with the centre drawn anew, [B, H, W, C] in [0, 1]."""
        x = self.view.plain(batch["image"])
        mask, stats = self.mask(x.shape[1]), state.extra["stats"]
        holed = jnp.where(mask, 0.0, x)
        drawn, _ = nets.apply_chain(self.chain, state.params, stats, holed, train=False)
        return self.view.denormalize(jnp.where(mask, drawn, x))

    def mask(self, size: int) -> jax.Array:
        """True in the hole: [1, size, size, 1]."""
        side = max(1, round(self.hole * size))
        start = (size - side) // 2
        inside = (jnp.arange(size) >= start) & (jnp.arange(size) < start + side)
        return (inside[:, None] & inside[None, :])[None, :, :, None]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: the image with its hole, and completed."""
        del key  # nothing is random
        x = self.view.plain(batch["image"])
        holed = self.view.denormalize(jnp.where(self.mask(x.shape[1]), 0.0, x))
        return {"views": jnp.stack([holed, self.complete(state, batch)], axis=1)}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "decoder": self.decoder}

    @property
    def _critic(self) -> dict[str, Any]:
        return {"encoder": self.discriminator, "head": self.head}
