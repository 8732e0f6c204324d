"""Jigsaw: say which of a few permutations the tiles of an image have been put through.

Noroozi, Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", 2016,
arXiv:1603.09246.

    h_i = projector(encoder(tile_pi(i))),  i = 1..9,     L = CE(head([h_1 ... h_9]), number of pi)

One network sees each tile by itself; only the head sees all nine. The permutations are chosen one
by one, each the farthest from those before in Hamming distance (`permutations`). Tiles lie at
random in their cells and are standardised one by one, so that neither edges nor brightness give the
place away; some images are grey. Differs from the paper: colours are not shifted by a few pixels,
and the set starts from the identity in place of a random permutation.
"""

import functools
import itertools
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, plain_only, standardize, tiles, view_batch


@dataclass(frozen=True, kw_only=True)
class Jigsaw(OfImages):
    """Jigsaw with the paper's tiles: 64 of 75 pixels, nine of them, out of an image of 225."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(512,))
    """What the encoder says of one tile, made short."""
    hidden: int = 4096
    """Width of the head between the nine tiles and the permutations."""
    view: ImageView = replace(
        plain_only(size=225), scale=((225 / 256) ** 2, (225 / 256) ** 2), grayscale=0.3
    )
    grid: int = 3
    tile: int = 64
    """Side of a tile in pixels, cut at random from its cell of the grid."""
    count: int = 1000
    """Permutations to choose from."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        first, second = jax.random.split(key)
        x = jax.eval_shape(self._tiles, self.view.plain(batch["image"]), None)
        x = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
        params, stats = nets.init_chain(self.chain, first, x)
        h = jnp.zeros((1, self.grid**2 * self.projector.widths[-1]))
        params["head"], stats["head"] = nets.init(self._head, second, h)
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_tiles, key_order = jax.random.split(key, 3)
        x = self._tiles(view_batch(self.view, key_view, batch["image"]), key_tiles)
        orders = jnp.asarray(permutations(self.count, self.grid**2))
        which = jax.random.randint(key_order, (len(x),), 0, self.count)
        x = jnp.take_along_axis(x, orders[which][:, :, None, None, None], axis=1)
        logits, stats = self._solve(params, extra["stats"], x, train=True)
        value, accuracy = classification(logits, which)
        return value, ({"stats": stats}, {"accuracy": accuracy})

    def answer(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, count]` of the permutations that the tiles of each image seem to be in."""
        x = self._tiles(self.view.plain(batch["image"]), None)
        return self._solve(state.params, state.extra["stats"], x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: the tiles of each image, in their places."""
        x = view_batch(self.view, key, batch["image"])
        cut = functools.partial(tiles, grid=self.grid, size=self.tile)
        return {"views": self.view.denormalize(jax.vmap(cut)(x))}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    @property
    def _head(self) -> MLP:
        return MLP(widths=(self.hidden, self.count))

    def _tiles(self, images: jax.Array, key: jax.Array | None) -> jax.Array:
        """[B, S, S, C] -> standardised tiles [B, grid^2, tile, tile, C]."""

        def cut(key: jax.Array | None, image: jax.Array) -> jax.Array:
            return tiles(image, grid=self.grid, size=self.tile, key=key)

        if key is None:
            return standardize(jax.vmap(functools.partial(cut, None))(images))
        return standardize(view_batch(cut, key, images))

    def _solve(self, params: Any, stats: Any, x: jax.Array, *, train: bool) -> tuple:
        """Tiles [B, N, t, t, C] -> (logits [B, count], new stats)."""
        b, n = x.shape[:2]
        x = x.reshape(b * n, *x.shape[2:])
        h, stats = nets.apply_chain(self.chain, params, stats, x, train=train)
        h = h.reshape(b, -1)
        return nets.apply_chain({"head": self._head}, params, stats, h, train=train)


@functools.cache
def permutations(count: int, places: int) -> np.ndarray:
    """`count` permutations of `places` places, int8 [count, places], far from each other.

    The paper's greedy choice: the next one has the largest sum of Hamming distances to those
    chosen. Many tie, so among them the largest smallest distance counts, then the first in order.
    Raises: ValueError where there are fewer permutations.
    """
    every = np.array(list(itertools.permutations(range(places))), np.int8)
    if not 1 <= count <= len(every):
        raise ValueError(f"{places} tiles have {len(every)} permutations, not {count}")
    chosen = [0]
    total = np.zeros(len(every), np.int32)
    smallest = np.full(len(every), places + 1, np.int32)
    while len(chosen) < count:
        distance = np.sum(every != every[chosen[-1]], axis=1)
        total += distance
        smallest = np.minimum(smallest, distance)
        # A chosen one has distance zero to itself and never wins again.
        score = np.where(smallest > 0, total * (places + 1) + smallest, -1)
        chosen.append(int(np.argmax(score)))
    return every[chosen]
