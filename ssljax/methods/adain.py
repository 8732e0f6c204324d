"""AdaIN: an image drawn again with the feature moments of another, which is taken to be its style.

Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
arXiv:1703.06868.

    t = AdaIN(f(c), f(s)),   g = decoder(t)
    L = |f(g) - t|^2 / u_L
        + w sum over levels l of [ |mean(f_l(g)) - mean(f_l(s))|^2 + |std ... |^2 ] / u_l
        + |decoder(f(c)) - c|^2 + |decoder(f(s)) - s|^2

Content c and style s are two images of the batch, unpaired. Differs from the paper: f is VGG-19,
trained with labels, there; here encoder and decoder are trained together by the last two terms,
without labels, and in the first two f is a constant. Its maps may then have any size, where those
of VGG are all alike, and so distances of level l are in units of u_l, the mean variance of its maps
over space: otherwise the largest level drowns the content.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.style import adain, moment_distance, moments
from ssljax.method import Batch, Metrics, State
from ssljax.nets import StyleDecoder, StyleEncoder
from ssljax.recipes import OfImages
from ssljax.views import ImageView, plain_only, view_batch


@dataclass(frozen=True, kw_only=True)
class AdaIN(OfImages):
    """Style transfer; the defaults are for 32x32 colour images."""

    encoder: Any = StyleEncoder()
    decoder: Any = StyleDecoder()
    content: Any = plain_only(size=32)
    """View of the image that keeps its content."""
    style: Any = plain_only(size=32)
    """View of the image that gives the style, the next one in the batch."""
    style_weight: float = 1.0
    """Weight of the style loss beside the content loss."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        k1, k2 = jax.random.split(key)
        x = self.content.plain(batch["image"])
        encoder, _ = nets.init(self.encoder, k1, x)
        maps = jax.eval_shape(lambda p, x: self._levels(p, x)[-1], encoder, x)
        decoder, _ = nets.init(self.decoder, k2, maps)
        params = {"encoder": encoder, "decoder": decoder}
        return params, {"stats": {"encoder": {}, "decoder": {}}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        k1, k2 = jax.random.split(key)
        c = view_batch(self.content, k1, batch["image"])
        s = view_batch(self.style, k2, jnp.roll(batch["image"], 1, axis=0))
        maps = self._levels(params["encoder"], jnp.concatenate([c, s]))
        redrawn = self._draw(params["decoder"], maps[-1])
        reconstruction = jnp.mean((redrawn - jnp.concatenate([c, s])) ** 2)

        fixed, maps = jax.lax.stop_gradient((params["encoder"], maps))
        of_c, of_s = zip(*(jnp.split(level, 2) for level in maps), strict=True)
        units = [jnp.mean(moments(level)[1] ** 2) for level in maps]
        t = adain(of_c[-1], of_s[-1])
        of_g = self._levels(fixed, self._draw(params["decoder"], t))
        content = jnp.mean((of_g[-1] - t) ** 2) / units[-1]
        distances = [moment_distance(a, b) for a, b in zip(of_g, of_s, strict=True)]
        style = sum(distance / unit for distance, unit in zip(distances, units, strict=True))
        metrics = {"reconstruction": reconstruction, "content": content, "style": style}
        return reconstruction + content + self.style_weight * style, (extra, metrics)

    def transfer(self, state: State, content: jax.Array, style: jax.Array) -> jax.Array:
        """Views `content` in the style of views `style`: both [B, H, W, C] -> [B, H, W, C] in
        [0, 1].
        """
        encoder, decoder = state.params["encoder"], state.params["decoder"]
        t = adain(self._levels(encoder, content)[-1], self._levels(encoder, style)[-1])
        return self.content.denormalize(self._draw(decoder, t))

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: content, style, and the content in that style."""
        c = self.content.plain(batch["image"])
        s = view_batch(self.style, key, jnp.roll(batch["image"], 1, axis=0))
        pictures = self.content.denormalize(c), self.style.denormalize(s)
        return {"views": jnp.stack([*pictures, self.transfer(state, c, s)], axis=1)}

    @property
    def plain_view(self) -> ImageView:
        """How `embed` prepares an image; an export does the same."""
        return self.content

    def _levels(self, params: Any, x: jax.Array) -> tuple[jax.Array, ...]:
        return nets.apply(self.encoder, params, {}, x, train=True, method="levels")[0]

    def _draw(self, params: Any, maps: jax.Array) -> jax.Array:
        return nets.apply(self.decoder, params, {}, maps, train=True)[0]
