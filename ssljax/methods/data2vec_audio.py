"""data2vec for speech: predict, of hidden frames, what a slowly moving copy makes of the whole.

Baevski, Hsu, Xu, Babu, Gu, Auli, "data2vec: A General Framework for Self-supervised Learning in
Speech, Vision and Language", 2022, arXiv:2202.03555; constants as in the authors' code.

    y = mean over the top K layers of IN(output of the layer),  of the copy, nothing hidden, sg
    L = sum over hidden frames, channels of (head(encoder(masked))_t - y_t)^2 / sqrt(D) / #hidden
    after update k:  target <- tau target + (1 - tau) encoder

IN gives each channel of a recording mean 0 and variance 1 over its real frames, a layer at a time
and not once more for their mean. Where both spreads in the metrics fall to 0 the run has collapsed.
Differs from the authors' code: the copy has convolutions of its own, and a layer's output is that
behind its last norm.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.speech import regress_frames, time_targets
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, Wav2Vec2Encoder, audio_inputs, wav2vec2
from ssljax.recipes import OfSound
from ssljax.views import WaveView, hide_frames


@dataclass(frozen=True, kw_only=True)
class Data2VecAudio(OfSound):
    """data2vec with the authors' settings for base on speech."""

    lengths = ("ramp",)

    encoder: Wav2Vec2Encoder = wav2vec2("base", feature_gradient=1.0)
    view: WaveView = WaveView()
    """The part of a recording that training sees, changed at random."""
    prob: float = 0.65
    """Frames in spans over all frames; spans overlap, so that half of the frames are hidden."""
    span: int = 10
    """Frames that are hidden in a row."""
    top: int = 8
    """Layers that make the targets, K."""
    tau: float = 0.9999
    """Decay of the target."""
    tau_start: float = 0.999
    ramp: int | float = 30_000
    """Updates in which the decay rises from `tau_start` to `tau` along a straight line."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if not 1 <= self.top <= self.encoder.depth:
            raise ValueError(f"top={self.top} of an encoder with {self.encoder.depth} layers")
        key_encoder, key_head = jax.random.split(key)
        encoder, stats = nets.init(self.encoder, key_encoder, audio_inputs(batch))
        head, _ = nets.init(self._head, key_head, jnp.zeros((1, 1, self.encoder.width)))
        target = {"params": {"encoder": encoder}, "stats": {"encoder": stats}}
        extra = {"stats": {"encoder": stats}, "target": jax.tree.map(jnp.copy, target)}
        return {"encoder": encoder, "head": head}, extra

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_rows, key_net = jax.random.split(key, 3)
        x = self.view.batch(key_view, batch)
        keys = jax.random.split(key_rows, len(x["audio"]))
        frames, length = (self.encoder.frames(n) for n in (x["audio"].shape[1], x["length"]))
        hidden = hide_frames(keys, length, frames=frames, prob=self.prob, span=self.span)
        taught = nets.apply_speech(self.encoder, extra["target"]["params"]["encoder"], x)
        y = time_targets(jnp.stack(taught.layers[-self.top :]), taught.real)
        outputs = nets.apply_speech(
            self.encoder, params["encoder"], x, mask=hidden.mask, key=key_net
        )
        said, y = (
            jnp.take_along_axis(a, hidden.positions[..., None], axis=1)
            for a in (outputs.layers[-1], y)
        )
        said, _ = nets.apply(self._head, params["head"], {}, said, train=True)
        value, spreads = regress_frames(said, y, hidden.weight)
        return value, (extra, dict(zip(("prediction_std", "target_std"), spreads)))

    @property
    def _head(self) -> MLP:
        return MLP(widths=(self.encoder.width,), norm=False, dtype=self.encoder.dtype)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.linear(k, self.ramp, start=self.tau_start, stop=self.tau)
        target, online = extra["target"], {"encoder": params["encoder"]}
        moved = optax.incremental_update(online, target["params"], 1 - tau)
        return extra | {"target": target | {"params": moved}}
