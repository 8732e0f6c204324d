"""Families of methods: what all that read the same kind of input have in common.

A family says what the encoder reads outside training, and so what features are; a method that
inherits from it is left with its networks, its loss and its equations.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.method import Batch, Linear, PyTree, Recipe, State, averaged, check_few, target_backbone
from ssljax.nets import MLP, Decoder, WideResNet
from ssljax.views import (
    ClipView,
    ImageView,
    MultiCrop,
    RandAugment,
    ShiftFlip,
    labelled_weak_strong,
    plain_graph,
    show_crops,
    show_pair,
)


class Encoding(Recipe):
    """Features are what the encoder says of `inputs`."""

    @property
    def chain(self) -> dict[str, Any]:
        """The networks that training runs one after the other, by name."""
        return {"encoder": self.encoder}

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        """The networks of `chain`, and their batch statistics."""
        params, stats = nets.init_chain(self.chain, key, self.inputs(batch))
        return params, {"stats": stats}

    def embed(self, state: State, batch: Batch) -> jax.Array:
        """Features [B, D]."""
        x = self.inputs(batch)
        return nets.apply(self.encoder, *self.backbone(state), x, train=False)[0]


class OfTexts(Encoding):
    """The encoder reads tokens."""

    def inputs(self, batch: Batch) -> PyTree:
        return nets.text_inputs(batch)


class OfSound(Encoding):
    """The encoder reads recordings."""

    def inputs(self, batch: Batch) -> PyTree:
        return nets.audio_inputs(batch)


class OfGraphs(Encoding):
    """The encoder reads a graph, whole or a piece of it."""

    def inputs(self, batch: Batch) -> PyTree:
        return plain_graph(batch)


class OfImages(Encoding):
    """The encoder reads images, prepared by the field `view`."""

    view: ImageView

    @property
    def plain_view(self) -> Any:
        """How an image is prepared outside training; an export does the same."""
        return self.view

    def inputs(self, batch: Batch) -> PyTree:
        return self.plain_view.plain(batch["image"])

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Two random views of each image."""
        return show_pair((self.view, self.view), key, batch["image"])


class OfClips(Encoding):
    """The encoder reads clips of videos, prepared by the field `view`."""

    view: ClipView

    def inputs(self, batch: Batch) -> PyTree:
        return self.view.plain(batch["clip"])

    def check(self, data: Any) -> None:
        if "clip" not in data.spec:
            raise ValueError(
                f"this method learns clips, and the data has {', '.join(data.spec)}: use data "
                "video:PATH, read by Video()"
            )


class Drawing(Encoding):
    """The encoder reads the patches that are kept, and a light decoder draws the others.

    A method says how many `numbers` a patch has and where patches are (`places`).
    """

    decoder: Decoder

    def numbers(self, channels: int) -> int:
        """Of a patch of so many channels."""
        raise NotImplementedError

    def places(self, x: jax.Array) -> jax.Array:
        """Positions of all patches of x for the decoder, [N, width]."""
        raise NotImplementedError

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        key_nets, *keys = jax.random.split(key, 4)
        x = self.inputs(batch)
        params, stats = nets.init(self.encoder, keys[0], x)
        tokens = jnp.zeros((1, 1, self.encoder.width))
        place = jnp.zeros((1, 1, self.decoder.width))
        decoder, _ = nets.init(self.decoder, keys[1], tokens, places=place, wanted=place)
        head, _ = nets.init(self._head(x), keys[2], place)
        params = {"encoder": params, "decoder": decoder, "head": head}
        return nets.xavier(key_nets, params), {"stats": {"encoder": stats}}

    def drawn(
        self, params: PyTree, stats: PyTree, x: jax.Array, keep: jax.Array, removed: jax.Array
    ) -> jax.Array:
        """Predictions [B, M, D] for the removed patches [B, M], from those that are kept [B, K]."""
        encode = partial(nets.apply, self.encoder, train=True, method="tokens")
        tokens, _ = encode(params["encoder"], stats["encoder"], x, keep=keep)
        table = self.places(x)
        # A class token stands before the patches and has no place.
        before = tokens.shape[1] - keep.shape[1]
        places = jnp.pad(table[keep], ((0, 0), (before, 0), (0, 0)))
        decode = partial(nets.apply, self.decoder, places=places, wanted=table[removed], train=True)
        said, _ = decode(params["decoder"], {}, tokens)
        return nets.apply(self._head(x), params["head"], {}, said, train=True)[0]

    def _head(self, x: jax.Array) -> MLP:
        return self.networks["head"].clone(widths=(self.numbers(x.shape[-1]),))

    @property
    def networks(self) -> dict[str, Any]:
        """All networks, by the names of their parameters; the head is that for three channels."""
        head = MLP(widths=(self.numbers(3),), norm=False, dtype=self.decoder.dtype)
        return {"encoder": self.encoder, "decoder": self.decoder, "head": head}


class OfTwoViews(OfImages):
    """The encoder reads images; training draws two views that differ, the field `views`."""

    views: tuple[ImageView, ImageView]

    @property
    def plain_view(self) -> Any:
        return self.views[0]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        return show_pair(self.views, key, batch["image"])


class OfCrops(OfImages):
    """The encoder reads images; training draws large and small crops, the field `crops`."""

    crops: MultiCrop

    @property
    def plain_view(self) -> Any:
        return self.crops.views[0]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        return show_crops(self.crops, key, batch["image"])


@dataclass(frozen=True, kw_only=True)
class OfFewLabels(OfImages):
    """A classifier of images that learns from few labels and a pool without; its moving average is
    what predicts and is evaluated.
    """

    encoder: Any = WideResNet()
    classes: int | None = None
    """Classes to tell apart; None: those of the data."""
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and of the pool."""
    decay: float = 0.999
    """Of the moving average of the weights."""

    backbone = staticmethod(target_backbone)

    @property
    def count(self) -> int:
        """How many classes. Raises: ValueError where that is open."""
        if self.classes is None:
            raise ValueError("classes is open: give its number, or take it from data by `filled`")
        return self.classes

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "head": MLP(widths=(self.count,))}

    def filled(self, data: Any) -> Self:
        if self.classes is not None or data.classes is None:
            return self
        return replace(self, classes=len(data.classes))

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        params, extra = super().init(key, batch)
        return params, extra | {"target": {"params": params, "stats": extra["stats"]}}

    def after(self, params: PyTree, extra: PyTree, k: jax.Array, *, updates: int) -> PyTree:
        del k, updates
        return averaged(params, extra, decay=self.decay)

    def predict(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, classes]` by the moving average."""
        x, average = self.inputs(batch), state.extra["target"]
        return nets.apply_chain(self.chain, average["params"], average["stats"], x, train=False)[0]

    def classifier(self, state: State) -> Linear | None:
        return Linear.of(state.extra["target"]["params"]["head"])

    def check(self, data: Any) -> None:
        check_few(data, classes=self.classes)  # those of the data where they were open

    @property
    def plain_view(self) -> Any:
        return self.weak

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        return show_pair((self.weak, self.weak), key, batch["image"])


@dataclass(frozen=True, kw_only=True)
class OfWeakAndStrong(OfFewLabels):
    """A classifier that learns, of a strong view of the pool, what it is sure of in a weak one."""

    strong: RandAugment = RandAugment()
    """View of the pool that learns labels; the weak one gives them."""
    labels_from: Literal["online", "average"] = "online"
    """The network that gives the labels; the papers' is the one that learns."""

    def logits(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], PyTree]:
        """((labelled [B, K], weak [B r, K] without gradient, strong [B r, K]), new statistics).

        All views go through the network in one pass, so that batch norm sees them together.
        """
        x = labelled_weak_strong((self.weak, self.strong), key, batch)
        teacher = None if self.labels_from == "online" else extra["target"]
        return nets.apply_few(self.chain, params, extra["stats"], x, teacher=teacher)

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        return show_pair((self.weak, self.strong), key, batch["image"])
