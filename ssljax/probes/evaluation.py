"""The evaluation of a run: the trained encoder beside a random one and the plainest features.

Labels are only ever read here. With test data the probes fit on the training data and score on the
test data; without, on stratified random splits of the training data, whose mean and standard
deviation are reported. The name of every number says its protocol; the notes spell it out.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ssljax.data.dataset import Dataset
from ssljax.probes.answers import Answers
from ssljax.probes.classifiers import Classifiers
from ssljax.probes.clustering import Clustering
from ssljax.probes.evaluator import Encoder, Evaluator, Material, Subject
from ssljax.probes.few_shot import FewShot
from ssljax.probes.heldout import HeldOut
from ssljax.probes.knn import KNN
from ssljax.probes.linear import Linear
from ssljax.probes.links import Links
from ssljax.probes.paired import Paired
from ssljax.probes.rank import Lidar, Spectrum
from ssljax.probes.responses import Responses
from ssljax.probes.retrieval import Retrieval

_QUICK = 10_000  # examples of each split during training
_EARLIER = {
    "shots": "few_shot=FewShot(shots=...)",
    "draws": "few_shot=FewShot(draws=...)",
    "least_squares": "few_shot=FewShot(least_squares=...)",
    "lidar_views": "lidar=Lidar(views=...)",
}
"""Fields until 2026-11, and what they are now."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured: evaluators in the order in which their numbers are shown, None for those
    that are left out (`--evaluation.no-knn`), and how much data they use.
    """

    heldout: HeldOut | None = HeldOut()
    """The method's own task, on test data."""
    answers: Answers | None = Answers()
    """Ratings and clicks, of methods that learn them."""
    paired: Paired | None = Paired()
    """Retrieval between two kinds of input, and zero-shot classes."""
    responses: Responses | None = Responses()
    """The true answer among wrong ones, of methods of pairs on dialogues."""
    links: Links | None = Links()
    """Held-out links between the nodes of a graph."""
    classifiers: Classifiers | None = Classifiers()
    """The method's own classifiers."""
    linear: Linear | None = Linear()
    """The linear probe on all labels."""
    knn: KNN | None = KNN()
    """Weighted k-nearest neighbours."""
    few_shot: FewShot | None = FewShot()
    """Probes on few labels of each class."""
    clustering: Clustering | None = Clustering()
    """k-means with as many clusters as classes, on the part that is scored."""
    retrieval: Retrieval | None = Retrieval()
    """Mean average precision and recall, each example of that part asking for the others."""
    spectrum: Spectrum | None = Spectrum()
    """Effective rank and spread of the features."""
    lidar: Lidar | None = Lidar()
    """Effective rank of what random views of an image have in common."""
    more: tuple[Evaluator, ...] = ()
    """Evaluators of one's own (`ssljax.probes.Evaluator`)."""
    compared: int = 5_000
    """Examples for clustering, retrieval and pairs at most, a random part of larger data."""
    split_seeds: int = 3
    """Random splits, for data without a test split."""
    test_fraction: float = 0.2
    """Share held out in each of those splits."""
    max_examples: int = 100_000
    """Examples of a split that are used at most, a random part of larger data."""

    def __new__(cls, **fields: Any) -> Self:
        for name in _EARLIER.keys() & fields.keys():
            raise ValueError(f"Evaluation({name}=...) is Evaluation({_EARLIER[name]}) now")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in self._parts:
            one = getattr(self, name)
            if one is not None and not isinstance(one, Evaluator):
                raise ValueError(
                    f"evaluation.{name} is {one!r}: it takes an evaluator of ssljax.probes with "
                    "its settings, or None to leave it out"
                )
        for name in ("split_seeds", "max_examples", "compared"):
            if getattr(self, name) < 1:
                raise ValueError(f"evaluation.{name} must be at least 1")
        if not 0 < self.test_fraction < 1:
            raise ValueError("evaluation.test_fraction must be between 0 and 1")
        for one in self.more:
            whole = isinstance(one, Evaluator) and dataclasses.is_dataclass(one)
            if not whole or isinstance(one, type):
                raise ValueError(
                    f"evaluation.more holds {one!r}, which is no evaluator: give it instances of "
                    "frozen dataclasses that inherit from ssljax.probes.Evaluator and have `run`"
                )

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        """All that are on, in order."""
        parts = (getattr(self, name) for name in self._parts)
        return (*(one for one in parts if one is not None), *self.more)

    @property
    def _parts(self) -> list[str]:
        """The fields that hold an evaluator or None: all before `more`."""
        names = [field.name for field in dataclasses.fields(self)]
        return names[: names.index("more")]

    @property
    def settings(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        found = dataclasses.asdict(self)  # and of what it holds
        named = zip(self.more, found["more"], strict=True)
        return found | {"more": [{"evaluator": type(one).__name__, **of} for one, of in named]}

    def material(
        self,
        train: Dataset,
        test: Dataset | None,
        *,
        batch: int,
        own: tuple[Dataset, Dataset | None] | None = None,
        name: str | None = None,
    ) -> Material:
        """The data with how much of it is used. own: the data of the run, where its probes use
        other data, which is called `name`.
        """
        return Material(
            train=train,
            test=test,
            own=(train, test) if own is None else own,
            batch=batch,
            name=name,
            max_examples=self.max_examples,
            compared=self.compared,
            split_seeds=self.split_seeds,
            test_fraction=self.test_fraction,
        )


def evaluate(
    evaluation: Evaluation, encoders: Mapping[str, Encoder], data: Material
) -> dict[str, Any]:
    """All numbers of all encoders, ready for JSON.

    Args:
      encoders: by name, such as trained, random and pixels. data: see `Evaluation.material`.
    Returns: {"protocol": {...}, "encoders": {name: {metric: mean, metric_std: ...}}, "notes":
      [...]}; shares in [0, 1], and "decimals" of what evaluators of one's own measure otherwise.
      Without labels only what needs none is there; of data with labels in part, that part is used.
    Raises: ValueError where the classes of train and test differ, features are not finite, or two
      evaluators measure something of the same name.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, encoder in encoders.items():
        subject = Subject(encoder, data)
        rows[name] = _run(evaluation.evaluators, subject)
        rows[name]["dimensions"] = float(subject.features.shape[1])
    results: dict[str, Any] = {
        "protocol": evaluation.settings | _facts(data),
        "encoders": rows,
        "decimals": {k: v for one in evaluation.evaluators for k, v in one.decimals.items()},
    }
    about = _about_data(results)
    notes = about + [line for one in evaluation.evaluators for line in one.describe(results)]
    return results | {"notes": notes}


def quick(evaluation: Evaluation, encoder: Encoder, data: Material) -> dict[str, float]:
    """What is cheap of the same, during training, on at most 10,000 examples of each split.

    Without test data it is the first of the random splits. A bank smaller than the whole training
    data gives lower accuracy than `evaluate`.
    """
    limit = min(_QUICK, data.max_examples)
    data = dataclasses.replace(data, max_examples=limit, asked=limit, split_seeds=1)
    found = _run([one for one in evaluation.evaluators if one.quick], Subject(encoder, data))
    return {k: v for k, v in found.items() if not k.startswith("items_")}


def _run(evaluators: Any, subject: Subject) -> dict[str, float]:
    row: dict[str, float] = {}
    for one in evaluators:
        found = {str(name): float(value) for name, value in one.run(subject).items()}
        if twice := sorted(row.keys() & found.keys()):
            raise ValueError(
                f"{type(one).__name__} measures {twice[0]}, and another evaluator has measured a "
                "number of this name: rename it"
            )
        row |= found
    return row


def _facts(data: Material) -> dict[str, Any]:
    """How much data there is, and how far chance gets in it."""
    limit = data.max_examples
    facts = {
        "probe_data": data.name,
        "train_examples": min(len(data.train), limit),
        "labelled_examples": min(len(data.known), limit) if data.labelled else 0,
        "test_examples": None if data.scored is None else min(len(data.scored), limit),
        "classes": data.classes if data.labelled else None,
    }
    if not data.labelled:
        return facts
    scored = data.known if data.scored is None else data.scored
    labels = scored.labels()
    assert labels is not None and scored.classes is not None
    count = np.bincount(labels)
    largest = int(count.argmax())
    return facts | {
        "scored_classes": int((count > 0).sum()),
        "largest_class": scored.classes[largest],
        "majority": float(count[largest] / count.sum()),
    }


def _about_data(results: dict[str, Any]) -> list[str]:
    """What the data is, and whether it takes an encoder to be right about it."""
    p = results["protocol"]
    facts = f"{p['train_examples']:,} training examples"
    if p["probe_data"] is not None:
        facts += f" of {p['probe_data']}, which is not what the encoder was trained on"
    if 0 < p["labelled_examples"] < p["train_examples"]:
        facts += f", the {p['labelled_examples']:,} of them that have a label"
    if p["classes"] is None:
        unlabelled = "not labelled (or not in both splits), so there are no accuracies"
        return [f"data: {facts}, {unlabelled}"]
    if p["test_examples"] is not None:
        lines = [f"data: {facts}, scored on the {p['test_examples']:,} of the test split"]
    else:
        lines = [
            f"data: no test split: {facts} in {p['split_seeds']} stratified random splits, "
            f"{p['test_fraction']:.0%} held out; ± is the standard deviation over splits",
        ]
    name = p["largest_class"]
    if p["scored_classes"] == 1:
        only = f"all scored examples are of one class, {name}: accuracies tell nothing"
        return [*lines, only]
    lines.append(
        f"chance: {p['majority']:.1%}, by always saying {name}, the largest class of those"
    )
    for encoder, row in results["encoders"].items():
        found = [v for k, v in row.items() if k in _ACCURACIES]
        if found and max(found) <= p["majority"]:
            lines.append(f"{encoder} is no better than chance")
    return lines


_ACCURACIES = ("accuracy", "linear_offline", "knn20_t0.07", "knn200_t0.1")
