"""The evaluation of a run: the trained encoder beside a random one and the plainest features.

Labels are only ever read here. With a test split the probes fit on the training split and score on
the test split; without one, on stratified random splits of the training data, whose mean and
standard deviation are reported. The name of every number says its protocol; `describe` spells it
out.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ssljax.data.dataset import labelled_part
from ssljax.probes.clustering import clustering
from ssljax.probes.knn import PROTOCOLS, nearest, vote
from ssljax.probes.least_squares import least_squares
from ssljax.probes.linear import L2, VALIDATION, few_shot, linear
from ssljax.probes.rank import feature_std, lidar, rankme
from ssljax.probes.retrieval import retrieval
from ssljax.probes.splits import check, same_classes, some, stratified, with_labels

Embed = Callable[[dict[str, np.ndarray]], Any]
"""Batch of NumPy arrays -> features [B, D]."""
EmbedViews = Callable[[dict[str, np.ndarray], int], Any]
"""Batch of NumPy arrays and q -> features of q random views of each example, [B, q, D]."""
_QUICK = 10_000  # examples of each split in `quick`
_LIDAR = 1000  # images for LiDAR, as in the paper


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Which probes the final evaluation runs."""

    knn: tuple[str, ...] = tuple(PROTOCOLS)
    """Weighted k-NN protocols, by name."""
    linear: bool = True
    """Offline linear probe on all labels."""
    shots: tuple[int, ...] = (1, 5, 10)
    """Labelled examples of each class for the few-shot probes."""
    least_squares: bool = True
    """Few-shot least squares beside few-shot logistic regression."""
    draws: int = 10
    """Random choices of the few-shot examples."""
    clustering: bool = True
    """k-means with as many clusters as classes, on the part that is scored."""
    retrieval: bool = True
    """Mean average precision and recall, each example of that part asking for the others."""
    compared: int = 5_000
    """Examples for clustering and retrieval at most, a random part of larger data."""
    lidar_views: int = 10
    """Random views of each of 1000 training images for LiDAR, 50 in the paper; 0 leaves it out."""
    split_seeds: int = 3
    """Random splits, for data without a test split."""
    test_fraction: float = 0.2
    """Share held out in each of those splits."""
    max_examples: int = 100_000
    """Examples of a split that are used at most, a random part of larger data."""

    def __post_init__(self) -> None:
        for name in self.knn:
            if name not in PROTOCOLS:
                raise ValueError(f"evaluation.knn {name!r}: choose from {', '.join(PROTOCOLS)}")
        for name in ("draws", "split_seeds", "max_examples", "compared"):
            if getattr(self, name) < 1:
                raise ValueError(f"evaluation.{name} must be at least 1")
        if self.lidar_views < 0 or self.lidar_views == 1:
            raise ValueError("evaluation.lidar_views must be 2 or more, or 0 for none")
        if any(n < 1 for n in self.shots) or not 0 < self.test_fraction < 1:
            raise ValueError("evaluation.shots must be 1 or more, test_fraction between 0 and 1")


def features(
    embed: Embed, dataset: Any, *, batch: int, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features of a data set in its own order, padding dropped.

    Args:
      embed: batch -> features [B, D].
      dataset: as in `ssljax.data`: `once(batch)` yields padded batches with a boolean "mask".
      limit: stop after the first so many examples.
    Returns: (x float32 [N, D], y int32 [N], or None for data without labels).
    Raises: ValueError where features are not [B, D] or not finite.
    """
    return _collect(embed, dataset.once(batch), limit or len(dataset), labelled=dataset.labelled)


def evaluate(
    *,
    encoders: dict[str, Embed],
    train: Any,
    test: Any | None,
    protocol: Evaluation,
    batch: int,
    views: Mapping[str, EmbedViews] | None = None,
    classifiers: Mapping[str, Mapping[str, Embed]] | None = None,
) -> dict[str, Any]:
    """All numbers of all encoders, ready for JSON.

    Args:
      encoders: name -> embed, such as trained, random and pixels.
      train, test: data sets as in `ssljax.data`; test may be None.
      protocol: what to compute. batch: examples in a batch.
      views: features of random views, for LiDAR, of those encoders that have some.
      classifiers: of the encoders that have classifiers of their own: see `accuracies`.
    Returns: {"protocol": {...}, "encoders": {name: {metric: mean, metric_std: ...}}, "notes":
      [...]}; accuracies in [0, 1]. Without labels only rankme, lidar and feature_std are there;
      of data with labels in part, that part is used. The notes are those of `describe`.
    Raises: ValueError where the classes of train and test differ, or features are not finite.
    """
    labelled = train.labelled and (test is None or test.labelled)
    if labelled and test is not None:
        same_classes(train.classes, test.classes)
    known = labelled_part(train) if labelled else train
    test = labelled_part(test) if labelled and test is not None else test
    facts = {
        **asdict(protocol),
        "train_examples": min(len(train), protocol.max_examples),
        "labelled_examples": min(len(known), protocol.max_examples) if labelled else 0,
        "test_examples": None if test is None else min(len(test), protocol.max_examples),
        "classes": len(train.classes) if labelled else None,
    }
    if labelled:
        facts |= _largest_class(known if test is None else test)
    rows = {}
    for name, embed in encoders.items():
        x, y = _sample(embed, train, batch, protocol.max_examples)
        rows[name] = {"rankme": rankme(x)}
        if protocol.lidar_views and views is not None and name in views:
            rows[name] |= _lidar(views[name], train, batch, protocol.lidar_views)
        rows[name] |= {"feature_std": feature_std(x), "dimensions": float(x.shape[1])}
        if labelled and known is not train:
            x, y = _sample(embed, known, batch, protocol.max_examples)
        if labelled and test is not None:
            parts = [(x, y, *_sample(embed, test, batch, protocol.max_examples))]
        elif labelled:
            splits = (
                stratified(y, fraction=protocol.test_fraction, seed=seed)
                for seed in range(protocol.split_seeds)
            )
            parts = [(x[kept], y[kept], x[held_out], y[held_out]) for kept, held_out in splits]
        else:
            continue
        rows[name] = _scores(parts, protocol, len(train.classes)) | rows[name]
        own = (classifiers or {}).get(name, {})
        rows[name] = accuracies(own, test, batch=batch, limit=protocol.max_examples) | rows[name]
    results: dict[str, Any] = {"protocol": facts, "encoders": rows}
    return results | {"notes": describe(results)}


def _largest_class(scored: Any) -> dict[str, Any]:
    """What says how far chance gets: the share of the largest class among the scored examples."""
    count = np.bincount(scored.labels())
    largest = int(count.argmax())
    return {
        "scored_classes": int((count > 0).sum()),
        "largest_class": scored.classes[largest],
        "majority": float(count[largest] / count.sum()),
    }


def quick(embed: Embed, train: Any, test: Any | None, *, batch: int) -> dict[str, float]:
    """k-NN during training, on at most 10,000 examples of each split; seconds.

    Without a test split it is the first of the random splits. A bank smaller than the whole
    training split gives lower accuracy than `evaluate`. Without labels: rankme and feature_std.
    """
    labelled = train.labelled and (test is None or test.labelled)
    x, y = _sample(embed, with_labels(train) if labelled else train, batch, _QUICK)
    if not labelled:
        return {"rankme": rankme(x), "feature_std": feature_std(x)}
    if test is not None:
        part = (x, y, *_sample(embed, with_labels(test), batch, _QUICK))
    else:
        kept, held_out = stratified(y, fraction=Evaluation().test_fraction, seed=0)
        part = (x[kept], y[kept], x[held_out], y[held_out])
    return _neighbours(part, tuple(PROTOCOLS), len(train.classes))


def accuracies(
    classifiers: Mapping[str, Embed], test: Any | None, *, batch: int, limit: int = _QUICK
) -> dict[str, float]:
    """Accuracies on the test split of classifiers that a method has trained itself.

    Args:
      classifiers: name of the accuracy -> batch to logits [B, K].
      test: None or without labels: there are no numbers. limit: a random part of larger data.
    Returns: {name: accuracy}, and with several "agreement", how often they all say the same.
    """
    if not classifiers or test is None or not test.labelled:
        return {}
    found, said, test = {}, [], with_labels(test)
    for name, predict in classifiers.items():
        logits, y = _sample(predict, test, batch, limit)
        said.append(np.argmax(logits, axis=1))
        found[name] = float(np.mean(said[-1] == y))
    if len(said) > 1:
        found["agreement"] = float(np.mean(np.all(np.array(said) == said[0], axis=0)))
    return found


def _scores(parts: list[Any], protocol: Evaluation, classes: int) -> dict[str, float]:
    """Mean over splits (and draws), with the standard deviation where there are several."""
    values: dict[str, list[float]] = {}
    for seed, part in enumerate(parts):
        found: dict[str, Any] = {}
        if protocol.linear:
            result = linear(*part, classes=classes, seed=seed)
            found["linear_offline"] = result["accuracy"]
            found["linear_offline_train"] = result["train_accuracy"]
            found["linear_offline_l2"] = result["l2"]
        found |= _neighbours(part, protocol.knn, classes)
        shots = {"shots": protocol.shots, "draws": protocol.draws}
        for n, scores in few_shot(*part, classes=classes, seed=seed, **shots).items():
            found[f"linear_{n}shot"] = scores
        if protocol.least_squares:
            for n, scores in least_squares(*part, classes=classes, seed=seed, **shots).items():
                found[f"lsq_{n}shot"] = scores
        found |= _structure(part, protocol, classes, seed)
        for name, value in found.items():
            values.setdefault(name, []).extend(np.atleast_1d(value).tolist())
    row = {}
    for name, several in values.items():
        row[name] = float(np.mean(several))
        if len(several) > 1 and not name.endswith("_l2"):
            row[f"{name}_std"] = float(np.std(several, ddof=1))
    return row


def _structure(part: Any, protocol: Evaluation, classes: int, seed: int) -> dict[str, float]:
    """What the scored part looks like by itself: nothing is fitted on labels."""
    _, _, x, y = part
    if len(x) > protocol.compared:
        rows = np.random.default_rng(seed).permutation(len(x))[: protocol.compared]
        x, y = x[rows], y[rows]
    found = {}
    if protocol.clustering:
        groups = clustering(x, y, classes=classes, seed=seed)
        found |= {f"kmeans_{name}": value for name, value in groups.items()}
    if protocol.retrieval:
        answers = retrieval(x, y, classes=classes)
        found |= {f"retrieval_{name}": value for name, value in answers.items()}
    return found


def _lidar(views: EmbedViews, train: Any, batch: int, count: int) -> dict[str, float]:
    """{"lidar": ...} of at most 1000 training images, or {} where their views do not differ."""
    parts: list[np.ndarray] = []
    for rows in some(train, batch, _LIDAR):
        mask = rows.get("mask", np.ones(len(rows["index"]), bool))
        parts.append(np.asarray(views(rows, count), np.float32)[mask])
        if sum(map(len, parts)) >= _LIDAR:
            break
    x = np.concatenate(parts)[:_LIDAR]
    return {} if len(x) < 2 or not np.ptp(x, axis=1).any() else {"lidar": lidar(x)}


def _neighbours(part: Any, names: tuple[str, ...], classes: int) -> dict[str, float]:
    """k-NN accuracy by protocol; the neighbours are searched once for all of them."""
    train_x, train_y, test_x, test_y = part
    check(train_x, train_y, classes, "training data")
    check(test_x, test_y, classes, "test data")
    if not names:
        return {}
    largest = max(int(PROTOCOLS[name]["k"]) for name in names)
    similarity, index = nearest(train_x, test_x, k=largest)
    found = {}
    for name in names:
        options = {"k": int(PROTOCOLS[name]["k"]), "temperature": PROTOCOLS[name]["temperature"]}
        ids = vote(similarity, train_y[index], classes=classes, **options)
        found[name] = float(np.mean(ids == test_y))
        if options["k"] > len(train_x):
            found[f"{name}_used_k"] = float(len(train_x))
    return found


def _collect(
    embed: Embed, batches: Any, limit: int, *, labelled: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    for rows in batches:
        x = np.asarray(embed(rows), np.float32)
        if x.ndim != 2 or len(x) != len(rows["index"]):
            raise ValueError(f"features must be [B, D], one row an example, not {x.shape}")
        mask = rows.get("mask", np.ones(len(x), bool))
        if not np.isfinite(x[mask]).all():
            bad = int((~np.isfinite(x[mask]).all(axis=1)).sum())
            raise ValueError(
                f"the encoder gives NaN or infinite features for {bad} of {mask.sum()} examples, "
                f"first index {rows['index'][mask][~np.isfinite(x[mask]).all(axis=1)][0]}"
            )
        xs.append(x[mask])
        if labelled:
            ys.append(rows["label"][mask])
        if sum(map(len, xs)) >= limit:
            break
    return np.concatenate(xs)[:limit], np.concatenate(ys)[:limit] if labelled else None


def _sample(
    embed: Embed, dataset: Any, batch: int, limit: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features of all examples, or of a random `limit` of them: data on disk is often sorted."""
    full = len(dataset) if len(dataset) <= limit else len(dataset) // batch * batch
    rows = some(dataset, batch, limit)
    return _collect(embed, rows, min(limit, full), labelled=dataset.labelled)


def describe(results: dict[str, Any]) -> list[str]:
    """What the numbers of `evaluate` are: protocols, data, what mean and ± are taken over."""
    p = results["protocol"]
    rows = results["encoders"].values()
    facts = [f"{p['train_examples']:,} training examples"]
    if 0 < p.get("labelled_examples", 0) < p["train_examples"]:
        facts = [f"{facts[0]}, the {p['labelled_examples']:,} of them that have a label"]
    ranks = [
        "rankme, feature_std: effective rank of the training features, and their spread on the "
        "sphere (1/sqrt(D) is isotropic)"
    ]
    if any("lidar" in row for row in rows):
        ranks.append(
            f"lidar: effective rank of an LDA that tells {min(p['train_examples'], _LIDAR):,} "
            f"training images apart, {p['lidar_views']} random views each"
        )
    if any(key.startswith("heldout_") for row in rows for key in row):
        ranks.append(
            "heldout: what the method itself predicts, over the whole test split, each token (or "
            "part of an input) counted alike; loss in nats, perplexity its exponential"
        )
    ranks += _describe_pairs(results)
    if p["classes"] is None:
        unlabelled = "not labelled (or not in both splits), so there are no accuracies"
        return [f"data: {facts[0]}, {unlabelled}", *ranks]
    if p["test_examples"] is not None:
        lines = [f"data: {facts[0]}, scored on the {p['test_examples']:,} of the test split"]
        over = ""
    else:
        lines = [
            f"data: no test split: {facts[0]} in {p['split_seeds']} stratified random splits, "
            f"{p['test_fraction']:.0%} held out; ± is the standard deviation over splits",
        ]
        over = f" x {p['split_seeds']} splits"
    lines += _describe_chance(results)
    if any("accuracy" in row for row in rows):
        lines.append(
            "accuracy: the method's own classifier, with the moving average of its weights if it "
            "has one; accuracy_online: without; agreement: how often both say the same"
        )
    if p["linear"]:
        lines.append(
            "linear_offline: logistic regression on frozen, standardised features; l2 from "
            f"{L2[-1]:g} to {L2[0]:g} chosen on {VALIDATION:.0%} of the training part, then all "
            "of it fitted"
        )
    for name in p["knn"]:
        k, t = PROTOCOLS[name]["k"], PROTOCOLS[name]["temperature"]
        used = [row.get(f"{name}_used_k") for row in rows]
        short = f", only {used[0]:.0f} here: there are no more" if used and used[0] else ""
        lines.append(f"{name}: weighted k-nearest neighbours by cosine, k {k:g}{short}, T {t:g}")
    if p["shots"]:
        lines.append(
            f"linear_Nshot: the same with N labels a class and l2 = 1/(labels), fixed; mean ± "
            f"standard deviation over {p['draws']} draws{over}"
        )
        if p["least_squares"]:
            lines.append(
                "lsq_Nshot: ridge regression onto the classes with the constants of big_vision, on "
                "the same draws"
            )
    scored = p["test_examples"] or round(p["test_fraction"] * p["train_examples"])
    some = f"{min(scored, p['compared']):,} scored examples"
    if p["clustering"]:
        lines.append(
            f"kmeans: {p['classes']} spherical clusters of {some}: accuracy under the best map of "
            "clusters to classes, normalised mutual information, adjusted Rand index"
        )
    if p["retrieval"]:
        lines.append(
            f"retrieval: each of {some} ranks the others by cosine; those of its class are right: "
            "mean average precision, and how often one of them is among the first k"
        )
    return lines + ranks


def _describe_chance(results: dict[str, Any]) -> list[str]:
    """What the scored examples are, and whether it takes an encoder to be right about them."""
    p = results["protocol"]
    if "majority" not in p:  # a run of an older version
        return []
    name = p["largest_class"]
    if p["scored_classes"] == 1:
        return [f"all scored examples are of one class, {name}: accuracies tell nothing"]
    lines = [f"chance: {p['majority']:.1%}, by always saying {name}, the largest class of those"]
    for encoder, row in results["encoders"].items():
        found = [row[k] for k in ("accuracy", "linear_offline", *p["knn"]) if k in row]
        if found and max(found) <= p["majority"]:
            lines.append(f"{encoder} is no better than chance")
    return lines


def _describe_pairs(results: dict[str, Any]) -> list[str]:
    rows = results["encoders"].values()
    sizes = {k: v for row in rows for k, v in row.items() if k.startswith("items_")}
    if not sizes:
        return []
    items = " and ".join(f"{v:,.0f} {k.removeprefix('items_')}" for k, v in sizes.items())
    lines = [
        f"A_to_B_r@k: of all different inputs A, those that have a right one among the first k "
        f"different B by cosine, ties counted as wrong; {items}, right are "
        + (
            "all of the same class (class_r@k), not the one partner: with several of them k above "
            "1 rewards a ranking that mixes classes, so compare with the random encoder"
            if any("_class_r@" in k for row in rows for k in row)
            else "the partners"
        )
    ]
    if any("zero_shot" in row for row in rows):
        lines.append(
            "zero_shot: nearest class by cosine with the mean of all that stands for it, such as "
            "its name in all templates; training saw the same classes where its pairs were made of "
            "their labels"
        )
    return lines


_HIDDEN = ("_std", "_train", "_l2", "_used_k")
_NUMBERS = {
    **{"rankme": 1, "lidar": 1, "feature_std": 4, "dimensions": 0, "labels": 0},
    **{"heldout_loss": 4, "heldout_perplexity": 2, "heldout_bits_per_byte": 4},
    **{"heldout_unigram_loss": 4},
    **{"items_image": 0, "items_text": 0, "items_audio": 0},
}
"""What is no share, with its decimals."""


def table(results: dict[str, Any]) -> str:
    """Aligned columns, metrics by encoders; accuracies in percent."""
    rows = results["encoders"]
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    names = [n for n in names if n in _NUMBERS or not n.endswith(_HIDDEN)]
    lines = [["", *rows]] + [[n, *(cell(row, n) for row in rows.values())] for n in names]
    return aligned(lines)


def aligned(lines: list[list[str]]) -> str:
    """Cells as text in columns, the first one to the left and all others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def cell(row: dict[str, float], name: str) -> str:
    """A number of `evaluate` as text; "-" where the row does not have it."""
    if name not in row:
        return "-"
    if name in _NUMBERS:
        return f"{row[name]:,.{_NUMBERS[name]}f}"
    spread = f" ± {100 * row[f'{name}_std']:.1f}" if f"{name}_std" in row else ""
    return f"{100 * row[name]:.1f}{spread}"
