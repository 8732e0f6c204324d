"""Colourisation: predict the colours of an image from its lightness.

Zhang, Isola, Efros, "Colorful Image Colorization", 2016, arXiv:1603.08511.

    x = L of Lab,  y = (a, b) of Lab, coarser
    classes:     L = rebalanced cross-entropy over bins of the (a, b) plane (losses/colour.py)
    regression:  L = 1/2 mean |y - yhat|^2 / 110^2                        the paper's equation 1

The encoder sees lightness in all three channels, in `embed` too: whoever uses it elsewhere must
give it that (`ssljax.views.GreyView`). Images of which no pixel has |a| or |b| above 5 do not
count, as in the authors' code. Differs from it: how often a bin is seen is not counted on ImageNet
beforehand, but a running mean over the batches, and bins are those that colours fall into, 260.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses import colour
from ssljax.method import Batch, Metrics, State
from ssljax.nets import PixelHead, ResNet
from ssljax.recipes import OfImages
from ssljax.views import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    GreyView,
    ImageView,
    ab_bins,
    lab_to_rgb,
    plain_only,
    view_batch,
)

_GREY, _SCALE = 5.0, 110.0


@dataclass(frozen=True, kw_only=True)
class Colorization(OfImages):
    """Colourisation with the paper's constants, for a convolutional encoder."""

    encoder: Any = ResNet(depth=50)
    widths: tuple[int, ...] = (512, 256, 128)
    """Of the head that follows the encoder's maps; each doubles their size."""
    view: ImageView = replace(
        plain_only(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD), scale=(0.25, 1.0), flip=0.5
    )
    form: Literal["classes", "regression"] = "classes"
    """Predict a class of colour for each pixel, or its two numbers."""
    grid: int = 10
    """Side of a bin."""
    neighbors: int = 5
    """Bins that share the target of a pixel (10 in the authors' code)."""
    sigma: float = 5.0
    """Width of the Gaussian that spreads a colour over the nearest bins."""
    mix: float = 0.5
    """Share of the uniform distribution in what the weights of the bins invert."""
    decay: float = 0.99
    """Of the running mean of how often each bin is seen."""
    temperature: float = 0.38
    """Of the annealed mean that gives colours."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if self.form not in ("classes", "regression"):
            raise ValueError(f"there is no form {self.form!r}: choose 'classes' or 'regression'")
        first, second = jax.random.split(key)
        x = self.plain_view.plain(batch["image"])
        params, stats = nets.init_chain({"encoder": self.encoder}, first, x)
        maps = jax.eval_shape(partial(self._maps, train=False), params, stats, x)[0]
        params["head"], stats["head"] = nets.init(self._head, second, maps)
        bins = len(ab_bins(self.grid))
        return params, {"stats": stats, "prior": jnp.full(bins, 1 / bins)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        lab = self.plain_view.colour(view_batch(self.view, key, batch["image"]))
        out, stats = self._run(params, extra["stats"], self.plain_view.grey(lab), train=True)
        side = out.shape[1]
        ab = lab[..., 1:].reshape(len(lab), side, lab.shape[1] // side, side, -1, 2).mean((2, 4))
        counted = jnp.any(jnp.abs(lab[..., 1:]) > _GREY, axis=(1, 2, 3))
        prior = jax.lax.stop_gradient(extra["prior"])
        if self.form == "regression":
            square = jnp.sum((ab / _SCALE - out) ** 2, axis=-1)
            value = 0.5 * jnp.mean(square * counted[:, None, None])
        else:
            options = {"neighbors": self.neighbors, "sigma": self.sigma}
            targets = colour.soft_bins(ab, self._bins, **options)
            weights = colour.rebalance(prior, mix=self.mix)
            value = colour.colour_classes(out, targets, weights, counted)
            prior = self.decay * prior + (1 - self.decay) * jnp.mean(targets, axis=(0, 1, 2))
        error = jnp.mean(jnp.sqrt(jnp.sum((self._colours(out) - ab) ** 2, axis=-1)))
        return value, ({"stats": stats, "prior": prior}, {"ab_error": error})

    def answer(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, h, w, Q]` of the bins for each coarse pixel, or its (a, b) `[B, h, w, 2]` in
        units of 110."""
        x = self.plain_view.plain(batch["image"])
        return self._run(state.params, state.extra["stats"], x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: image, lightness, colours by the network."""
        del key
        x = self.view.plain(batch["image"])
        lab = self.plain_view.colour(x)
        ab = self._colours(self.answer(state, batch))
        ab = jax.image.resize(ab, (*lab.shape[:3], 2), "linear")
        grey = jnp.concatenate([lab[..., :1], jnp.zeros_like(ab)], axis=-1)
        painted = jnp.concatenate([lab[..., :1], ab], axis=-1)
        shown = [self.view.denormalize(x), lab_to_rgb(grey), lab_to_rgb(painted)]
        return {"views": jnp.stack(shown, axis=1)}

    @property
    def plain_view(self) -> GreyView:
        """How `embed` prepares an image."""
        return GreyView(view=self.view)

    @property
    def _bins(self) -> jax.Array:
        return jnp.array(ab_bins(self.grid))

    @property
    def _head(self) -> PixelHead:
        outputs = len(ab_bins(self.grid)) if self.form == "classes" else 2
        return PixelHead(outputs=outputs, widths=self.widths)

    def _maps(self, params: Any, stats: Any, x: jax.Array, *, train: bool) -> tuple:
        net = (self.encoder, params["encoder"], stats["encoder"], x)
        maps, moved = nets.apply(*net, train=train, method="maps")
        return maps, stats | {"encoder": moved}

    def _run(self, params: Any, stats: Any, x: jax.Array, *, train: bool) -> tuple:
        """Lightness [B, S, S, 3] -> (logits or colours [B, h, w, ...], new stats)."""
        maps, stats = self._maps(params, stats, x, train=train)
        return nets.apply_chain({"head": self._head}, params, stats, maps, train=train)

    def _colours(self, out: jax.Array) -> jax.Array:
        if self.form == "regression":
            return _SCALE * out
        return colour.annealed_mean(out, self._bins, temperature=self.temperature)
