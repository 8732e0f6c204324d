"""From a batch to what a network takes: as it is for labelling, with noise for training.

Each is called with a batch and a random key, or None for the example as it is.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from ssljax.nets import text_inputs
from ssljax.views import (
    ClipView,
    GraphView,
    ImageView,
    MelFrames,
    WaveView,
    moved_about,
    plain_graph,
    view_batch,
)

Batch = dict[str, jax.Array]


class Inputs(Protocol):
    """How a network is shown a batch; a frozen dataclass that subclasses this."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> Any:
        """What the encoder takes, a pytree of arrays [B, ...]: a random view by the key, with None
        the examples as they are."""
        ...

    view: Any = None
    """How an image is prepared, where the input is one: `Recipe.plain_view`."""

    def transform(self, batch: Batch, key: jax.Array) -> jax.Array | None:
        """How `__call__` with the same key moves the picture, float32 [B, 2, 3], for targets that
        move with it (`Target.moved`). None by default: targets stay as they are."""
        return None


@dataclass(frozen=True, kw_only=True)
class ImageInput(Inputs):
    """ "image" uint8 [B, H, W, C] -> a view of it, float [B, size, size, C]."""

    view: ImageView = ImageView()
    """Drawn at random for training."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> jax.Array:
        if key is None:
            return self.view.plain(batch["image"])
        return view_batch(self.view, key, batch["image"])

    def transform(self, batch: Batch, key: jax.Array) -> jax.Array:
        """As `Inputs.transform`. Raises: ValueError for a view that does not say how it moves."""
        if not hasattr(self.view, "transform"):
            raise ValueError(
                f"{type(self.view).__name__} does not say how it moves a picture, and these "
                "targets move with it: use ImageView"
            )
        b, shape = len(batch["image"]), batch["image"].shape[1:]
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(b))
        return jax.vmap(lambda k: self.view.transform(k, shape))(keys)


@dataclass(frozen=True, kw_only=True)
class ClipInput(Inputs):
    """ "clip" uint8 [B, T, H, W, C] -> float [B, frames, size, size, C], for an `R3D`."""

    clip: ClipView = ClipView()
    """Drawn at random for training; the middle of what is stored otherwise."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> jax.Array:
        if key is None:
            return self.clip.plain(batch["clip"])
        return view_batch(self.clip, key, batch["clip"])


@dataclass(frozen=True, kw_only=True)
class SeriesInput(Inputs):
    """ "series" float [B, T, C] and "steps" bool [B, T] -> (series, steps), for an `LSTM`."""

    noise: float = 0.0
    """Standard deviation of the noise on every number."""
    scale: float = 0.0
    """Standard deviation of the factor of every channel, around 1."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        x = batch["series"].astype(jnp.float32)
        if key is not None:
            jitter, factor = jax.random.split(key)
            b, _, c = x.shape
            x = x * (1 + self.scale * jax.random.normal(factor, (b, 1, c)))
            x = x + self.noise * jax.random.normal(jitter, x.shape)
        steps = batch["steps"]
        return jnp.where(steps[..., None], x, 0.0), steps


@dataclass(frozen=True, kw_only=True)
class SoundInput(Inputs):
    """ "audio" float [B, T] and "length" int [B] -> normalised log-mel frames, for a `MelEncoder`;
    without `frames` the samples themselves, for a `Wav2Vec2Encoder`."""

    frames: MelFrames | None = MelFrames()
    """From samples to frames; what it changes at random is changed for training."""
    wave: WaveView = WaveView()
    """What training may change of samples, where there are no `frames`."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> dict[str, jax.Array]:
        if self.frames is not None:
            return self.frames.plain(batch) if key is None else self.frames(key, batch)
        x = {name: batch[name] for name in ("audio", "length")}
        return x if key is None or self.wave == WaveView() else self.wave.batch(key, x)


@dataclass(frozen=True, kw_only=True)
class FeatureInput(Inputs):
    """ "features" float [B, D], each of which is left out at random in training."""

    drop: float = 0.0
    """Probability of leaving a number out."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> jax.Array:
        x = batch["features"].astype(jnp.float32)
        if key is None or not self.drop:
            return x
        kept = jax.random.bernoulli(key, 1 - self.drop, x.shape)
        return jnp.where(kept, x / (1 - self.drop), 0.0)


@dataclass(frozen=True, kw_only=True)
class FieldInput(Inputs):
    """ "feature" int and "amount" float [B, S], features left out at random in training -> both by
    name, for a `DeepFields`."""

    drop: float = 0.0
    """Probability of leaving a feature out, such as who the user is."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> dict[str, jax.Array]:
        feature, amount = batch["feature"], batch["amount"].astype(jnp.float32)
        if key is not None and self.drop:
            amount = jnp.where(jax.random.bernoulli(key, self.drop, amount.shape), 0.0, amount)
        return {"feature": feature, "amount": amount}


@dataclass(frozen=True, kw_only=True)
class GraphInput(Inputs):
    """ "features", "edges" and "node" of the nodes of a graph -> all three by name, for a `GCN` and
    its kin; edges and features are left out at random in training."""

    drop: GraphView = GraphView()
    """What is left out."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> dict[str, jax.Array]:
        return plain_graph(batch) if key is None else self.drop(key, batch)


@dataclass(frozen=True, kw_only=True)
class TokenInput(Inputs):
    """ "tokens" and "segments" int [B, L], with noise in training, and "types" where there are some
    -> all by name, for a `Bert` or a `T5Encoder`."""

    drop: float = 0.0
    """Probability of replacing a token by `unknown`."""
    unknown: int = 1
    shuffle: int = 0
    """Places that a token moves at most, among those between the first and the last of its row."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> dict[str, jax.Array]:
        tokens, segments = batch["tokens"], batch["segments"]
        if key is not None and self.shuffle:
            key, to_move = jax.random.split(key)
            tokens = moved_about(to_move, tokens, segments, most=self.shuffle)
        if key is not None and self.drop:
            hidden = jax.random.bernoulli(key, self.drop, tokens.shape) & (segments > 0)
            tokens = jnp.where(hidden, self.unknown, tokens)
        return text_inputs(batch) | {"tokens": tokens}
