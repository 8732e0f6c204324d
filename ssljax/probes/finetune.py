"""Fine-tuning: the whole network learns the labels, or few of them, from a pretrained start.

Semi-supervised evaluation with 1 % or 10 % of the labels as in Chen et al. 2020 (SimCLR),
arXiv:2002.05709, section 4.2; with layer-wise decay of the learning rate (`ssljax.probes.layers`).
It takes any kind of record, and a graph, of which each node is an example. Everything is a function
of the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from ssljax.data.dataset import Rows, labelled_part
from ssljax.data.stream import loaded
from ssljax.method import Batch, PyTree
from ssljax.probes.layers import layers
from ssljax.probes.splits import drawn, same_classes, share, stratified
from ssljax.probes.tune import FineTune, Inputs, tuning
from ssljax.views import view_batch

_LARGEST = 8 * 2**30  # bytes of a streamed part that is kept in memory
COUNTS = ("labels", "scored")
"""What is a number of examples."""
_SCORED = 10_000  # training examples that train_accuracy is of, at most


@dataclass(frozen=True)
class Shown:
    """`Inputs` of a method: its `inputs`, and random views of images."""

    inputs: Callable[[Batch], PyTree]
    """What the encoder reads of a batch, nothing random."""
    view: Any = None
    """Draws a view of an image; None: nothing is augmented."""

    def __call__(self, batch: Batch, key: jax.Array | None) -> PyTree:
        if key is None or self.view is None:
            return self.inputs(batch)
        return view_batch(self.view, key, batch["image"])


def finetune(
    encoder: Any,
    params: PyTree,
    stats: PyTree,
    train: Any,
    test: Any | None,
    *,
    inputs: Inputs,
    protocol: FineTune | None = None,
    sharding: NamedSharding | None = None,
) -> dict[str, float]:
    """Accuracy after fine-tuning from (params, stats); a fresh start makes it plain supervision.

    Args:
      encoder: the network. params, stats: where it starts, as `nets.init` or a method gives them.
      train: data as in `ssljax.data`, of which the labelled part is used.
      test: data to score on, or None to hold out a part.
      inputs: what the network reads of a batch, such as `Shown`; the same object for all starts
        that share compiled functions.
      sharding: of a batch [B, ...], for several devices; they must divide the batch.
    Returns: accuracy and train_accuracy in [0, 1], with _std over several seeds; top5 where there
      are more than five classes; labels, the number of those used, and scored, that of the
      examples that accuracy is of.
    Raises: ValueError where a labelled example cannot be had or layer_decay meets a network whose
      layers have no known order.
    """
    protocol = protocol or FineTune()
    if not train.labelled or (test is not None and not test.labelled):
        raise ValueError("fine-tuning needs labels, in training and in test data")
    train, test = labelled_part(train), test if test is None else labelled_part(test)
    if test is not None:
        same_classes(train.classes, test.classes)
    if protocol.layer_decay < 1:
        layers(params)  # before any work
    runs = [
        _one(encoder, params, stats, train, test, inputs, protocol, sharding, seed)
        for seed in range(protocol.seeds)
    ]
    found: dict[str, float] = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        found[name] = float(np.mean(values))
        if len(runs) > 1 and name not in COUNTS:
            found[f"{name}_std"] = float(np.std(values, ddof=1))
    return found


def describe_finetune(results: dict[str, Any]) -> list[str]:
    """What the numbers are, of {"protocol": a FineTune as a dict, "encoders": {name: numbers}}."""
    p = results["protocol"]
    count = next(iter(results["encoders"].values()))["labels"]
    share = f"{p['per_class']} of each class" if p["per_class"] else f"{p['fraction']:.3g} of all"
    what = "the classifier alone" if p["frozen"] else "the whole network"
    decay = "" if p["layer_decay"] == 1 else f", layer decay {p['layer_decay']:g}"
    views = {"weak": "weak views", "method": "the method's own views", "none": "plain examples"}
    lines = [
        f"{what}, {p['steps']:,} steps of AdamW on {count:,.0f} labels ({share}), rate "
        f"{p['learning_rate']:g}{decay}, weight decay {p['weight_decay']:g}, "
        f"{views[p['augment']]}; random is the same from random weights",
    ]
    if p["seeds"] > 1:
        lines.append(
            f"mean ± standard deviation over {p['seeds']} seeds, each with labels of its own"
        )
    return lines


def _one(
    encoder: Any,
    params: PyTree,
    stats: PyTree,
    train: Any,
    test: Any | None,
    inputs: Inputs,
    protocol: FineTune,
    sharding: NamedSharding | None,
    seed: int,
) -> dict[str, float]:
    known, scored = _parts(train, test, protocol, seed)
    least = max(known.smallest_batch, scored.smallest_batch)
    size = max(min(protocol.batch, len(known)), least)
    if sharding is not None:
        if size - size % sharding.mesh.size < least:  # fewer labels than devices
            sharding = None
        else:
            size -= size % sharding.mesh.size

    def put(rows: Rows) -> dict[str, Any]:
        """Every host has all rows, and gives its devices their share of them."""
        rows, place = {"mask": rows["label"] >= 0} | rows, sharding
        if place is None:
            return rows
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, place, lambda i: x[i]), rows
        )

    classes = len(known.classes)
    run = tuning(encoder, inputs, protocol, classes, None if sharding is None else sharding.mesh)
    batches = known.batches(size, seed=seed)
    rows = put(next(batches))
    net = run.start(params, stats, rows)
    opt = run.tx.init(run.trained(net))
    key = jax.random.key(seed)
    for i in range(protocol.steps):
        net, opt = run.step(net, opt, rows, jax.random.fold_in(key, i))
        rows = put(next(batches))
    if hasattr(batches, "close"):  # a generator, and the worker processes behind it
        batches.close()
    seen = known.once(size)
    if len(known) > _SCORED:
        seen = islice(known.batches(size, seed=seed), max(1, _SCORED // size))
    on_test, on_train = (
        np.sum([np.asarray(run.score(net, put(rows)), np.int64) for rows in part], axis=0)
        for part in (scored.once(size), seen)
    )
    found = {"accuracy": on_test[0] / on_test[2], "train_accuracy": on_train[0] / on_train[2]}
    if classes > 5:
        found["top5"] = on_test[1] / on_test[2]
    counts = {"labels": float(len(known)), "scored": float(on_test[2])}
    return {name: float(value) for name, value in found.items()} | counts


def _parts(train: Any, test: Any | None, protocol: FineTune, seed: int) -> tuple[Any, Any]:
    """(labelled part, part to score on)."""
    labels = train.labels()
    kept = np.arange(len(train))
    if test is None:
        kept, held_out = stratified(labels, fraction=protocol.test_fraction, seed=seed)
        test = loaded(train.part(held_out), _LARGEST)
    if protocol.per_class is not None:
        kept = kept[drawn(labels[kept], count=protocol.per_class, seed=seed)]
    elif protocol.fraction < 1:
        kept = kept[share(labels[kept], fraction=protocol.fraction, seed=seed)]
    if len(kept) < len(train):
        train = loaded(train.part(np.sort(kept)), _LARGEST)
    return train, test
