"""Relative patch location: given two patches of an image, say on which side of one the other lies.

Doersch, Gupta, Efros, "Unsupervised Visual Representation Learning by Context Prediction", 2015,
arXiv:1505.05192.

    L = CE(head([f(centre), f(neighbour)]), place of the neighbour),    places:  0 1 2
                                                                                 3   4
                                                                                 5 6 7

All eight neighbours of one centre in an image are in the batch, so every place is equally frequent.
Gaps of half a patch and jitter hide edges that go on across a border; a single channel or a
projection of the colours hides how lenses bend them. Differs from the paper: patches are not
sometimes made coarse, and only the centre comes first in a pair.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import (
    ImageView,
    one_channel,
    patches,
    plain_only,
    standardize,
    view_batch,
    without_green,
)

PLACES = (0, 1, 2, 3, 5, 6, 7, 8)  # of nine patches row by row, all but the centre


@dataclass(frozen=True, kw_only=True)
class RelativePatch(OfImages):
    """Context prediction with the paper's patches: 96 pixels, gaps of 48, jitter of 7."""

    encoder: Any = ResNet(depth=50)
    head: MLP = MLP(widths=(4096, 4096, 8))
    """Sees the features of both patches; eight logits."""
    view: ImageView = replace(plain_only(size=480), scale=(0.7, 1.0))
    patch: int = 96
    """Side of a patch in pixels."""
    gap: int = 48
    """Pixels between the two patches."""
    jitter: int = 7
    """Pixels by which a patch may be moved at random."""
    colour: Literal["drop", "project", "keep"] = "drop"
    """Keep one channel of a patch and noise for the others, project green to magenta out, or
    neither."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if self.colour not in ("drop", "project", "keep"):
            raise ValueError(f"no colour {self.colour!r}: choose 'drop', 'project' or 'keep'")
        if self.head.widths[-1] != len(PLACES):
            raise ValueError(f"the head must end with 8 logits, not {self.head.widths[-1]}")
        first, second = jax.random.split(key)
        x = jnp.zeros((1, self.patch, self.patch, batch["image"].shape[-1]))
        params, stats = nets.init_chain({"encoder": self.encoder}, first, x)
        features = jax.eval_shape(
            lambda p, s: nets.apply(self.encoder, p, s, x, train=False)[0],
            params["encoder"],
            stats["encoder"],
        )
        pair = jnp.zeros((1, 2 * features.shape[-1]))
        params["head"], stats["head"] = nets.init(self.head, second, pair)
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_cut = jax.random.split(key)
        x = view_batch(self._cut, key_cut, view_batch(self.view, key_view, batch["image"]))
        logits, stats = self._locate(params, extra["stats"], x, train=True)
        places = jnp.broadcast_to(jnp.arange(len(PLACES)), logits.shape[:2])
        value, accuracy = classification(logits, places)
        return value, ({"stats": stats}, {"accuracy": accuracy})

    def answer(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, 8, 8]` of the place of each of the eight patches around the middle one."""
        x = jax.vmap(lambda image: self._cut(None, image))(self.view.plain(batch["image"]))
        return self._locate(state.params, state.extra["stats"], x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: nine patches of each image."""
        x = view_batch(self._patches, key, view_batch(self.view, key, batch["image"]))
        return {"views": self.view.denormalize(x)}

    def _patches(self, key: jax.Array | None, image: jax.Array) -> jax.Array:
        return patches(image, size=self.patch, gap=self.gap, jitter=self.jitter, key=key)

    def _cut(self, key: jax.Array | None, image: jax.Array) -> jax.Array:
        """[S, S, C] -> what the network sees of nine patches [9, p, p, C]; without a key the
        patches are in the middle."""
        place, colour = (None, jax.random.key(0)) if key is None else jax.random.split(key)
        x = self._patches(place, image)
        if self.colour == "drop":
            x = jax.vmap(one_channel)(jax.random.split(colour, len(x)), x)
        elif self.colour == "project":
            x = without_green(x)
        return standardize(x)

    def _locate(self, params: Any, stats: Any, x: jax.Array, *, train: bool) -> tuple:
        """Patches [B, 9, p, p, C] -> (logits [B, 8, 8], new stats)."""
        b, n = x.shape[:2]
        x = x.reshape(b * n, *x.shape[2:])
        h, stats = nets.apply_chain({"encoder": self.encoder}, params, stats, x, train=train)
        h = h.reshape(b, n, -1)
        others = h[:, jnp.array(PLACES)]
        pairs = jnp.concatenate([jnp.broadcast_to(h[:, 4:5], others.shape), others], axis=-1)
        return nets.apply_chain({"head": self.head}, params, stats, pairs, train=train)
