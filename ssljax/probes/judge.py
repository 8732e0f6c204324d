"""A small classifier of our own, trained with labels, to judge images that a method has drawn.

Its last features stand in for Inception's in a Frechet distance, and its classes tell whether a
changed image still shows the same thing. A judgement is worth as much as its accuracy on real test
images, which comes with it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ssljax import nets
from ssljax.data.dataset import labelled_part

_CHUNK = 512


class Judge(NamedTuple):
    """A trained classifier; both functions take uint8 or float images [N, H, W, C] in [0, 1]."""

    features: Callable[[np.ndarray], np.ndarray]
    """Images -> features [N, D]."""
    classes: Callable[[np.ndarray], np.ndarray]
    """Images -> probabilities [N, K]."""


def train_judge(
    dataset: Any,
    *,
    net: Any,
    view: Any,
    augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    steps: int = 1000,
    batch: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> Judge:
    """Trains a classifier on a labelled data set by Adam, with a cosine schedule.

    Args:
      dataset: as in `ssljax.data`.
      net: a module of `ssljax.nets` that gives features [B, D].
      view: prepares an image (`plain`) when judging, and when training where there is no `augment`.
      augment: (key, images [B, H, W, C]) -> what the network sees in training.
    Raises: ValueError for data without labels.
    """
    if not dataset.labelled:
        raise ValueError("a judge is trained on labelled data, and this has no labels")
    dataset = labelled_part(dataset)
    head = nets.MLP(widths=(len(dataset.classes),))
    chain = {"encoder": net, "head": head}
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    root = jax.random.key(seed)
    prepare = augment or (lambda key, images: view.plain(images))
    rows = dataset.batches(batch, seed=seed)
    first = next(rows)
    params, stats = nets.init_chain(chain, root, jnp.asarray(view.plain(first["image"])))

    @jax.jit
    def step(carry: Any, images: jax.Array, labels: jax.Array, key: jax.Array) -> Any:
        params, stats, opt = carry

        def loss(params: Any) -> tuple[jax.Array, Any]:
            logits, moved = nets.apply_chain(chain, params, stats, prepare(key, images), train=True)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return jnp.mean(losses), moved

        grads, stats_ = jax.grad(loss, has_aux=True)(params)
        updates, opt = tx.update(grads, opt, params)
        return optax.apply_updates(params, updates), stats_, opt

    carry = (params, stats, tx.init(params))
    for i in range(steps):
        carry = step(carry, first["image"], first["label"], jax.random.fold_in(root, i))
        first = next(rows)
    params, stats, _ = carry

    @jax.jit
    def both(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = view.plain(images)
        features, _ = nets.apply(net, params["encoder"], stats["encoder"], x, train=False)
        logits, _ = nets.apply(head, params["head"], stats["head"], features, train=False)
        return features, jax.nn.softmax(logits)

    def run(images: np.ndarray, which: int) -> np.ndarray:
        parts = [images[i : i + _CHUNK] for i in range(0, len(images), _CHUNK)]
        return np.concatenate([np.asarray(both(part)[which]) for part in parts])

    return Judge(lambda images: run(images, 0), lambda images: run(images, 1))
