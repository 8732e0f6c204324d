"""FastSpeech: a text becomes log-mel frames at once, each letter stretched over the time it lasts.

Ren, Ruan, Tan, Qin, Zhao, Zhao, Liu, "FastSpeech: Fast, Robust and Controllable Text to Speech",
NeurIPS 2019, arXiv:1905.09263; its lengths as in Donahue, Dieleman, Binkowski, Elsen, Simonyan,
"End-to-End Adversarial Text-to-Speech", ICLR 2021, arXiv:2006.03575.

    h_n, l_n = reader(letters, voice)_n,    T: frames of the recording
    y = writer(stretch(h, l T / sum_n l_n))
    L = mean over real frames and bands of |y - x| + lambda mean over texts of (log sum_n l_n / T)^2

x are log-mel bands less `level`, over `spread`. Rows without a text (-1 first) count for nothing.
Sound is made of the frames by Griffin's and Lim's algorithm.

Differs from FastSpeech: no teacher gives lengths; they are learnt through a soft length regulator,
and of the recording only the sum is told. The voice is an embedding; no pitch, no energy.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import row_sums, weighted_mean
from ssljax.method import Batch, Metrics, State
from ssljax.nets import FrameWriter, TextReader, stretched
from ssljax.recipes import Encoding
from ssljax.views import LogMel, sound_of, spectrogram


@dataclass(frozen=True, kw_only=True)
class FastSpeech(Encoding):
    """A text in one of several voices as sound; recordings come with what is said in them."""

    encoder: TextReader = TextReader()
    """Reads letters; its voices are the classes of the data."""
    decoder: FrameWriter = FrameWriter()
    """Writes frames; its bands are those of `mel`."""
    mel: LogMel = LogMel(rate=8000, window=256, hop=80, mels=40)
    """From recordings to frames and back; most of a frame must be in the next one too."""
    letters: str = "abcdefghijklmnopqrstuvwxyz '"
    """What texts are made of, in the order of their numbers, as the reader has them."""
    level: float = -5.0
    """What frames are less."""
    scale: float = 4.0
    """What they are over."""
    sharp: float = 10.0
    """How wide a letter reaches into others: squared frames of the length regulator."""
    weight: float = 1.0
    """Of the loss of lengths, lambda."""

    def inputs(self, batch: Batch) -> Any:
        text = batch["text"]
        return {"text": text, "voice": batch.get("label", jnp.zeros(len(text), jnp.int32))}

    def filled(self, data: Any) -> Self:
        voices = self.encoder.voices or len(data.classes or "1")
        return replace(self, encoder=self.encoder.clone(voices=voices))

    def check(self, data: Any) -> None:
        if not {"text", "audio"} <= set(data.spec):
            raise ValueError(
                f"this method learns recordings with texts, and the data has {', '.join(data.spec)}"
                ": use audio:PATH read by Strings(count=(1, 1)), or manifest:PATH"
            )
        sizes = self.encoder.letters, self.decoder.mels
        if sizes != (len(self.letters), self.mel.mels):
            raise ValueError(
                f"encoder.letters and decoder.mels are {sizes}: set them to "
                f"{(len(self.letters), self.mel.mels)}, those of letters and mel"
            )

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        one, two = jax.random.split(key)
        x, state = self.inputs(batch), jnp.zeros((1, 4, self.encoder.width))
        decoder, _ = nets.init(self.decoder, two, state, real=state[..., 0] == 0)
        params = {"encoder": nets.init(self.encoder, one, x)[0], "decoder": decoder}
        return params, {"stats": {"encoder": {}}}

    def frames(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """(frames [B, T, mels] as they are learnt, how many are real [B])."""
        x = (jax.vmap(self.mel)(batch["audio"]) - self.level) / self.scale
        return x, self.mel.frames(batch["length"])

    def read(self, params: Any, batch: Batch, key: jax.Array | None = None) -> Any:
        """(states [B, N, D], lengths [B, N]) of letters; without a key no dropout."""
        return self._run("encoder", params, self.inputs(batch), key, method="letters_of")

    def write(
        self, params: Any, read: Any, count: jax.Array, frames: int, key: jax.Array | None = None
    ) -> jax.Array:
        """Frames [B, frames, mels], of which `count` are heard, of what `read` gives; letters last
        as long as it says in proportion."""
        states, lengths = read
        lengths = lengths * (count / jnp.maximum(jnp.sum(lengths, axis=1), 1e-6))[:, None]
        h = stretched(states, lengths, frames=frames, spread=self.sharp)
        return self._run("decoder", params, h, key, real=jnp.arange(frames) < count[:, None])

    def _run(self, name: str, params: Any, x: Any, key: jax.Array | None, **how: Any) -> Any:
        rngs = None if key is None else {"dropout": key}
        run = partial(nets.apply, getattr(self, name), params[name], {}, x, **how)
        return run(train=key is not None, rngs=rngs)[0]

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        error, weight, off, known = self._errors(params, batch, jax.random.split(key))
        mel, length = weighted_mean(error, weight), weighted_mean(jnp.square(off), known)
        metrics = {"mel_error": mel, "length_error": weighted_mean(jnp.abs(off), known)}
        return mel + self.weight * length, (extra, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Mean absolute errors of frames, and of the logarithm of how long a text lasts."""
        error, weight, off, known = self._errors(state.params, batch, (None, None))
        return {"mel_error": row_sums(error, weight), "length_error": (jnp.abs(off) * known, known)}

    def _errors(self, params: Any, batch: Batch, keys: Any) -> tuple[jax.Array, ...]:
        """(error of each frame [B, T], 1 where it counts; log of predicted over true length [B], 1
        where it counts)."""
        (x, count), read = self.frames(batch), self.read(params, batch, keys[0])
        y = self.write(params, read, count, x.shape[1], keys[1])
        known = (batch["text"][:, 0] > 0).astype(jnp.float32)
        weight = (jnp.arange(x.shape[1]) < count[:, None]) * known[:, None]
        off = jnp.log(jnp.maximum(jnp.sum(read[1], axis=1), 1.0) / jnp.maximum(count, 1))
        return jnp.mean(jnp.abs(x - y), axis=-1), weight, off, known

    def spoken(
        self, state: State, batch: Batch, *, frames: int, pace: float = 1.0
    ) -> tuple[jax.Array, jax.Array]:
        """(log-mel frames [B, frames, mels], how many are heard [B]) of {"text": int [B, N],
        "label": int [B], the voice}; pace: 2 is twice as fast."""
        read = self.read(state.params, batch)
        count = jnp.clip(jnp.round(jnp.sum(read[1], axis=1) / pace), 1, frames).astype(jnp.int32)
        return self.level + self.scale * self.write(state.params, read, count, frames), count

    def speak(
        self, state: State, key: jax.Array, batch: Batch, *, seconds: float, pace: float = 1.0
    ) -> tuple[jax.Array, jax.Array]:
        """(samples [B, T] in [-1, 1], how many are heard [B]), at most so many seconds of what is
        `spoken`."""
        frames = self.mel.frames(round(seconds * self.mel.rate))
        y, count = self.spoken(state, batch, frames=frames, pace=pace)
        audio = jax.vmap(partial(sound_of, mel=self.mel))(y, count, jax.random.split(key, len(y)))
        return audio, (count - 1) * self.mel.hop + self.mel.window

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Recordings, those again from their frames, and the same texts spoken in the same voices:
        as sound, and the last two as spectrograms."""
        audio, (x, count) = jnp.asarray(batch["audio"]), self.frames(batch)
        y, heard = self.spoken(state, batch, frames=x.shape[1])
        both, sounds = [], [audio]
        for mel, n in ((self.level + self.scale * x, count), (y, heard)):
            both.append(spectrogram(mel, n))
            made = jax.vmap(partial(sound_of, mel=self.mel))(mel, n, jax.random.split(key, len(n)))
            sounds.append(jnp.pad(made, ((0, 0), (0, audio.shape[1] - made.shape[1]))))
        found = {"views": jnp.stack(both, axis=1), "sounds": jnp.stack(sounds, axis=1)}
        return found | {"rate": jnp.asarray(self.mel.rate)}
