"""Denoising: tell the noise that was added to an image at each of its pixels, by a U-Net.

Brempong et al., "Denoising Pretraining for Semantic Segmentation", 2022, arXiv:2205.11423.

    x' = sqrt(gamma) x + sqrt(1 - gamma) e,  e ~ N(0, 1)        L = mean |decoder(levels(x')) - e|^2

What can tell noise from image at a pixel knows what is around it, so that all levels of the encoder
are trained and not only their mean: it suits masks and boxes. Differs from the paper, which begins
from an encoder trained with labels and keeps the decoder: here both are random at first, and what
later training begins from is the encoder. A network that says 0 everywhere has a loss of 1.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.method import Batch, Metrics, State
from ssljax.nets import ResNet, UNetDecoder
from ssljax.recipes import OfImages
from ssljax.views import IMAGENET_MEAN, IMAGENET_STD, ImageView, view_batch


@dataclass(frozen=True, kw_only=True)
class Denoising(OfImages):
    """Denoising with the paper's noise."""

    encoder: Any = ResNet(depth=50)
    """A network with `levels`."""
    decoder: UNetDecoder = UNetDecoder(classes=3)
    """Its `classes` are the channels of the image; thrown away after pretraining."""
    view: ImageView = ImageView(
        scale=(0.5, 1.0),
        jitter=0.0,
        grayscale=0.0,
        blur=0.0,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
    """The image before the noise, normalised to about 1 as the noise is."""
    gamma: float = 0.95
    """Share of the variance that is the image's."""

    def __post_init__(self) -> None:
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma {self.gamma} must lie in (0, 1)")
        if not hasattr(self.encoder, "levels"):
            raise ValueError(
                f"the decoder reads levels of the encoder, and {type(self.encoder).__name__} has "
                "none: use a ResNet or a UNetEncoder"
            )

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        one, two = jax.random.split(key)
        x = self.inputs(batch)
        if x.shape[-1] != self.decoder.classes:
            raise ValueError(
                f"images of {x.shape[-1]} channels need a decoder with as many classes, not "
                f"{self.decoder.classes}"
            )
        params, stats = {}, {}
        params["encoder"], stats["encoder"] = nets.init(self.encoder, one, x)
        own = params["encoder"], stats["encoder"]
        levels = jax.eval_shape(
            lambda x: nets.apply(self.encoder, *own, x, train=False, method="levels")[0], x
        )
        params["decoder"], stats["decoder"] = nets.init(self.decoder, two, levels)
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        to_view, to_noise = jax.random.split(key)
        x = view_batch(self.view, to_view, batch["image"])
        noise = jax.random.normal(to_noise, x.shape)
        said, stats = self._said(params, extra["stats"], self._noisy(x, noise), train=True)
        return jnp.mean((said - noise) ** 2), ({"stats": stats}, {})

    def _noisy(self, x: jax.Array, noise: jax.Array) -> jax.Array:
        return jnp.sqrt(self.gamma) * x + jnp.sqrt(1 - self.gamma) * noise

    def _said(self, params: Any, stats: Any, x: jax.Array, *, train: bool) -> tuple[jax.Array, Any]:
        own = params["encoder"], stats["encoder"]
        levels, encoder = nets.apply(self.encoder, *own, x, train=train, method="levels")
        own = params["decoder"], stats["decoder"]
        said, decoder = nets.apply(self.decoder, *own, levels, train=train)
        return said, {"encoder": encoder, "decoder": decoder}

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """An image with noise, and without what the network takes for it."""
        x = self.inputs(batch)
        x = self._noisy(x, jax.random.normal(key, x.shape))
        said, _ = self._said(state.params, state.extra["stats"], x, train=False)
        clean = (x - jnp.sqrt(1 - self.gamma) * said) / jnp.sqrt(self.gamma)
        return {"views": self.view.denormalize(jnp.stack([x, clean], axis=1))}
