"""Where pseudo-labels come from: a trained model, rules, clusters or neighbours.

Each source is a frozen dataclass that is called with a `LabelContext`, all that may be known when
labels are made, and returns a `Guess` on the whole pool. None of them ever sees the truth of the
pool.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import jax
import numpy as np
from scipy import sparse

from ssljax.clustering import agglomerative, gaussian_mixture, kmeans, log_joint
from ssljax.pseudolabels import graph, rules
from ssljax.pseudolabels.labels import Guess
from ssljax.tasks.target import Target, Targets

_FEW = 5  # labels of a class
Whose = Literal["teacher", "pretrained"]
"""Whose features: of the last network, or of what it began from, which no label has moved."""


class Teacher(Protocol):
    """A trained model, whatever it is made of."""

    def guess(self, data: Any, *, views: int = 0, seed: int = 0) -> Guess:
        """Targets of all examples of a data set, averaged over `views` random views if any."""
        ...

    def features(self, data: Any) -> np.ndarray:
        """Features of all examples, float32 [N, D]."""
        ...

    def costs(self, data: Any) -> dict[str, float]:
        """What it says of the truth of `data`, where its target asks that (`Target.costs`)."""
        return {}


class LabelContext(NamedTuple):
    """pool: the data without its labels. index, truth: the labelled examples [L] and their true
    targets. target: their kind. seed: of this round. earlier: p of the rounds before, each [N, K].
    pretrained: what training began from and has `features`, if anything.
    """

    teacher: Teacher
    pool: Any
    index: np.ndarray
    truth: Targets
    target: Target
    seed: int
    earlier: tuple[np.ndarray, ...] = ()
    pretrained: Any = None

    def features(self, of: Whose) -> np.ndarray:
        """float32 [N, D] of the pool. Raises: ValueError where nothing was pretrained."""
        if of == "teacher":
            return self.teacher.features(self.pool)
        if self.pretrained is None:
            raise ValueError(
                "there are no pretrained features: name a pretraining (pretrain or begin), or take "
                "those of the teacher"
            )
        return self.pretrained.features(self.pool)

    @property
    def classes(self) -> np.ndarray:
        """Those of the labelled examples, int [L]. Raises: ValueError where there are none."""
        return self.target.hard(self.truth)


@dataclass(frozen=True, kw_only=True)
class Model:
    """What the teacher predicts; an ensemble, if it is one."""

    views: int = 0
    """Random views over which the prediction of each example is averaged; 0: the example itself."""

    def __call__(self, context: LabelContext) -> Guess:
        return context.teacher.guess(context.pool, views=self.views, seed=context.seed)

    def limits(self, shares: np.ndarray, few: int) -> list[str]:
        """What is known not to work; see `Rounds.limits`."""
        if few >= _FEW:
            return []
        return [
            f"{few} labels of a class: so few that a network which labels for itself may gain "
            "little (published, CIFAR-10, 40 labels: 76.3% error, 77.6% without). Labels of "
            "neighbours or clusters in pretrained features need no classifier"
        ]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Labelling functions: each is called with a batch of rows and returns int [B], or -1s.

    Rows of text bring "text", a list of str [B], as well (`rules.Matches`).
    """

    functions: tuple[Any, ...]
    """Frozen dataclasses with `__call__`, so that a run can be recorded."""
    combine: Literal["majority", "model"] = "model"
    """Count votes, or estimate how accurate each rule is, from each other and the known labels."""
    prior: tuple[float, ...] | None = None
    """Shares of the classes among the examples with a vote, for the model; None: equal."""
    batch: int = 1024

    def __call__(self, context: LabelContext) -> Guess:
        classes = context.target.require_classes("labelling by rules")
        parts = []
        for rows in context.pool.once(self.batch):
            if context.pool.readable is not None:
                rows["text"] = context.pool.readable(rows)
            votes = np.stack([np.asarray(rule(rows)) for rule in self.functions], axis=1)
            parts.append(votes[rows["mask"]])
        votes = np.concatenate(parts)
        if self.combine == "majority":
            return Guess.of(rules.majority(votes, classes=classes))
        found = {"prior": self.prior, "known": (context.index, context.classes)}
        return Guess.of(rules.label_model(votes, classes=classes, **found)[0])


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Clusters of features, each named after the labelled examples in it.

    A cluster without any abstains; confidence is the share of its labelled examples that agree, for
    a mixture averaged over the components.
    """

    kind: Literal["kmeans", "mixture", "agglomerative"] = "kmeans"
    clusters: int = 50
    tries: int = 5
    """Starts of k-means."""
    features: Whose = "teacher"

    def __call__(self, context: LabelContext) -> Guess:
        classes = context.target.require_classes("labelling by clusters")
        x = context.features(self.features)
        key, k = jax.random.key(context.seed), self.clusters
        if self.kind == "mixture":
            fit = gaussian_mixture(x, k, key=key, covariance="diag", reg=1e-3)
            share = np.asarray(jax.nn.softmax(log_joint(x, fit.mixture), axis=1), np.float64)
        else:
            if self.kind == "kmeans":
                found = kmeans(x, k, key=key, tries=self.tries).assignments
            else:
                found = agglomerative(x, k)
            share = np.eye(k)[np.asarray(found)]
        return Guess.of(named(share, context.index, context.classes, classes=classes))


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """The labels of the nearest examples, by their features or by the links between them."""

    rule: Literal["vote", "propagation", "spreading"] = "spreading"
    """The nearest labelled ones, or over a graph of all examples."""
    by: Literal["features", "links"] = "features"
    """Neighbours are the `k` most similar, or those that a graph as data links."""
    k: int = 10
    temperature: float = 0.1
    alpha: float = 0.9
    """Share of the neighbours in spreading."""
    features: Whose = "teacher"

    def __post_init__(self) -> None:
        if self.by == "links" and self.rule == "vote":
            raise ValueError("by links labels spread or propagate: choose another rule than vote")

    def __call__(self, context: LabelContext) -> Guess:
        classes = context.target.require_classes("labelling by neighbours")
        if self.by == "links":
            return Guess.of(self._spread(_links(context.pool), context, classes))
        x = context.features(self.features)
        if self.rule == "vote":
            similarity, at = graph.nearest(x[context.index], x, k=self.k)
            p = graph.vote(
                similarity, context.classes[at], classes=classes, temperature=self.temperature
            )
            return Guess.of(p)
        w = graph.neighbour_graph(x, k=self.k, temperature=self.temperature)
        return Guess.of(self._spread(w, context, classes))

    def _spread(self, w: sparse.csr_matrix, context: LabelContext, classes: int) -> np.ndarray:
        where = {"index": context.index, "labels": context.classes, "classes": classes}
        if self.rule == "propagation":
            return graph.propagation(w, **where)
        return graph.spreading(w, **where, alpha=self.alpha)


def _links(pool: Any) -> sparse.csr_matrix:
    """How often two examples are linked, symmetric, [N, N]."""
    if pool.links is None:
        raise ValueError("neighbours by links: these examples are no nodes of a graph")
    source, target = pool.links.T
    w = sparse.csr_matrix((np.ones(len(source)), (source, target)), shape=2 * (len(pool),))
    return w.maximum(w.T).tocsr()


def named(share: np.ndarray, index: np.ndarray, labels: np.ndarray, *, classes: int) -> np.ndarray:
    """Probabilities [N, K] from shares of clusters [N, C] and labels [L] of the examples index [L].

    p_i = sum over clusters that hold a labelled example of share_ic times its mix of labels; what
    lies in other clusters is missing from the sum, so that the most probable class is less sure.
    """
    mass = share[index].T @ np.eye(classes)[labels]
    total = mass.sum(1, keepdims=True)
    # Less than a thousandth of an example is a tail of a Gaussian and no example.
    mix = np.divide(mass, total, out=np.zeros_like(mass), where=total > 1e-3)
    return np.minimum(share @ mix, 1.0)
