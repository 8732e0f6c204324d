"""RotNet: tell by how many quarters of a turn an image was rotated; whoever can, knows its content.

Gidaris, Singh, Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations",
2018, arXiv:1803.07728.

    L = 1/4 sum over y in {0, 1, 2, 3} of CE(F(rot(view(x), 90 y)), y)

All four rotations of one view are in the batch, as the paper found best: it holds 4B images. Turns
are counter-clockwise, as in the authors' code. Differs in the network: theirs are AlexNet and
network in network, whose middle layers are evaluated; here `embed` is the last.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import IMAGENET_MEAN, IMAGENET_STD, ImageView, plain_only, view_batch

TURNS = 4


@dataclass(frozen=True, kw_only=True)
class Rotation(OfImages):
    """RotNet with the paper's crops for ImageNet: 224 pixels out of 256, mirrored half the time."""

    encoder: Any = ResNet(depth=50)
    head: MLP = MLP(widths=(TURNS,))
    """Logits of the four rotations; linear by default."""
    view: ImageView = replace(
        plain_only(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD),
        scale=((224 / 256) ** 2, (224 / 256) ** 2),
        flip=0.5,
    )

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if self.head.widths[-1] != TURNS:
            raise ValueError(f"the head must end with {TURNS} logits, not {self.head.widths[-1]}")
        params, stats = nets.init_chain(self.chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = rotations(view_batch(self.view, key, batch["image"]))
        b, n = x.shape[:2]
        logits, stats = nets.apply_chain(
            self.chain, params, extra["stats"], x.reshape(b * n, *x.shape[2:]), train=True
        )
        turns = jnp.broadcast_to(jnp.arange(n), (b, n))
        value, accuracy = classification(logits.reshape(b, n, -1), turns)
        return value, ({"stats": stats}, {"accuracy": accuracy})

    def answer(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, 4]` of the number of quarter turns that each image seems to have."""
        x = self.view.plain(batch["image"])
        stats = state.extra["stats"]
        return nets.apply_chain(self.chain, state.params, stats, x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report."""
        x = view_batch(self.view, key, batch["image"])
        return {"views": self.view.denormalize(rotations(x))}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "head": self.head}


def rotations(images: jax.Array) -> jax.Array:
    """Square images [B, S, S, C] turned by 0, 90, 180, 270 degrees: [B, 4, S, S, C]."""
    return jnp.stack([jnp.rot90(images, k, axes=(1, 2)) for k in range(TURNS)], axis=1)
