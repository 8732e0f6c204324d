"""BEST-RQ: predict, of hidden frames of speech, the code that a random projection gives them.

Chiu, Qin, Zhang, Yu, Wu, "Self-supervised Learning with Random-projection Quantizer for Speech
Recognition", 2022, arXiv:2202.01855.

    x_t = frames 4 t to 4 t + 3 of the normalised log-mel bands, in one vector
    z_t = argmin_k |n(c_k) - n(A x_t)|,   A Xavier uniform, c_k normal, neither ever trained
    L = mean over hidden t of -log softmax_k(line(encoder(frames with noise where hidden))_t)[z_t]

Hidden frames are replaced by normal noise with a deviation of .1. Nothing of the labels is learnt,
so there is no collapse to fight. The paper does not say which steps of four frames count as hidden:
here those of which no frame is heard.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import row_sums, token_nll, weighted_mean
from ssljax.losses.speech import perplexity, random_codes
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, MelEncoder
from ssljax.recipes import Encoding
from ssljax.views import MelFrames, hide_spans


@dataclass(frozen=True, kw_only=True)
class BestRQ(Encoding):
    """BEST-RQ with the paper's labels and masks, and a small transformer in place of its Conformer
    of 600 million parameters."""

    encoder: MelEncoder = MelEncoder()
    view: MelFrames = MelFrames()
    """From recordings to frames; what it changes at random is changed for the labels as well."""
    codes: int = 8192
    """Labels to tell apart."""
    width: int = 16
    """Of the space in which frames and codes are compared."""
    prob: float = 0.01
    """Share of the frames at which a hidden span begins."""
    span: int = 40
    """Frames that are hidden in a row, 400 ms."""
    noise: float = 0.1
    """Deviation of what takes their place."""

    def inputs(self, batch: Batch) -> Any:
        return self.view.plain(batch)

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        keys = jax.random.split(key, 4)
        x = self.inputs(batch)
        encoder, stats = nets.init(self.encoder, keys[0], x)
        state = jnp.zeros((1, 1, self.encoder.width))
        params = {"encoder": encoder, "line": nets.init(self._line, keys[1], state)[0]}
        size = (self.encoder.stride * x["mel"].shape[2], self.width)
        quantizer = {
            "projection": jax.nn.initializers.glorot_uniform()(keys[2], size),
            "codes": jax.random.normal(keys[3], (self.codes, self.width)),
        }
        return params, {"stats": {"encoder": stats}, "quantizer": quantizer}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_rows, key_net = jax.random.split(key, 3)
        x = self.view(key_view, batch)
        keys = jax.random.split(key_rows, len(x["mel"]))
        nll, right, target, weight = self._predict(params, extra, x, keys, key_net)
        share = jnp.zeros(self.codes).at[target].add(weight)
        share = share / jnp.maximum(jnp.sum(share), 1.0)
        metrics = {
            "masked_accuracy": weighted_mean(right, weight),
            "code_perplexity": perplexity(share[None]),
            "most_frequent": jnp.max(share),
        }
        return weighted_mean(nll, weight), (extra, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats and accuracy a hidden step; what is hidden is a function of a row's index."""
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(batch["index"])
        found = self._predict(state.params, state.extra, self.inputs(batch), keys, None)
        nll, right, _, weight = found
        return {"loss": row_sums(nll, weight), "masked_accuracy": row_sums(right, weight)}

    def _predict(
        self, params: Any, extra: Any, x: Batch, keys: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """(nats, right, codes, 1 where hidden), each [B, T], of all steps."""
        stride, (b, frames, _) = self.encoder.stride, x["mel"].shape
        steps = frames // stride

        def hidden(key: jax.Array, mel: jax.Array, length: jax.Array) -> tuple[Any, jax.Array]:
            key_spans, key_noise = jax.random.split(key)
            options = {"frames": frames, "prob": self.prob, "span": self.span}
            mask = hide_spans(key_spans, length, **options)
            noise = self.noise * jax.random.normal(key_noise, mel.shape)
            return jnp.where(mask[:, None], noise, mel), mask

        mel, mask = jax.vmap(hidden)(keys, x["mel"], x["length"])
        heard, rngs = x | {"mel": mel}, None if key is None else {"dropout": key}
        outputs, _ = nets.apply(
            self.encoder,
            params["encoder"],
            {},
            heard,
            train=key is not None,
            rngs=rngs,
            method="outputs",
        )
        logits, _ = nets.apply(self._line, params["line"], {}, outputs.layers[-1], train=False)
        stacked = x["mel"][:, : steps * stride].reshape(b, steps, -1)
        target = random_codes(stacked, **extra["quantizer"])
        whole = jnp.all(mask[:, : steps * stride].reshape(b, steps, stride), axis=-1)
        weight = (whole & outputs.real).astype(jnp.float32)
        right = (jnp.argmax(logits, axis=-1) == target).astype(jnp.float32)
        return token_nll(logits, target), right, target, weight

    @property
    def _line(self) -> MLP:
        return MLP(widths=(self.codes,), norm=False, dtype=self.encoder.dtype)
