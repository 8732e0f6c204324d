"""HuBERT: predict, of hidden frames of speech, the cluster that they are in.

Hsu et al., "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden
Units", 2021, arXiv:2106.07447; constants as in the authors' code.

    first round   z_t = nearest of K_1 centroids of MFCC, their slopes and the slopes of those
    second round  z_t = nearest of K_2 centroids of the states of a layer, as the network then was
    L = mean over hidden frames of -log softmax_k(cos(c_t, e_k) / 0.1)[z_t] + 10 mean(features^2)

`refresh` clusters: the cepstra at step 0, the states of a frozen copy of the network each time
after (cadence.refresh: steps of a round). Clusters are looked up in each step, for what the view
has left of a recording. Differs from the paper: the second round goes on with the network of the
first; cepstra have no pre-emphasis or liftering, and the frames of the convolutions.
"""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssljax import nets
from ssljax.clustering import assign, kmeans
from ssljax.losses.language import row_sums, weighted_mean
from ssljax.losses.speech import cluster_prediction, feature_penalty, perplexity
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, SpeechOutputs, Wav2Vec2Encoder, audio_inputs, wav2vec2
from ssljax.recipes import OfSound
from ssljax.views import Hidden, LogMel, WaveView, hide_frames, mfcc

_ROUNDS, _BATCH = ("cepstra", "states"), 64


@dataclass(frozen=True, kw_only=True)
class HuBERT(OfSound):
    """HuBERT with the paper's settings for base."""

    encoder: Wav2Vec2Encoder = wav2vec2("base")
    view: WaveView = WaveView()
    """The part of a recording that training sees, changed at random."""
    rate: int = 16_000
    """Samples a second."""
    clusters: tuple[int, int] = (100, 500)
    """Of the cepstra, and of the states."""
    layer: int = 6
    """Whose states are clustered, from 1."""
    width: int = 256
    """Of the space in which states and clusters are compared."""
    prob: float = 0.8
    """Frames in spans over all frames; spans overlap."""
    span: int = 10
    """Frames that are hidden in a row."""
    temperature: float = 0.1
    penalty: float = 10.0
    """Weight of the size of the features."""
    frames: int = 500_000
    """Frames that are clustered, at most."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if not 1 <= self.layer <= self.encoder.depth:
            raise ValueError(f"layer {self.layer} of an encoder with {self.encoder.depth}")
        key, key_encoder = jax.random.split(key)
        encoder, stats = nets.init(self.encoder, key_encoder, audio_inputs(batch))
        state, line, table, centroids = jnp.zeros((1, 1, self.encoder.width)), {}, {}, {}
        for name, count, size in zip(_ROUNDS, self.clusters, (39, self.encoder.width)):
            key, *keys = jax.random.split(key, 4)
            line[name], _ = nets.init(self._line, keys[0], state)
            table[name] = jax.random.uniform(keys[1], (count, self.width))
            centroids[name] = jax.random.normal(keys[2], (count, size))
        params = {"encoder": encoder, "line": line, "clusters": table}
        teacher = jax.tree.map(jnp.copy, encoder)
        found = {"round": jnp.int32(0), "centroids": centroids, "teacher": teacher}
        return params, {"stats": {"encoder": stats}, **found}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_rows, key_net = jax.random.split(key, 3)
        x = self.view.batch(key_view, batch)
        keys = jax.random.split(key_rows, len(x["audio"]))
        nll, right, target, hidden, outputs = self._predict(params, extra, x, keys, key_net)
        value = weighted_mean(nll, hidden.weight)
        penalty = feature_penalty(outputs.features, outputs.real)
        share = jnp.zeros(max(self.clusters)).at[target].add(hidden.weight)
        share = share / jnp.maximum(jnp.sum(share), 1.0)
        metrics = {
            "masked_loss": value,
            "masked_accuracy": weighted_mean(right, hidden.weight),
            "feature_penalty": penalty,
            "cluster_perplexity": perplexity(share[None]),
            "most_frequent": jnp.max(share),
        }
        return value + self.penalty * penalty, (extra, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats and accuracy a hidden frame; what is hidden is a function of a row's index."""
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(batch["index"])
        found = self._predict(state.params, state.extra, audio_inputs(batch), keys, None)
        (nll, right), weight = found[:2], found[3].weight
        return {"loss": row_sums(nll, weight), "masked_accuracy": row_sums(right, weight)}

    def _predict(
        self, params: Any, extra: Any, x: Batch, keys: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array, Hidden, SpeechOutputs]:
        """(nats, right and clusters [B, P] of hidden frames, these, all outputs)."""
        frames, length = (self.encoder.frames(n) for n in (x["audio"].shape[1], x["length"]))
        hidden = hide_frames(keys, length, frames=frames, prob=self.prob, span=self.span)
        outputs = nets.apply_speech(self.encoder, params["encoder"], x, mask=hidden.mask, key=key)
        states = jnp.take_along_axis(outputs.layers[-1], hidden.positions[..., None], axis=1)

        def of(name: str, states: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            told = jax.lax.stop_gradient(self._told(extra["teacher"], x, name))
            rows, centroids = told.reshape(-1, told.shape[-1]), extra["centroids"][name]
            target = assign(rows, jax.lax.stop_gradient(centroids)).reshape(told.shape[:2])
            target = jnp.take_along_axis(target, hidden.positions, axis=1)
            c, _ = nets.apply(self._line, params["line"][name], {}, states, train=False)
            table, t = params["clusters"][name], self.temperature
            return *cluster_prediction(c, table, target, temperature=t), target

        first, second = (partial(of, name) for name in _ROUNDS)
        return *jax.lax.cond(extra["round"] > 0, second, first, states), hidden, outputs

    def _told(self, teacher: Any, x: Batch, name: str) -> jax.Array:
        """What is clustered: cepstra or states of all frames, [B, T, D]."""
        if name == "states":
            return (
                nets.apply_speech(self.encoder, teacher, x).layers[self.layer].astype(jnp.float32)
            )
        mel = LogMel(rate=self.rate, window=self.encoder.window, hop=self.encoder.hop, mels=23)
        return jax.vmap(partial(mfcc, mel=mel))(x["audio"], x["length"])

    @property
    def _line(self) -> MLP:
        return MLP(widths=(self.width,), norm=False)

    def refresh(self, state: State, data: Any) -> State:
        """Clusters the cepstra or the states, a function of the state and the data alone."""
        step, name = int(state.step), _ROUNDS[int(state.step) > 0]
        teacher = jax.tree.map(jnp.copy, state.params["encoder"])
        told = jax.jit(partial(self._told, name=name))
        size, parts = min(_BATCH, len(data)), []
        for rows in islice(data.batches(size, seed=step), len(data) // size):
            x, frames = np.asarray(told(teacher, audio_inputs(rows))), self.encoder.frames
            parts.append(x[np.arange(x.shape[1]) < np.asarray(frames(rows["length"]))[:, None]])
            if sum(map(len, parts)) >= self.frames:
                break
        x, count = np.concatenate(parts)[: self.frames], self.clusters[step > 0]
        found = kmeans(x, count, key=jax.random.fold_in(jax.random.key(0), step), iterations=100)
        centroids = state.extra["centroids"] | {name: found.centroids}
        new = {"round": jnp.int32(step > 0), "centroids": centroids, "teacher": teacher}
        return State(state.step, state.params, state.opt, state.extra | new)
