"""UniMatch: learn, of two strong views and of thinned features, what a weak view is sure of.

Yang et al., "Revisiting Weak-to-Strong Consistency in Semi-Supervised Semantic Segmentation", 2023,
arXiv:2208.09910.

    y_hat, c = argmax, max of softmax(h(f(weak)))        w = [c >= threshold]
    L = 1/2 (L_x + 1/4 l(s1) + 1/4 l(s2) + 1/2 l(h(dropped(f(weak)))))
    l = mean over all pixels of w CE(., y_hat)

s1 and s2 are the weak view in other colours, with a rectangle of the picture before (CutMix), each
its own; y_hat and w get the same rectangle. `dropped` leaves out half of the channels of every map.
In the authors' code the picture that is cut in is of a second batch, labelled in evaluation mode;
here it is the one before in the same batch. Batch norm sees true examples and weak views in one
pass, the strong views in another.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.method import Batch, Metrics, State
from ssljax.recipes_tasks import OfTask
from ssljax.tasks import ImageInput, Mask
from ssljax.views import ImageView, cut_boxes, cut_in, view_batch


@dataclass(frozen=True, kw_only=True)
class UniMatch(OfTask):
    """Masks of pixels from few pictures with masks, "target" and "weight", and a "pool" without,
    uint8 [B, r, H, W, C]. The view of the task is the strong one; weak is what it moves."""

    threshold: float = 0.95
    """Least probability of a label that counts."""
    drop: float = 0.5
    """Share of the channels that is left out of thinned features."""

    def __post_init__(self) -> None:
        target, inputs = self.task.target, self.task.inputs
        if not isinstance(target, Mask) or not isinstance(inputs, ImageInput):
            raise ValueError(
                "UniMatch learns a Mask of an ImageInput: its task has "
                f"{type(target).__name__} and {type(inputs).__name__}"
            )
        if not 0 <= self.threshold <= 1 or not 0 <= self.drop < 1:
            raise ValueError("threshold must lie in [0, 1], and drop in [0, 1)")

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        target, inputs = self.task.target, self.task.inputs
        assert isinstance(target, Mask) and isinstance(inputs, ImageInput)  # see `__post_init__`
        stats, n = extra["stats"], len(batch["image"])
        to_known, to_pool, to_drop, *to_strong = jax.random.split(key, 5)
        where = {"image": batch["pool"].reshape(-1, *batch["pool"].shape[2:])}
        known, weak = self._moved(to_known, batch), self._moved(to_pool, where)
        x = inputs.view.plain(jnp.concatenate([known, weak]))
        maps, encoder = self._maps(params, stats, x)
        maps = tuple(
            jnp.concatenate([m, _thinned(jax.random.fold_in(to_drop, i), m[n:], self.drop)])
            for i, m in enumerate(maps)
        )
        outputs, head = self._head(params, stats, maps)
        given, said, thinned = jnp.split(outputs, [n, n + len(weak)])
        label, sure = target.pseudo(jax.lax.stop_gradient(said))
        # Where a moved picture shows nothing, there is nothing to learn.
        move = inputs.transform(where, to_pool)
        inside = target.moved(label, jnp.ones_like(sure), move)[1]
        weight = (sure >= self.threshold) * inside

        cuts = [cut_boxes(k, label.shape) for k in to_strong]
        strong = [
            cut_in(box, view_batch(self._coloured, jax.random.fold_in(k, 1), weak))
            for k, box in zip(to_strong, cuts, strict=True)
        ]
        maps, encoder = self._maps(params, {"encoder": encoder}, jnp.concatenate(strong))
        outputs, head = self._head(params, {"head": head}, maps)
        parts = {"thinned": jnp.mean(target.loss(thinned, label, weight))}
        for i, (y, box) in enumerate(zip(jnp.split(outputs, 2), cuts, strict=True), start=1):
            each = target.loss(y, cut_in(box, label), cut_in(box, weight))
            parts[f"strong{i}"] = jnp.mean(each)
        move = inputs.transform(batch, to_known)
        true, own = target.moved(batch["target"], batch["weight"], move)
        parts["supervised"] = jnp.mean(target.loss(given, true, own))
        strong_parts = (parts["strong1"] + parts["strong2"]) / 4
        value = (parts["supervised"] + strong_parts + parts["thinned"] / 2) / 2
        metrics = parts | {"sure": jnp.mean(weight)}
        metrics |= {k: jnp.mean(v) for k, v in target.metrics(given, true).items()}
        return value, ({**extra, "stats": {"encoder": encoder, "head": head}}, metrics)

    @property
    def _coloured(self) -> ImageView:
        """The view of the task without what moves pixels."""
        still = {"scale": (1.0, 1.0), "flip": 0.0, "degrees": 0.0, "translate": 0.0}
        return replace(self.task.inputs.view, zoom=(1.0, 1.0), **still)

    def _moved(self, key: jax.Array, batch: Batch) -> jax.Array:
        """What the view of the task does to pictures but for colours, in [0, 1]."""
        none = {"jitter": 0.0, "grayscale": 0.0, "blur": 0.0, "solarize": 0.0}
        view = replace(self.task.inputs.view, mean=(0.0,), std=(1.0,), **none)
        return view_batch(view, key, batch["image"])

    def _maps(self, params: Any, stats: Any, x: jax.Array) -> tuple[Any, Any]:
        own, reads = (params["encoder"], stats["encoder"]), self.task.target.reads
        return nets.apply(self.task.encoder, *own, x, train=True, method=reads)

    def _head(self, params: Any, stats: Any, maps: Any) -> tuple[jax.Array, Any]:
        head = self.task.target.head(self.task.hidden)
        return nets.apply(head, params["head"], stats["head"], maps, train=True)

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """A weak and a strong view of each picture."""
        weak = self._moved(key, batch)
        strong = view_batch(self._coloured, key, weak)
        return {"views": jnp.stack([weak, self.plain_view.denormalize(strong)], axis=1)}


def _thinned(key: jax.Array, maps: jax.Array, share: float) -> jax.Array:
    """Maps [B, h, w, C] without some of the channels of each, drawn; the others are larger."""
    kept = jax.random.bernoulli(key, 1 - share, (len(maps), 1, 1, maps.shape[-1]))
    return jnp.where(kept, maps / (1 - share), 0.0)
