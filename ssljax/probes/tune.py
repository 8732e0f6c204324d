"""How a network is fine-tuned: the settings, and the compiled functions that follow from them.

The features are first standardised by constants, those of the starting network on one batch, so
that one rate suits every start; the classifier starts at zero. Rows without a label (-1), such as
the neighbours of a node, are read but count for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from ssljax import nets
from ssljax.mesh import within
from ssljax.method import Batch, PyTree
from ssljax.probes.layers import scaled
from ssljax.training.optimizers import Optimizer

Inputs = Callable[[Batch, jax.Array | None], PyTree]
"""Batch, key -> what the encoder reads: a random view, with None the examples as they are."""


@dataclass(frozen=True, kw_only=True)
class FineTune:
    """How a network is fine-tuned."""

    fraction: float = 1.0
    """Share of the labels that is used, the same of each class: 0.01 and 0.1 are usual."""
    per_class: int | None = None
    """Labels of each class, in place of a share."""
    steps: int = 1000
    """Steps of training."""
    batch: int = 128
    """Examples in a step; all of them where there are fewer."""
    learning_rate: float = 1e-3
    """Peak rate of the classifier and, without layer_decay, of everything."""
    layer_decay: float = 1.0
    """Factor of the rate from each layer to the one below; 0.65 to 0.75 is usual for a ViT."""
    weight_decay: float = 0.05
    frozen: bool = False
    """Train the classifier only: a linear probe with augmentation."""
    augment: Literal["weak", "method", "none"] = "weak"
    """weak: the view of the method without colours, blur and crops of less than half the image;
    method: its own view as it is. What is no image is not augmented.
    """
    seeds: int = 1
    """Repetitions, each with labels, order and augmentation of its own."""
    test_fraction: float = 0.2
    """Share of the training data that is held out, for data without a test split."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or not 0 < self.layer_decay <= 1:
            raise ValueError("fraction and layer_decay must be above 0 and at most 1")
        for name in ("steps", "batch", "seeds", "per_class"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction must be between 0 and 1, not {self.test_fraction}")
        if self.augment not in ("weak", "method", "none"):
            raise ValueError(f"augment {self.augment!r}: choose weak, method or none")


class Net(NamedTuple):
    """A network with its classifier. `scale` standardises the features and is never trained."""

    params: PyTree
    """{"encoder": ..., "kernel": [D, K], "bias": [K]}."""
    stats: PyTree
    scale: tuple[jax.Array, jax.Array]
    """Mean and factor, each [D]."""


class Tuning(NamedTuple):
    """The functions of one protocol, shared by all starts of the same network."""

    tx: optax.GradientTransformation
    start: Callable[[PyTree, PyTree, Batch], Net]
    """(params, stats, the first batch) -> the network with a classifier of zeros."""
    trained: Callable[[Net], PyTree]
    """The part of the parameters that moves."""
    step: Callable[[Net, PyTree, Batch, jax.Array], tuple[Net, PyTree]]
    """(network, state of the optimizer, batch, key) -> the next of both."""
    score: Callable[[Net, Batch], jax.Array]
    """[right, right among the best five, all] of a batch with its "mask"."""


@lru_cache(maxsize=4)
def tuning(
    encoder: Any, inputs: Inputs, protocol: FineTune, classes: int, mesh: Mesh | None = None
) -> Tuning:
    """AdamW with linear warm-up over a twentieth of the steps, then half a cosine to zero."""
    frozen = protocol.frozen
    optimizer = Optimizer(
        name="adamw",
        learning_rate=protocol.learning_rate,
        per_batch=None,
        warmup=protocol.steps // 20,
        weight_decay=protocol.weight_decay,
    ).build(steps=protocol.steps, batch=protocol.batch)
    tx = optax.chain(optimizer, scaled(protocol.layer_decay))

    @within(mesh)
    def features(
        params: PyTree, stats: PyTree, x: PyTree, *, train: bool, key: jax.Array | None = None
    ) -> tuple[jax.Array, PyTree]:
        rngs = None if key is None else {"dropout": key}
        h, stats = nets.apply(encoder, params, stats, x, train=train, rngs=rngs)
        return h.astype(jnp.float32), stats

    def logits(net: Net, h: jax.Array) -> jax.Array:
        mean, factor = net.scale
        return (h - mean) * factor @ net.params["kernel"] + net.params["bias"]

    @jax.jit
    def start(params: PyTree, stats: PyTree, rows: Batch) -> Net:
        x = inputs(rows, None)
        h, _ = features(params, stats, x, train=not frozen, key=jax.random.key(0))
        known = (rows["label"] >= 0)[:, None]
        mean, std = h.mean(0, where=known), h.std(0, where=known)
        alive = std > 1e-6 * jnp.maximum(jnp.abs(mean), std.max())
        factor = jnp.where(alive, 1 / jnp.where(alive, std, 1), 0)
        head = {"kernel": jnp.zeros((h.shape[1], classes)), "bias": jnp.zeros(classes)}
        return Net({"encoder": params, **head}, stats, (mean, factor))

    def trained(net: Net) -> PyTree:
        return {k: v for k, v in net.params.items() if not frozen or k != "encoder"}

    @partial(jax.jit, donate_argnums=1)
    def step(net: Net, opt: PyTree, rows: Batch, key: jax.Array) -> tuple[Net, PyTree]:
        x, dropout = inputs(rows, key), jax.random.fold_in(key, 1)

        def loss(moving: PyTree) -> tuple[jax.Array, PyTree]:
            params = net.params | moving
            h, stats = features(params["encoder"], net.stats, x, train=not frozen, key=dropout)
            out = logits(net._replace(params=params), h)
            value = optax.softmax_cross_entropy_with_integer_labels(out, rows["label"])
            return value.mean(where=rows["label"] >= 0), stats

        moving = trained(net)
        grads, stats = jax.grad(loss, has_aux=True)(moving)
        updates, opt = tx.update(grads, opt, moving)
        params = net.params | optax.apply_updates(moving, updates)
        return net._replace(params=params, stats=stats), opt

    @jax.jit
    def score(net: Net, rows: Batch) -> jax.Array:
        h, _ = features(net.params["encoder"], net.stats, inputs(rows, None), train=False)
        out = logits(net, h)
        of_label = jnp.take_along_axis(out, rows["label"][:, None], axis=1)
        better = (out > of_label).sum(axis=1)
        # A network that gives NaN is right about nothing.
        fine = jnp.isfinite(of_label[:, 0]) & rows["mask"]
        return jnp.stack([((better < n) & fine).sum() for n in (1, 5)] + [rows["mask"].sum()])

    return Tuning(tx, start, trained, step, score)
