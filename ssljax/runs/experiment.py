"""One run as one frozen dataclass, recorded beside its results.

An experiment file says `EXPERIMENT = Experiment(method=..., ...)`; `ssljax.runs.run` runs it.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ssljax import probes
from ssljax.data import FewLabels, Images
from ssljax.method import Method, Recipe
from ssljax.training.optimizers import Optimizer
from ssljax.training.sharding import Parallel
from ssljax.training.train import Cadence

MAY_DIFFER = (
    *("data", "test", "probe_data", "in_memory_gb", "workers", "store", "parallel", "evaluation"),
    *("begin", "trackers", "cadence.log", "cadence.evaluate", "cadence.save"),
    *("cadence.save_minutes", "cadence.keep", "cadence.best", "cadence.monitor"),
    "cadence.max_bad_steps",
)
"""Fields that may change while a run goes on: they do not change what is learned, but for rounding
on other devices. `data` may be another place of the same examples. `cadence.refresh` and, in the
last bits, `cadence.steps_per_call` do change it."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One run. Every field can be overridden on the command line (`--method.temperature 0.2`)."""

    method: Recipe
    """The method and its hyperparameters."""
    data: str = "digits"
    """Training data: digits, tfds:NAME[:SPLIT], parquet:PATH, folder:PATH (or a zip), npz:PATH."""
    test: str | None = None
    """Data to evaluate on, named likewise. None: the test split of `data`, or a held-out part."""
    probe_data: str | None = None
    """Data that the evaluation fits and scores its probes on, named likewise, with its own test
    split: labelled data beside a large pool without labels. None: `data` and `test`. A method's own
    task is always scored on `test`."""
    reader: Any = Images()
    """How records become examples, a `ssljax.data.Reader`: all that knows the modality."""
    few: FewLabels | None = None
    """Which labels training may see, for methods that learn from few labels and a pool without; the
    evaluation sees all of them. None: whatever the data has."""
    optimizer: Optimizer = Optimizer()
    """The optimizer with its learning rate and schedule."""
    begin: str | None = None
    """A run folder, or a file of pretrained networks, as `ssljax import` or `ssljax export --format
    safetensors` write it (or timm, torchvision), or hf://USER/NAME: training begins with them in
    place of random ones."""
    steps: int = 1000
    """Steps of training."""
    batch: int = 256
    """Examples in a step, over all devices and hosts."""
    seed: int = 0
    """Decides the first weights, the order of the data and every random view."""
    cadence: Cadence = Cadence()
    """How often things happen, in steps."""
    evaluation: probes.Evaluation = probes.Evaluation()
    """What is measured of the encoder at the end and, in part, during training."""
    online_probe: bool = False
    """Train a linear classifier beside the encoder, without gradient into it, to watch progress."""
    parallel: Parallel = Parallel()
    """How parameters and batches are spread over several devices."""
    in_memory_gb: float = 4.0
    """Decoded data up to this size is kept in memory; larger data streams from disk."""
    workers: int = 2
    """Processes that decode streamed data."""
    trackers: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Where numbers go beside metrics.jsonl and TensorBoard: Weights & Biases, MLflow. Each needs
    its package, and reads its own environment variables (WANDB_MODE, MLFLOW_TRACKING_URI)."""
    store: str | None = None
    """Where checkpoints go, if not into the run folder: a path, or gs://BUCKET/NAME (s3://, az://)
    where the fsspec package for it is installed. One place for each run."""

    def load(self, folder: Path | None = None) -> tuple[Any, Any | None]:
        """(training data, test data or None).

        folder: run folder, for what the reader learns from the training data, such as a tokenizer.
        """
        reader = self.reader.prepared(self.data, folder)
        options = {"in_memory_bytes": int(self.in_memory_gb * 2**30), "workers": self.workers}
        train = reader.load(self.data, split="train", **options)
        if self.test is not None:
            return train, reader.load(self.test, split="test", **options)
        offered = reader.splits(self.data)
        if len(offered) < 2:  # all there is, or the one that `data` names, is being trained on
            return train, None
        held_out = "test" if "test" in offered else "validation"
        return train, reader.load(self.data, split=held_out, **options)

    def probed(
        self, train: Any, test: Any | None, folder: Path | None = None
    ) -> tuple[Any, Any | None]:
        """(data to fit probes on, data to score them on or None): those of `probe_data`, or of the
        run itself, which are given.

        Raises: ValueError where examples of `probe_data` have other shapes than those of training.
        """
        if self.probe_data is None:
            return train, test
        other = dataclasses.replace(self, data=self.probe_data, test=None, probe_data=None)
        found = Experiment.load(other, folder)  # and nothing that a subclass adds for training
        for name, (shape, _) in found[0].spec.items():
            if name in train.spec and train.spec[name][0] != shape:
                raise ValueError(
                    f"probe_data {self.probe_data}: its {name} is {shape} in each example, and "
                    f"that of {self.data} is {train.spec[name][0]}: choose data of the same shape"
                )
        return found

    def feed(self, dataset: Any) -> Any:
        """What training reads: `dataset`, or few labels of it and a pool.

        Raises: ValueError where the method cannot learn from it.
        """
        dataset = dataset if self.few is None else self.few(dataset)
        self.filled(dataset).method.check(dataset)
        return dataset

    def filled(self, dataset: Any) -> Self:
        """This with every open field (None) of the method that follows from the data: what it says
        itself, and the vocabulary of its encoders, which is that of the reader.
        """
        recipe: Any = self.method.filled(dataset)  # a dataclass
        vocab = getattr(self.reader, "vocab", 0)
        open_ = {
            name: net.clone(**{field: vocab})
            for name, net in (("encoder", recipe.encoder), ("partner", recipe.partner))
            if vocab and (field := _words(net)) is not None and getattr(net, field) is None
        }
        recipe = dataclasses.replace(recipe, **open_) if open_ else recipe
        return self if recipe is self.method else dataclasses.replace(self, method=recipe)

    def build(self, dataset: Any) -> Method:
        """The method as pure functions, with its optimizer and maybe the online probe."""
        recipe = self.filled(dataset).method
        vocab = getattr(self.reader, "vocab", 0)
        for tower, net in (("encoder", recipe.encoder), ("partner", recipe.partner)):
            field = _words(net)
            if field is not None and vocab > getattr(net, field):
                raise ValueError(
                    f"reader.vocab {vocab} is more than the network knows: set "
                    f"--method.{tower}.{field} {vocab}"
                )
        tx = self.optimizer.build(steps=self.steps, batch=self.batch)
        method = recipe.build(tx, updates=max(1, self.steps // self.optimizer.accumulate))
        if self.online_probe:
            if not dataset.labelled:
                raise ValueError(f"online_probe needs labels, and {self.data} has none")
            method = probes.with_online_probe(method, classes=len(dataset.classes))
        return method


def _words(net: Any) -> str | None:
    """The field of a network that says how many words it knows; None where it reads none."""
    return next((f for f in ("vocab", "vocabulary") if hasattr(net, f)), None)


def networks_of(experiment: Experiment) -> dict[str, Any]:
    """The networks of a method that others know too, by the names of their parameters."""
    return experiment.method.networks
