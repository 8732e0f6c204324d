"""SimCSE: a sentence finds itself again under another dropout mask, among those of the batch.

Gao, Yao, Chen, "SimCSE: Simple Contrastive Learning of Sentence Embeddings", 2021,
arXiv:2104.08821, unsupervised; constants as in the authors' code.

    h = tanh(W encoder(x)[CLS]),   L = mean_i CE(cos(h_i, h'_j) / T over j, target i)

with h' of the same sentences and another dropout mask, one direction. The layer W is for training
only: features are the first token without it. The paper starts from a trained BERT.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.infonce import info_nce
from ssljax.method import Batch, Metrics
from ssljax.nets import Bert, Pooler, bert, text_inputs
from ssljax.recipes import OfTexts


@dataclass(frozen=True, kw_only=True)
class SimCSE(OfTexts):
    """Unsupervised SimCSE with the paper's defaults."""

    encoder: Bert = bert("base", pool="cls")
    temperature: float = 0.05

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if self.encoder.dropout <= 0 and self.encoder.attention_dropout <= 0:
            raise ValueError("SimCSE needs dropout: without it both views of a sentence are equal")
        key_encoder, key_head = jax.random.split(key)
        encoder, stats = nets.init(self.encoder, key_encoder, text_inputs(batch))
        head, _ = nets.init(self._head, key_head, jnp.zeros((1, 1, self.encoder.width)))
        return {"encoder": encoder, "head": head}, {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        h1, h2 = (self._view(params, batch, k) for k in jax.random.split(key))
        value = info_nce(h1, h2, temperature=self.temperature)
        return value, (extra, {"z_std": jnp.mean(jnp.std(h1, axis=0))})

    def _view(self, params: Any, batch: Batch, key: jax.Array) -> jax.Array:
        """Embeddings [B, D] of the sentences under the dropout mask of `key`."""
        states, _ = nets.apply(
            self.encoder,
            params["encoder"],
            {},
            text_inputs(batch),
            train=True,
            rngs={"dropout": key},
            method="tokens",
        )
        return nets.apply(self._head, params["head"], {}, states, train=True)[0]

    @property
    def _head(self) -> Pooler:
        return Pooler(dtype=self.encoder.dtype)
