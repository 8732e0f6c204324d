"""Next frame: which keys of a piano sound, predicted from all that has sounded before.

Boulanger-Lewandowski, Bengio, Vincent, "Modeling Temporal Dependencies in High-Dimensional
Sequences", ICML 2012, arXiv:1206.6392: the recurrent network of their comparison.

    h_t = LSTM(x_1, ..., x_t)
    L = mean over all frames of sum over keys of BCE(sigmoid(W h_{t-1} + b), x_t),  in nats

The first frame is predicted from silence, and counts as any other; many others leave it out. Given
what came before, keys are independent of each other. Features are the mean of the states.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.language import row_sums, weighted_mean
from ssljax.method import Batch, Metrics, State
from ssljax.nets import LSTM, MLP
from ssljax.recipes import Encoding

KEYS = 88


@dataclass(frozen=True, kw_only=True)
class NextFrame(Encoding):
    """A recurrent network of chords, one a frame."""

    encoder: LSTM = LSTM(width=200, both=False)
    """Reads in one direction: what comes later is what it has to predict."""
    semitones: int = 0
    """Pieces are learned that much higher or lower at most; 0: as they are."""
    dropout: float = 0.0
    """Share of the states that is left out in training."""

    head: ClassVar[MLP] = MLP(widths=(KEYS,))

    def __post_init__(self) -> None:
        if self.encoder.both:
            raise ValueError("an encoder that reads backwards has seen the next frame: both=False")

    def inputs(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
        return batch["frames"].astype(jnp.float32), batch["steps"]

    def check(self, data: Any) -> None:
        if "frames" not in data.spec:
            raise ValueError(
                'this method learns piano rolls: use data midi:PATH, read by Midi(learn="frames")'
            )

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        one, two = jax.random.split(key)
        frames, steps = self.inputs(batch)
        h = jax.ShapeDtypeStruct((*steps.shape, self.encoder.width), jnp.float32)
        params = {
            "encoder": nets.init(self.encoder, one, (frames, steps))[0],
            "head": nets.init(self.head, two, h)[0],
        }
        return params, {"stats": {"encoder": {}, "head": {}}}

    def logits(
        self, params: Any, frames: jax.Array, steps: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        """[B, T, 88] of each frame, from those before it. key: of the dropout in training."""
        before = jnp.pad(frames[:, :-1], ((0, 0), (1, 0), (0, 0)))
        own = (self.encoder, params["encoder"], {}, (before, steps))
        h = nets.apply(*own, train=False, method="states")[0]
        if key is not None and self.dropout:
            kept = jax.random.bernoulli(key, 1 - self.dropout, h.shape)
            h = jnp.where(kept, h / (1 - self.dropout), 0.0)
        return nets.apply(self.head, params["head"], {}, h, train=False)[0]

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        frames, steps = self.inputs(batch)
        to_move, to_drop = jax.random.split(key)
        frames = moved_frames(to_move, frames, self.semitones)
        logits = self.logits(params, frames, steps, to_drop)
        return weighted_mean(_nats(logits, frames), steps), (extra, {})

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats a frame; and F1 of the keys that sound, of the network where it says a half or more,
        and of repeating the frame before.
        """
        frames, steps = self.inputs(batch)
        logits = self.logits(state.params, frames, steps, None)
        before = jnp.pad(frames[:, :-1], ((0, 0), (1, 0), (0, 0)))

        def f1(said: jax.Array) -> tuple[jax.Array, jax.Array]:
            real = steps[..., None]
            both = jnp.sum(2 * said * frames * real, axis=(1, 2))
            return both, jnp.sum((said + frames) * real, axis=(1, 2))

        return {
            "loss": row_sums(_nats(logits, frames), steps),
            "f1": f1((logits >= 0).astype(jnp.float32)),
            "repeated_f1": f1(before),
        }


def _nats(logits: jax.Array, frames: jax.Array) -> jax.Array:
    """Of each frame, [B, T]."""
    return jnp.sum(optax.sigmoid_binary_cross_entropy(logits, frames), axis=-1)


def moved_frames(key: jax.Array, frames: jax.Array, most: int) -> jax.Array:
    """Each piece [B, T, 88] in another key, drawn; one that would leave the keyboard stays."""
    if not most:
        return frames
    shift = jax.random.randint(key, (len(frames),), -most, most + 1)
    moved = jax.vmap(lambda x, n: jnp.roll(x, n, axis=-1))(frames, shift)
    keys = jnp.arange(KEYS)
    lost = (keys >= KEYS - shift[:, None]) | (keys < -shift[:, None])
    fits = ~jnp.any(frames * lost[:, None], axis=(1, 2), keepdims=True)
    return jnp.where(fits, moved, frames)
