"""Dual encoder: what was said finds its own answer among those of the whole batch.

Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply", 2017,
arXiv:1705.00652.

    x = W f(context),  y = V f(answer),   L = mean_i CE(cos(x_i, y_j) / T over j, target i)

One encoder f reads both sides, W and V are for each its own, and only contexts ask. Differs from
the paper, which has sums of n-grams in place of f, and plain products for cosines over a
temperature. Equal answers in one batch repel each other, so the loss does not reach zero. Features
are f(context) without W.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.infonce import info_nce
from ssljax.losses.pairs import rank_accuracy
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, Bert, bert
from ssljax.recipes import OfTexts


@dataclass(frozen=True, kw_only=True)
class DualEncoder(OfTexts):
    """A dual encoder of contexts and answers, by default BERT of base size."""

    encoder: Bert = bert("base")
    projector: MLP = MLP(widths=(256,), norm=False, output_bias=False)
    """Behind the encoder of contexts, into the common space."""
    partner_projector: MLP = MLP(widths=(256,), norm=False, output_bias=False)
    """The same of answers."""
    temperature: float = 0.05

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        keys = jax.random.split(key, 3)
        encoder, stats = nets.init(self.encoder, keys[0], self.inputs(batch))
        rows = jnp.zeros((1, self.encoder.width))
        heads = {
            name: nets.init(network, k, rows)[0]
            for (name, network), k in zip(self._heads.items(), keys[1:], strict=True)
        }
        return {"encoder": encoder, **heads}, {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x, y = self._both(params, batch, key).values()
        value = info_nce(x, y, temperature=self.temperature)
        return value, (extra, {"rank_accuracy": rank_accuracy(x, y, None)})

    def pair(self, state: State, batch: Batch) -> dict[str, jax.Array]:
        """Places in the common space, of those sides that the batch holds: "tokens" are of
        contexts, "answer" of answers."""
        return self._both(state.params, batch, None)

    def check(self, data: Any) -> None:
        if "answer" not in data.spec:
            raise ValueError(
                f"this method learns answers, and the data has {', '.join(data.spec)}: use data "
                "dialogues:PATH, read by Dialogues(answers=True)"
            )

    def _both(self, params: Any, batch: Batch, key: jax.Array | None) -> dict[str, jax.Array]:
        sides, found = {"tokens": self.inputs, "answer": _answers}, {}
        keys = [None, None] if key is None else list(jax.random.split(key))
        for (name, read), (head, network), k in zip(sides.items(), self._heads.items(), keys):
            if name in batch:
                rngs = None if k is None else {"dropout": k}
                run = {"train": k is not None, "rngs": rngs}
                h, _ = nets.apply(self.encoder, params["encoder"], {}, read(batch), **run)
                found[name], _ = nets.apply(network, params[head], {}, h, **run)
        return found

    @property
    def networks(self) -> dict[str, Any]:
        """All networks, by the names of their parameters."""
        return {"encoder": self.encoder, **self._heads}

    @property
    def _heads(self) -> dict[str, MLP]:
        return {"projector": self.projector, "partner_projector": self.partner_projector}


def _answers(batch: Batch) -> dict[str, jax.Array]:
    """What the encoder reads of answers: tokens of the speaker who is not the chosen one."""
    tokens = batch["answer"]
    found = {"tokens": tokens, "types": jnp.ones_like(tokens)}
    return found | {"segments": batch["answer_segments"]} if "answer_segments" in batch else found
