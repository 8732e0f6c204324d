"""Fine-tuning: the whole network learns the labels, or few of them, from a pretrained start.

Semi-supervised evaluation with 1 % or 10 % of the labels as in Chen et al. 2020 (SimCLR),
arXiv:2002.05709, section 4.2; layer-wise decay of the learning rate as in Bao et al. 2021 (BEiT),
arXiv:2106.08254, and He et al. 2021 (MAE), arXiv:2111.06377:

    rate of layer i = learning_rate * layer_decay^(n - i),      layer n = the classifier

AdamW with linear warm-up over a twentieth of the steps, then half a cosine to zero. The features
are first standardised by constants, those of the starting network on one batch, so that one rate
suits every start; the classifier starts at zero. Everything is a function of the seed.
"""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding

from ssljax import nets
from ssljax.data.dataset import Arrays, labelled_part
from ssljax.mesh import within
from ssljax.probes.splits import drawn, same_classes, stratified
from ssljax.training.optimizers import Optimizer
from ssljax.views import ImageView, view_batch

_LARGEST = 8 * 2**30  # bytes of a labelled part that is copied into memory
_SCORED = 10_000  # training examples that train_accuracy is of, at most


Prepare = Callable[[dict[str, jax.Array]], Any]


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
    """weak: crops of at least half the image, and the flips and warps of the method; method: its
    own view, colours and all.
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


class _Net(NamedTuple):
    """A network with its classifier. `scale` standardises the features and is never trained."""

    params: Any
    """{"encoder": ..., "kernel": [D, K], "bias": [K]}."""
    stats: Any
    scale: tuple[jax.Array, jax.Array]


def finetune(
    encoder: Any,
    params: Any,
    stats: Any,
    train: Any,
    test: Any | None,
    *,
    view: ImageView | Prepare,
    protocol: FineTune | None = None,
    sharding: NamedSharding | None = None,
) -> dict[str, float]:
    """Accuracy after fine-tuning from (params, stats); a fresh start makes it plain supervision.

    Args:
      encoder: the network. params, stats: where it starts, as `nets.init` or a method gives them.
      train: data as in `ssljax.data`, of which the labelled part is used.
      test: data to score on, or None to hold out a part.
      view: its `plain` prepares test images, and it is what `protocol.augment` is made of. For
        other data, a function from a batch to what the network takes; nothing is augmented then.
      sharding: of a batch [B, ...], for several devices; they must divide the batch.
    Returns: accuracy and train_accuracy in [0, 1], with _std over several seeds; top5 where there
      are more than five classes; and labels, the number of those used.
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
        _one(encoder, params, stats, train, test, view, protocol, sharding, seed)
        for seed in range(protocol.seeds)
    ]
    found: dict[str, float] = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        found[name] = float(np.mean(values))
        if len(runs) > 1 and name != "labels":
            found[f"{name}_std"] = float(np.std(values, ddof=1))
    return found


def describe_finetune(results: dict[str, Any]) -> list[str]:
    """What the numbers are, of {"protocol": a FineTune as a dict, "encoders": {name: numbers}}."""
    p = results["protocol"]
    count = next(iter(results["encoders"].values()))["labels"]
    share = f"{p['per_class']} of each class" if p["per_class"] else f"{p['fraction']:.3g} of all"
    what = "the classifier alone" if p["frozen"] else "the whole network"
    decay = "" if p["layer_decay"] == 1 else f", layer decay {p['layer_decay']:g}"
    views = {"weak": "weak views", "method": "the method's own views", "none": "plain images"}
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


def layers(params: Any) -> tuple[Any, int]:
    """(layer of each parameter of an encoder, 0 at the input; layer of the classifier on top).

    A ViT has its embeddings at 0, then a layer for each block; a ResNet its stem at 0, then one for
    each stage; a SmallConv one for each convolution. The last norm belongs to the classifier.
    Raises: ValueError for names without a known order.
    """
    found = {name: _layer(name) for name in params}
    unknown = [name for name, layer in found.items() if layer is None]
    if unknown:
        raise ValueError(
            f"layer_decay does not know the order of {', '.join(unknown[:3])}: it knows ViT, "
            "ResNet and SmallConv; use 1 for this network"
        )
    top = max(found.values()) + 1
    found = {name: top if layer == _TOP else layer for name, layer in found.items()}
    return {n: jax.tree.map(lambda _, n=n: found[n], part) for n, part in params.items()}, top


_TOP = -1


def _layer(name: str) -> int | None:
    if name in ("patch_embed", "cls_token", "pos_embed", "mask_token", "register_tokens"):
        return 0
    if name == "norm":
        return _TOP
    if match := re.fullmatch(r"blocks_(\d+)", name):
        return int(match[1]) + 1
    if match := re.fullmatch(r"layer(\d+)_\d+", name):
        return int(match[1])
    if match := re.fullmatch(r"(?:conv|bn)(\d+)", name):
        return int(match[1]) - 1
    return None


def weak(view: ImageView) -> ImageView:
    """`view` without changes of colour, blur or small crops."""
    low, high = view.scale
    return dataclasses.replace(
        view,
        scale=(min(max(low, 0.5), high), high),
        jitter=0.0,
        grayscale=0.0,
        blur=0.0,
        solarize=0.0,
    )


def _one(
    encoder: Any,
    params: Any,
    stats: Any,
    train: Any,
    test: Any | None,
    view: ImageView | Prepare,
    protocol: FineTune,
    sharding: NamedSharding | None,
    seed: int,
) -> dict[str, float]:
    train, test = _parts(train, test, protocol, seed)
    size = min(protocol.batch, len(train))
    if sharding is not None:
        size -= size % sharding.mesh.size
        if not size:  # fewer labels than devices
            sharding, size = None, min(protocol.batch, len(train))

    def put(rows: dict[str, np.ndarray]) -> dict[str, Any]:
        """Every host has all rows, and gives its devices their share of them."""
        rows = {"mask": np.ones(size, bool)} | rows
        if sharding is None:
            return rows
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, sharding, lambda i: x[i]), rows
        )

    classes = len(train.classes)
    mesh = None if sharding is None else sharding.mesh
    run = _compiled(encoder, view, protocol, classes, mesh)
    batches = train.batches(size, seed=seed)
    rows = put(next(batches))
    net = run.start(params, stats, rows)
    opt = run.tx.init(run.trained(net))
    key = jax.random.key(seed)
    for i in range(protocol.steps):
        net, opt = run.step(net, opt, rows, jax.random.fold_in(key, i))
        rows = put(next(batches))
    if hasattr(batches, "close"):  # a generator, and the worker processes behind it
        batches.close()
    known = train.once(size)
    if len(train) > _SCORED:
        known = islice(train.batches(size, seed=seed), max(1, _SCORED // size))
    on_test, on_train = (
        sum(np.asarray(run.score(net, put(rows)), np.int64) for rows in part)
        for part in (test.once(size), known)
    )
    found = {"accuracy": on_test[0] / on_test[2], "train_accuracy": on_train[0] / on_train[2]}
    if classes > 5:
        found["top5"] = on_test[1] / on_test[2]
    return {name: float(value) for name, value in found.items()} | {"labels": float(len(train))}


class _Run(NamedTuple):
    """The compiled functions of one protocol, shared by all starts of the same network."""

    tx: optax.GradientTransformation
    trained: Any
    start: Any
    step: Any
    score: Any


@lru_cache(maxsize=4)
def _compiled(
    encoder: Any,
    view: ImageView | Prepare,
    protocol: FineTune,
    classes: int,
    mesh: Mesh | None = None,
) -> _Run:
    changed = {"weak": weak, "method": lambda v: v, "none": None}[protocol.augment]
    training = not protocol.frozen
    optimizer = Optimizer(
        name="adamw",
        learning_rate=protocol.learning_rate,
        per_batch=None,
        warmup=protocol.steps // 20,
        weight_decay=protocol.weight_decay,
    ).build(steps=protocol.steps, batch=protocol.batch)
    tx = optax.chain(optimizer, _scaled(protocol.layer_decay))

    def plain(rows: dict[str, jax.Array]) -> Any:
        return view.plain(rows["image"]) if hasattr(view, "plain") else view(rows)

    def augmented(key: jax.Array, rows: dict[str, jax.Array]) -> Any:
        if changed is None or not hasattr(view, "plain"):
            return plain(rows)
        return view_batch(changed(view), key, rows["image"])

    @within(mesh)
    def features(
        params: Any, stats: Any, x: Any, *, train: bool, key: jax.Array | None = None
    ) -> tuple[jax.Array, Any]:
        rngs = None if key is None else {"dropout": key}
        h, stats = nets.apply(encoder, params, stats, x, train=train, rngs=rngs)
        return h.astype(jnp.float32), stats

    def logits(net: _Net, h: jax.Array) -> jax.Array:
        mean, factor = net.scale
        return (h - mean) * factor @ net.params["kernel"] + net.params["bias"]

    @jax.jit
    def start(params: Any, stats: Any, rows: dict[str, jax.Array]) -> _Net:
        key = jax.random.key(0)
        h, _ = features(params, stats, plain(rows), train=training, key=key)
        mean, std = h.mean(0), h.std(0)
        alive = std > 1e-6 * jnp.maximum(jnp.abs(mean), std.max())
        factor = jnp.where(alive, 1 / jnp.where(alive, std, 1), 0)
        head = {"kernel": jnp.zeros((h.shape[1], classes)), "bias": jnp.zeros(classes)}
        return _Net({"encoder": params, **head}, stats, (mean, factor))

    def trained(net: _Net) -> Any:
        return {k: v for k, v in net.params.items() if training or k != "encoder"}

    @partial(jax.jit, donate_argnums=1)
    def step(net: _Net, opt: Any, rows: dict[str, jax.Array], key: jax.Array) -> tuple[_Net, Any]:
        x, dropout = augmented(key, rows), jax.random.fold_in(key, 1)

        def loss(moving: Any) -> tuple[jax.Array, Any]:
            params = net.params | moving
            h, stats = features(params["encoder"], net.stats, x, train=training, key=dropout)
            out = logits(net._replace(params=params), h)
            value = optax.softmax_cross_entropy_with_integer_labels(out, rows["label"])
            return value.mean(), stats

        moving = trained(net)
        grads, stats = jax.grad(loss, has_aux=True)(moving)
        updates, opt = tx.update(grads, opt, moving)
        params = net.params | optax.apply_updates(moving, updates)
        return net._replace(params=params, stats=stats), opt

    @jax.jit
    def score(net: _Net, rows: dict[str, jax.Array]) -> jax.Array:
        """[right, right among the best five, all] of a batch."""
        h, _ = features(net.params["encoder"], net.stats, plain(rows), train=False)
        out = logits(net, h)
        of_label = jnp.take_along_axis(out, rows["label"][:, None], axis=1)
        better = (out > of_label).sum(axis=1)
        # A network that gives NaN is right about nothing.
        fine = jnp.isfinite(of_label[:, 0]) & rows["mask"]
        return jnp.stack([((better < n) & fine).sum() for n in (1, 5)] + [rows["mask"].sum()])

    return _Run(tx, trained, start, step, score)


def _scaled(decay: float) -> optax.GradientTransformation:
    """Multiplies the updates of each layer, last: what moves is the rate, weight decay included."""

    def update(updates: Any, params: Any) -> Any:
        del params
        if decay == 1 or "encoder" not in updates:
            return updates
        order, top = layers(updates["encoder"])
        slower = jax.tree.map(lambda u, i: u * decay ** (top - i), updates["encoder"], order)
        return updates | {"encoder": slower}

    return optax.stateless(update)


def _parts(train: Any, test: Any | None, protocol: FineTune, seed: int) -> tuple[Any, Any]:
    """(labelled part, part to score on)."""
    labels = train.labels()
    kept = np.arange(len(train))
    if test is None:
        kept, held_out = stratified(labels, fraction=protocol.test_fraction, seed=seed)
        test = _rows(train, held_out)
    if protocol.per_class is not None:
        chosen = drawn(labels[kept], count=protocol.per_class, seed=seed)
    elif protocol.fraction < 1:
        # At least one of each class, whatever the share: the classifier has to know them all.
        groups = [np.flatnonzero(labels[kept] == c) for c in np.unique(labels[kept])]
        rng = np.random.default_rng(seed)
        chosen = np.concatenate(
            [rng.permutation(g)[: max(1, round(protocol.fraction * len(g)))] for g in groups]
        )
    else:
        chosen = np.arange(len(kept))
    kept = np.sort(kept[chosen])
    return (train if len(kept) == len(train) else _rows(train, kept)), test


def _rows(dataset: Any, index: np.ndarray) -> Arrays:
    """The examples numbered `index`, sorted, as a data set in memory with the same classes."""
    leaves = {k: v for k, v in dataset.spec.items() if k not in ("index", "mask")}
    each = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in leaves.values())
    if len(index) * each > _LARGEST:
        raise ValueError(
            f"{len(index):,} labelled examples take {len(index) * each / 2**30:.0f} GiB of memory: "
            "use fewer (fraction), or all of them with a test split of its own"
        )
    wanted = np.zeros(len(dataset), bool)
    wanted[index] = True
    parts: dict[str, list[np.ndarray]] = {name: [] for name in leaves}
    for rows in dataset.once(256):
        # A corrupt example on disk is replaced by its neighbour and masked out: it has no label.
        here = rows["mask"] & wanted[rows["index"]]
        for name, found in parts.items():
            found.append(rows[name][here])
    return Arrays(
        {name: np.concatenate(found) for name, found in parts.items()}, classes=dataset.classes
    )
