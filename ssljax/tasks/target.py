"""Target: one kind of thing that a network is asked for, such as a class, a set or a text.

Whatever makes, chooses, measures or stores targets asks the target, so that generation, selection,
refinement and rounds of pseudo-labels are written once for all tasks. A pseudo-label is a target
with a weight, of the same type as the ground truth.

A target of several examples is an array [B, ...] or a dict of such arrays (`Targets`): JAX arrays
inside a network, NumPy arrays on the host. What differs in size is padded. Weights and confidences
are of the examples, [B], or of their parts (pixels, boxes, tokens), [B, ...].

A kind of target is a frozen dataclass, one a file, that subclasses `Target`: a member with a body
here is a default, whose docstring says what it means; every other one must be written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import numpy as np
import pyarrow as pa

from ssljax.measure import Measure

Array = np.ndarray | jax.Array
Targets = Array | dict[str, Array]
"""Targets of B examples: [B, ...], or a dict of arrays [B, ...]."""
Rows = Mapping[str, Array]
"""Leaves of a batch by name, each [B, ...]."""


class Examples(NamedTuple):
    """What a file of labels says of the examples that are labelled.

    names: [n], the file or the row of each. rows: their leaves [n, ...], without the truth.
    classes: names of the classes, or None. texts: [n], what a person reads in each, or None.
    seconds: [n], how long each recording is, or None.
    """

    names: Sequence[str]
    rows: Rows
    classes: Sequence[str] | None = None
    texts: Sequence[str] | None = None
    seconds: Sequence[float] | None = None


class Target(Protocol):
    """One kind of thing that a network is asked for."""

    leaves: tuple[str, ...]
    """Names of the leaves of a batch that hold the truth; they are hidden from whoever labels. None
    may be "mask" or "index", which batches have already."""
    reads: str = "__call__"
    """The method of the encoder whose output the head reads: "__call__" for features [B, D],
    "tokens" for states [B, L, D], "maps" for feature maps [B, h, w, D], "levels" for a tuple of the
    images and maps of falling size, "memory" for what a decoder reads, or another one that gives
    arrays [B, ...]; beside them may stand some that are of the network and of no example."""

    @property
    def measure(self) -> Measure:
        """The number of the task, one of `score`: its name, unit and which way is better."""
        ...

    @property
    def shown(self) -> tuple[Measure, ...]:
        """The numbers of `quality` that tables show, the most telling first."""
        ...

    drops: bool = True
    """Whether `Task.dropout` may leave out numbers of what the head reads. False where these are
    parameters too: such networks have rates of their own."""

    # The network, inside jit.

    @property
    def networks(self) -> dict[str, Any]:
        """Parts of the head that other libraries and pretraining know too, by the name under which
        all of them keep them, such as "decoder". None by default. Called by exports and `begin`."""
        return {}

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        """The network from what the encoder gives (`reads`) to outputs, a pytree of arrays [B, ...]
        float32. It is called with that and with `train`.

        hidden: widths of hidden layers, where a head has some.
        """
        ...

    def asked(self, read: Any, batch: Rows, target: Targets | None) -> Any:
        """What the head is called with. What the encoder gives by default.

        read: that. batch: the leaves that the network saw. target: true or pseudo ones in training,
        for a head that writes its answer part by part and is told what comes before each; None
        where it answers alone, which may be in another form than `loss` takes.
        """
        return read

    def loss(self, outputs: Any, target: Targets, weight: jax.Array) -> jax.Array:
        """[B] float32, not negative, weighted.

        weight: [B], or of the parts [B, ...]: what weighs 0 gives no gradient. What an example
        weighs must not depend on its padding.
        """
        ...

    def pseudo(self, outputs: Any) -> tuple[Targets, jax.Array]:
        """(targets, confidence in [0, 1]): [B], or of the parts [B, ...]. Targets have the type of
        the ground truth."""
        ...

    def probabilities(self, outputs: Any) -> jax.Array | None:
        """[B, K] float32, the probability of each class of an example. None by default: these
        targets are no classes of examples."""
        return None

    def average(self, outputs: Any) -> Any:
        """One output from those of several networks or views, a pytree of arrays [E, B, ...].

        Raises by default: ValueError, since there is no mean of such outputs.
        """
        raise ValueError(
            f"{type(self).__name__}: outputs of several networks or views have no mean: use one "
            "network (members=1) and no random views (views=0)"
        )

    def complete(self, outputs: Any, batch: Rows) -> Any:
        """Outputs of the head with what the batch says of them, such as which parts are asked for.
        The same by default. batch: the leaves that the network saw, without the truth."""
        return outputs

    def costs(
        self, outputs: Any, target: Targets, batch: Rows
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """What a network that is told true targets says of them, where that is more than labels
        show: {name: (sums [B], weights [B])}, each sum(sums) / sum(weights) over the test data.
        They join the numbers of `score`, and `measure` may be one of them. None by default.
        """
        return {}

    def metrics(self, outputs: Any, target: Targets) -> dict[str, jax.Array]:
        """Numbers of each example for the log of training, [B] each. None by default."""
        return {}

    def moved(
        self, target: Targets, weight: jax.Array, transform: jax.Array
    ) -> tuple[Targets, jax.Array]:
        """(targets, weights) of examples whose picture was moved; by default they stay.

        transform: float32 [B, 2, 3]: the place (x, y, 1) of a pixel of the moved picture times this
        is its place in the stored picture, in pixels, whose centres are at .5."""
        return target, weight

    # Data and tables, on the host, in NumPy.

    def check(self, data: Any) -> None:
        """Raises ValueError, before anything is trained, where the data holds other targets than
        these, such as another number of classes. data: as in `ssljax.data`, with `classes`, `spec`
        and `take`. It may lack the truth: then there is nothing to compare with.
        """
        ...

    def of(self, data: Any) -> "Target":
        """These targets with what only the data tells, such as what its token numbers mean. Called
        before anything is read, shown or scored; networks are trained and run without. The same by
        default. data: as in `check`."""
        return self

    def truth(self, rows: Rows) -> Targets | None:
        """The true targets of rows with the `leaves`, dtype of the host; None where one is missing.
        By default the one leaf, or a dict of several."""
        if any(name not in rows for name in self.leaves):
            return None
        found: dict[str, Array] = {name: np.asarray(rows[name]) for name in self.leaves}
        return found if len(found) > 1 else found[self.leaves[0]]

    def known(self, truth: Targets) -> np.ndarray:
        """bool [n]: which true targets somebody knows. All of them by default."""
        return np.ones(count(truth), bool)

    def verify(self, target: Targets) -> None:
        """Raises ValueError where arrays that somebody made, of n examples on the host, are no such
        targets: of another shape, or with numbers that mean nothing."""
        ...

    def join(self, parts: Sequence[Targets]) -> Targets:
        """Targets of several sources one after the other; padding is made equal.

        By default every array is filled up with 0 to the largest size of its axes.
        """
        return joined(parts)

    def fixed(self, target: Targets) -> Targets:
        """The same targets in a shape that does not depend on which examples they are of, so that
        all rounds run one compiled step. As they are by default."""
        return target

    def whole(self, confidence: np.ndarray, target: Targets) -> np.ndarray:
        """The confidence [n] in examples with these targets from those in their parts.

        By default confidences are of examples. Raises: ValueError where they are not.
        """
        if confidence.shape != confidence.shape[:1]:
            raise ValueError(
                f"{type(self).__name__} has one confidence an example, not {confidence.shape}"
            )
        return confidence

    def right(self, truth: Targets, guess: Targets) -> np.ndarray | None:
        """bool [n]: which examples are entirely right. None by default: such targets are never
        exactly right, and calibration and mistakes are not shown."""
        return None

    def score(self, truth: Targets, guess: Targets) -> dict[str, float]:
        """The numbers of the task on test data, among them that of `measure`."""
        ...

    def quality(self, truth: Targets, guess: Targets, chosen: np.ndarray) -> dict[str, Any]:
        """How good labels are, in the sense of the field.

        Args:
          truth: of all N examples. guess: the labels; read only where chosen, bool [N].
        Returns: "coverage", the share that is chosen; "precision", "recall" and "f1" where the
          field has them, where what is not chosen lowers recall and not precision; and others,
          among them those of `shown`. Numbers, or lists of them. 0 in place of a ratio of nothing.
        """
        ...

    def column(self, target: Targets) -> pa.Array:
        """Targets as a column of n cells of a Parquet file that a person can read and edit."""
        ...

    def from_column(self, column: pa.Array) -> Targets:
        """The targets of a column, as they were before `column`, types included.

        Raises: ValueError that says of which cell (row, counted from 1) it is none, and what to do.
        """
        ...

    def write(
        self, path: Path, examples: Examples, target: Targets, confidence: np.ndarray
    ) -> None:
        """A file, or a folder of files, of labels in the format that other tools of the field open.

        confidence: [n] or of the parts, 1 for true labels.
        """
        ...

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        """(which of the examples int64 [m], their targets, confidence [m] or of the parts) of such
        a file. Raises: ValueError that names file and line where it does not fit."""
        ...

    def show(self, target: Targets, classes: Sequence[str] | None) -> list[str]:
        """What the report says of each of n targets, in a few words."""
        ...

    def draw(self, image: np.ndarray, target: Targets) -> np.ndarray | None:
        """Pictures uint8 [n, H, W, C] with the targets drawn in, uint8 [n, H, W, 3]. None by
        default: there is nothing to draw."""
        return None

    def compared(
        self, image: np.ndarray, truth: Targets | None, guess: Targets, confidence: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Pictures of labels beside the truth, by title, each uint8 [n, H, W, 3], for the report:
        by default truth and label as `draw` has them. image: uint8 [n, H, W, C]."""
        said = {"truth": truth, "label": guess}
        drawn = {k: self.draw(image, x) for k, x in said.items() if x is not None}
        return {title: picture for title, picture in drawn.items() if picture is not None}

    # Classes of examples, where there are some.

    def require_classes(self, who: str) -> int:
        """How many classes an example can be of. who: whatever needs them, as in "labelling by
        neighbours". Raises by default: ValueError, since these targets are no classes of examples.
        """
        raise ValueError(
            f"{who} needs targets that are classes of examples, and these are {type(self).__name__}"
        )

    def has_classes(self) -> bool:
        """Whether `require_classes` gives a number. False by default."""
        return False

    def always(self, truth: Targets) -> Targets | None:
        """As many targets, each of the class that is there most often; None by default, where there
        are no classes. Called for what a score is compared with."""
        return None

    def hard(self, target: Targets) -> np.ndarray:
        """The class of each target, int32 [n]. Raises where there are no classes."""
        self.require_classes("a class of each example")
        raise TypeError(f"{type(self).__name__} has classes and no `hard`")


def no_classes(target: Target, data: Any) -> None:
    """Raises ValueError where the data has one class an example, which this target is not."""
    if "label" in data.spec:
        count = len(data.classes)
        raise ValueError(
            f"the data has {count} classes and the target is {type(target).__name__}: take "
            f"OneOf(classes={count}), or read the data as values"
        )


def joined(parts: Sequence[Targets], *, fill: float = 0) -> Targets:
    """Arrays, or dicts of arrays with the same names, one after the other: [n, ...] and [m, ...]
    give [n + m, ...]. Axes after the first are filled up at the end with `fill`.
    """
    if isinstance(parts[0], dict):
        return {name: _joined([part[name] for part in parts], fill) for name in parts[0]}
    return _joined(parts, fill)


def _joined(parts: Sequence[Any], fill: float) -> np.ndarray:  # of arrays: `joined` has looked
    arrays = [np.asarray(part) for part in parts]
    sizes = tuple(map(max, zip(*(a.shape[1:] for a in arrays), strict=True)))
    return np.concatenate([padded(a, sizes, fill=fill) for a in arrays])


def padded(x: np.ndarray, sizes: tuple[int, ...], *, fill: float = 0) -> np.ndarray:
    """x [n, ...] filled up at the end of each axis to [n, *sizes]."""
    more = [(0, 0), *((0, size - now) for size, now in zip(sizes, x.shape[1:], strict=True))]
    return np.pad(x, more, constant_values=fill) if any(b for _, b in more) else x


def take(target: Targets, rows: np.ndarray) -> Targets:
    """Some of the targets: rows is a mask [n] or row numbers."""
    return jax.tree.map(lambda x: x[rows], target)


def count(target: Targets) -> int:
    """How many targets there are."""
    return len(jax.tree.leaves(target)[0])


def named(target: Targets, name: str = "target") -> dict[str, Array]:
    """Targets as leaves of a batch or arrays of a file: {name: array}, or {"name.key": array}."""
    if isinstance(target, dict):
        return {f"{name}.{key}": x for key, x in target.items()}
    return {name: target}


def from_named(leaves: Mapping[str, Array], name: str = "target") -> Targets:
    """The targets that `named` has written among other leaves."""
    if name in leaves:
        return leaves[name]
    start = f"{name}."
    return {key.removeprefix(start): x for key, x in leaves.items() if key.startswith(start)}
