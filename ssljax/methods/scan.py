"""SCAN: classes without labels, from neighbours that should share one, then from sure predictions.

Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels", 2020, arXiv:2005.12320;
constants as in the authors' configuration for CIFAR-10.

    SCAN:       L = -mean log(p(x) . p(neighbour)) - 5 H(mean p),   summed over heads
    SelfLabel:  L = class-balanced CE(strong view, argmax of the plain view) where that is > 0.99

Both begin from weights (`ssljax.method.from_pretrained`): SCAN from the encoder whose nearest
neighbours a batch brings as "neighbor" (`ssljax.data.Neighbors`), SelfLabel from SCAN. Of several
heads `answer` takes the one with the lowest loss; the authors measure it on held-out images, here
it is a running mean. Where the authors stop when no image is sure, the loss is zero here.
Strong views are `ImageView`s, not the authors' RandAugment with Cutout. `standardize`, not the
authors', puts batch norm before the heads: features of short runs have a large mean and little
spread, and linear heads then divide them along whatever direction varies most.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.clusters import scan, self_label
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, simclr_cifar, view_batch

_DECAY = 0.99  # of the loss by which a head is chosen
_STRONG = replace(simclr_cifar(), degrees=30.0, translate=0.1, solarize=0.2)


@dataclass(frozen=True, kw_only=True)
class _Classifier(OfImages):
    """What both stages share: an encoder with linear heads."""

    encoder: Any = ResNet(depth=18, stem="cifar")
    classes: int = 10
    view: ImageView = _STRONG
    standardize: bool = False
    """Batch norm before the heads."""

    @property
    def chain(self) -> dict[str, Any]:
        width = getattr(self, "heads", 1) * self.classes
        return {"encoder": self.encoder, "head": MLP(widths=(width,), input_norm=self.standardize)}

    def check(self, data: Any) -> None:
        """Raises ValueError where the data has labels of another number of classes: these are never
        learnt from, but what is found is compared with them one by one.
        """
        if data.labelled and len(data.classes) != self.classes:
            raise ValueError(
                f"the data has {len(data.classes)} classes and the method {self.classes}: use "
                f"--method.classes {len(data.classes)}"
            )

    def _logits(self, state: State, batch: Batch) -> jax.Array:
        x, stats = self.view.plain(batch["image"]), state.extra["stats"]
        return nets.apply_chain(self.chain, state.params, stats, x, train=False)[0]


@dataclass(frozen=True, kw_only=True)
class SCAN(_Classifier):
    """Semantic clustering by adopting nearest neighbours."""

    heads: int = 1
    entropy: float = 5.0
    """Weight of the entropy of the mean prediction."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if "neighbor" not in batch:
            raise ValueError('SCAN needs batches with "neighbor": wrap the data in data.Neighbors')
        params, stats = nets.init_chain(self.chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats, "score": jnp.zeros(self.heads)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        stats, logits = extra["stats"], []
        # Images and neighbours are passes of their own, as the authors do it.
        for k, name in zip(jax.random.split(key), ("image", "neighbor"), strict=True):
            x = view_batch(self.view, k, batch[name])
            y, stats = nets.apply_chain(self.chain, params, stats, x, train=True)
            logits.append(y.reshape(len(y), self.heads, self.classes))
        values, (consistency, spread) = jax.vmap(
            lambda a, b: scan(a, b, entropy=self.entropy), in_axes=1
        )(*logits)
        score = _DECAY * extra["score"] + (1 - _DECAY) * values
        extra = {"stats": stats, "score": jax.lax.stop_gradient(score)}
        metrics = {"consistency": jnp.mean(consistency), "entropy": jnp.mean(spread)}
        return jnp.sum(values), (extra, metrics)

    def best_head(self, state: State) -> jax.Array:
        """The head with the lowest loss of late."""
        return jnp.argmin(state.extra["score"])

    def answer(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, classes]` of the best head; the numbers of the classes mean nothing."""
        logits = self._logits(state, batch).reshape(-1, self.heads, self.classes)
        return logits[:, self.best_head(state)]


@dataclass(frozen=True, kw_only=True)
class SelfLabel(_Classifier):
    """The second stage: fine-tuning on the predictions that are sure."""

    threshold: float = 0.99
    """Least probability of a prediction that is taken for a label."""
    balanced: bool = True
    """Weigh by the inverse frequency of a label among the sure ones."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self.chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        weak, strong = self.view.plain(batch["image"]), view_batch(self.view, key, batch["image"])
        logits, stats = [], extra["stats"]
        for x in (weak, strong):
            y, stats = nets.apply_chain(self.chain, params, stats, x, train=True)
            logits.append(y)
        value, sure = self_label(*logits, threshold=self.threshold, balanced=self.balanced)
        return value, ({"stats": stats}, {"sure": sure})

    def answer(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, classes]`; the numbers of the classes mean nothing."""
        return self._logits(state, batch)
