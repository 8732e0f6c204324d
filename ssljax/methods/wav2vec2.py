"""wav2vec 2.0: tell, of hidden frames of speech, the right code from those of other hidden frames.

Baevski, Zhou, Mohamed, Auli, "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech
Representations", 2020, arXiv:2006.11477; constants and order as in the authors' code.

    L = mean over hidden frames of -log softmax over {q_t, 100 others}(cos(c_t, q) / 0.1)[q_t]
        + 0.1 (G V - perplexity of the codes) / (G V)  +  10 mean(features^2)
    after update k:  temperature of the codes = max(2 * 0.999995^(k + 1), 0.5)

c_t is what the transformer says of a hidden frame and q_t a code of what the convolutions see
there. The others are hidden frames of the same recording; codes and their spread are counted over
hidden, real frames only. The gradient into the convolutions is a tenth.

Differs from the authors' code: recordings in a batch may hide different numbers of frames, for
shapes are fixed and the rest has weight 0; a recording with fewer than two hidden frames counts
for the codes alone. Features are the mean of the frames of the last layer.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import row_sums, weighted_mean
from ssljax.losses.speech import (
    code_shares,
    contrastive,
    diversity,
    draw_negatives,
    feature_penalty,
    perplexity,
)
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, Quantizer, SpeechOutputs, Wav2Vec2Encoder, audio_inputs, wav2vec2
from ssljax.recipes import OfSound
from ssljax.views import Hidden, WaveView, hide_frames


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2(OfSound):
    """wav2vec 2.0 with the paper's settings for base."""

    encoder: Wav2Vec2Encoder = wav2vec2("base")
    quantizer: Quantizer = Quantizer()
    view: WaveView = WaveView()
    """The part of a recording that training sees, changed at random."""
    width: int = 256
    """Of the space in which contexts and codes are compared."""
    prob: float = 0.65
    """Frames in spans over all frames; spans overlap, so that half of the frames are hidden."""
    span: int = 10
    """Frames that are hidden in a row."""
    negatives: int = 100
    """Other codes."""
    temperature: float = 0.1
    diversity: float = 0.1
    """Weight of the spread of the codes."""
    penalty: float = 10.0
    """Weight of the size of the features; 0 for large."""
    tau: float = 2.0
    """Temperature of the codes at update 0, which falls by `tau_decay` each update."""
    tau_stop: float = 0.5
    tau_decay: float = 0.999995

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        keys = jax.random.split(key, 4)
        encoder, stats = nets.init(self.encoder, keys[0], audio_inputs(batch))
        outputs = jnp.zeros((1, 1, self.encoder.convs[-1][0]))
        line, codes = self.networks["context"], jnp.zeros((1, 1, self.quantizer.width))
        params = {
            "encoder": encoder,
            "quantizer": nets.init(self.quantizer, keys[1], outputs)[0],
            "context": nets.init(line, keys[2], jnp.zeros((1, 1, self.encoder.width)))[0],
            "code": nets.init(line, keys[3], codes)[0],
        }
        return params, {"stats": {"encoder": stats}, "tau": jnp.float32(self.tau)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_rows, key_net = jax.random.split(key, 3)
        x = self.view.batch(key_view, batch)
        keys = jax.random.split(key_rows, len(x["audio"]))
        (nll, right, weight), logits, codes, hidden, outputs = self._compare(
            params, extra, x, keys, key_net
        )
        shares = code_shares(logits, hidden.weight)
        spread, penalty = diversity(shares), feature_penalty(outputs.features, outputs.real)
        value = weighted_mean(nll, weight)
        hard = code_shares(1e4 * jax.nn.one_hot(codes, self.quantizer.entries), hidden.weight)
        metrics = {
            "contrastive": value,
            "diversity": spread,
            "feature_penalty": penalty,
            "masked_accuracy": weighted_mean(right, weight),
            "prob_perplexity": perplexity(shares),
            "code_perplexity": perplexity(hard),
            "tau": extra["tau"],
        }
        return value + self.diversity * spread + self.penalty * penalty, (extra, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats and accuracy a hidden frame; what is hidden is a function of a row's index."""
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(batch["index"])
        (nll, right, weight), *_ = self._compare(
            state.params, state.extra, audio_inputs(batch), keys, None
        )
        return {"loss": row_sums(nll, weight), "masked_accuracy": row_sums(right, weight)}

    def _compare(
        self, params: Any, extra: Any, x: Batch, keys: jax.Array, key: jax.Array | None
    ) -> tuple[Any, jax.Array, jax.Array, Hidden, SpeechOutputs]:
        """(contrastive, logits and codes of hidden frames, these, all outputs).

        keys: of each row, for what is hidden. key: for the networks; None: as when scoring.
        """
        keys = jax.vmap(jax.random.split)(keys)
        frames, length = (self.encoder.frames(n) for n in (x["audio"].shape[1], x["length"]))
        hidden = hide_frames(keys[:, 0], length, frames=frames, prob=self.prob, span=self.span)
        outputs = nets.apply_speech(self.encoder, params["encoder"], x, mask=hidden.mask, key=key)
        states, normed = (
            jnp.take_along_axis(a, hidden.positions[..., None], axis=1)
            for a in (outputs.layers[-1], outputs.normed)
        )
        (q, logits, codes), _ = nets.apply(
            self.quantizer,
            params["quantizer"],
            {},
            normed,
            train=key is not None,
            rngs=None if key is None else dict.fromkeys(("dropout", "gumbel"), key),
            temperature=jax.lax.stop_gradient(extra["tau"]),
        )
        c, _ = nets.apply(self.networks["context"], params["context"], {}, states, train=False)
        q, _ = nets.apply(self.networks["code"], params["code"], {}, q, train=False)
        others = jax.vmap(partial(draw_negatives, count=self.negatives))(keys[:, 1], hidden.weight)
        scores = contrastive(c, q, codes, hidden.weight, others, temperature=self.temperature)
        return scores, logits, codes, hidden, outputs

    @property
    def networks(self) -> dict[str, Any]:
        """All networks, by the names of their parameters."""
        line = MLP(widths=(self.width,), norm=False)
        return {"encoder": self.encoder, "quantizer": self.quantizer, "context": line, "code": line}

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        del params
        tau = jnp.maximum(self.tau * self.tau_decay ** (k + 1.0), self.tau_stop)
        return extra | {"tau": tau.astype(jnp.float32)}
