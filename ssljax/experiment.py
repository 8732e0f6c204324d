"""One run as one frozen dataclass, recorded beside its results, and the function that runs it.

An experiment file says `EXPERIMENT = Experiment(method=..., ...)`. `run` loads the data, trains,
evaluates and writes the run folder:

    config.json      the whole experiment, versions, git commit, devices
    metrics.jsonl    one object a logged step      tensorboard/   the same as events
    checkpoints/     Orbax                         results.json   the final numbers
    report.npz, report.html                        what a person wants to see, in one offline file
"""

import dataclasses
import fcntl
import importlib.metadata
import inspect
import json
import logging
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ssljax import nets, probes, record, report
from ssljax.checkpoint import Checkpoints, abstract
from ssljax.data import FewLabels, Images
from ssljax.export import load_start
from ssljax.method import Method, State, live, started
from ssljax.optimizers import Optimizer
from ssljax.sharding import Parallel, batch_sharding, replicated
from ssljax.steps import initial
from ssljax.train import Cadence, fit
from ssljax.views import view_batch

log = logging.getLogger("ssljax")
_SHOWN = 1500  # examples in the map of the report
_SCORED = 10_000  # examples of the test split in the quick evaluation during training


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One run. Every field can be overridden on the command line (`--method.temperature 0.2`)."""

    method: Any
    """The method and its hyperparameters."""
    data: str = "digits"
    """Training data: digits, tfds:NAME[:SPLIT], parquet:PATH, folder:PATH (or a zip), npz:PATH."""
    test: str | None = None
    """Data to evaluate on, named likewise. None: the test split of `data`, or a held-out part."""
    reader: Any = Images()
    """How records become examples, a `ssljax.data.Reader`: all that knows the modality."""
    few: FewLabels | None = None
    """Which labels training may see, for methods that learn from few labels and a pool without; the
    evaluation sees all of them. None: whatever the data has."""
    optimizer: Optimizer = Optimizer()
    begin: str | None = None
    """File of pretrained networks, as `ssljax import` or `ssljax export --format safetensors` write
    it (or timm, torchvision): training begins with them in place of random ones."""
    steps: int = 1000
    """Steps of training."""
    batch: int = 256
    """Examples in a step, over all devices and hosts."""
    seed: int = 0
    """Decides the first weights, the order of the data and every random view."""
    cadence: Cadence = Cadence()
    evaluation: probes.Evaluation = probes.Evaluation()
    online_probe: bool = False
    """Train a linear classifier beside the encoder, without gradient into it, to watch progress."""
    parallel: Parallel = Parallel()
    in_memory_gb: float = 4.0
    """Decoded data up to this size is kept in memory; larger data streams from disk."""
    workers: int = 2
    """Processes that decode streamed data."""
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

    def feed(self, dataset: Any) -> Any:
        """What training reads: `dataset`, or few labels of it and a pool.

        Raises: ValueError where the method cannot learn from it.
        """
        dataset = dataset if self.few is None else self.few(dataset)
        if hasattr(self.method, "check"):
            self.method.check(dataset)
        return dataset

    def build(self, dataset: Any) -> Method:
        """The method as pure functions, with its optimizer and maybe the online probe."""
        vocab = getattr(self.reader, "vocab", 0)
        for tower in ("encoder", "partner"):
            net = getattr(self.method, tower, None)
            field = next((f for f in ("vocab", "vocabulary") if hasattr(net, f)), None)
            if field is not None and vocab > getattr(net, field):
                raise ValueError(
                    f"reader.vocab {vocab} is more than the network knows: set "
                    f"--method.{tower}.{field} {vocab}"
                )
        tx = self.optimizer.build(steps=self.steps, batch=self.batch)
        method = self.method.build(tx, updates=max(1, self.steps // self.optimizer.accumulate))
        if self.online_probe:
            if not dataset.labelled:
                raise ValueError(f"online_probe needs labels, and {self.data} has none")
            method = probes.with_online_probe(method, classes=len(dataset.classes))
        return method


def run(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Trains and evaluates `experiment` in `folder`, resuming what is there.

    Returns: what results.json holds, or {"step", "finished": False} where a signal asked to stop.
    Raises: ValueError where `folder` belongs to another configuration or `begin` to other networks,
    PermissionError or OSError where it cannot be written; all before any work is done.
    """
    folder = Path(folder)
    networks = networks_of(experiment)
    start = None if experiment.begin is None else load_start(experiment.begin, networks)
    prepare(experiment, folder)
    with lock(folder):
        return _run(experiment, folder, start)


def _run(experiment: Experiment, folder: Path, start: tuple[Any, Any] | None) -> dict[str, Any]:
    began = time.perf_counter()
    train, test = experiment.load(folder)
    feed = experiment.feed(train)
    method, cadence = experiment.build(feed), experiment.cadence
    if start is not None:
        if method.refresh is None:  # then `refresh` only brings them in, before the first step
            cadence = dataclasses.replace(cadence, refresh=experiment.steps)
        method = started(method, *start)
    opt = experiment.optimizer
    state = fit(
        method,
        feed,
        steps=experiment.steps,
        batch=experiment.batch,
        seed=experiment.seed,
        parallel=experiment.parallel,
        cadence=cadence,
        folder=folder,
        store=experiment.store,
        evaluate=_quick(experiment, method, train, test),
        learning_rate=lambda s: opt.rate(steps=experiment.steps, batch=experiment.batch)(
            s // opt.accumulate
        ),
    )
    if int(state.step) < experiment.steps:
        return {"step": int(state.step), "finished": False}
    trained = time.perf_counter()
    results = {
        "step": int(state.step),
        "finished": True,
        "evaluation": evaluate(experiment, method, state, train, test),
        "seconds": {"training": trained - began, "evaluation": time.perf_counter() - trained},
        "hardware": hardware(),
    }
    shown = pictures(experiment, method, state, test or train)  # on all hosts: it computes
    if jax.process_index() == 0:
        _write_json(folder / "results.json", results)
        np.savez_compressed(folder / "report.npz", **shown)
        report.write_report(folder)
    return results


def networks_of(experiment: Experiment) -> dict[str, Any]:
    """The networks of a method that others know too, by the names of their parameters."""
    method = experiment.method
    return getattr(method, "networks", None) or {"encoder": method.encoder}


def prepare(experiment: Experiment, folder: Path) -> None:
    """Makes the run folder and writes config.json, or checks that the one there says the same."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{socket.gethostname()}-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermissionError(
            f"the run folder {folder} cannot be written ({error.strerror}): "
            "name another with --workdir"
        ) from error
    config = folder / "config.json"
    encoded = json.loads(json.dumps(record.encode(experiment)))
    if config.exists():
        before = json.loads(config.read_text())["experiment"]
        changed = record.changes(before, encoded)
        if changed:
            raise ValueError(
                f"{folder} belongs to a run of another configuration ("
                + "; ".join(changed[:5])
                + "): use another --workdir, or the same configuration to resume"
            )
        return
    if jax.process_index() == 0:
        _write_json(config, {"experiment": encoded, **provenance()})


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds a run folder for this run alone, until it ends in any way.

    The kernel holds the lock for the process, so a killed run leaves none behind. Of several hosts
    the first one holds it for all. Raises: ValueError where another run is at work in the folder.
    """
    if jax.process_index() != 0:
        yield
        return
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ValueError(
                f"another run is at work in {folder} ({file.read().strip() or 'unknown process'}): "
                "wait for it, stop it, or use another --workdir"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def provenance() -> dict[str, Any]:
    """Versions, git commit, command and devices of this process."""
    names = ("ssljax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "command": sys.argv,
        "versions": {n: importlib.metadata.version(n) for n in names},
        "python": platform.python_version(),
        "commit": commit or None,
        "hardware": hardware(),
    }


def hardware() -> str:
    """One line that says what this runs on."""
    kinds = sorted({d.device_kind for d in jax.devices()})
    devices = f"{len(jax.devices())} x {', '.join(kinds)} ({jax.default_backend()})"
    return f"{devices}, {os.cpu_count()} cores"


def load_run(
    folder: Path, *, file: str | None = None
) -> tuple[Experiment, Method, State, Any, Any]:
    """(experiment, method, latest state, training data, test data) of a run, finished or not."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no config.json")
    module = record.load_file(file) if file else None
    config = json.loads((folder / "config.json").read_text())
    experiment = record.decode(config["experiment"], module=module)
    if not isinstance(experiment, Experiment):
        raise ValueError(
            f"{folder} is a run of {type(experiment).__name__}: name one of `ssljax train`"
        )
    train, test = experiment.load(folder)
    method = experiment.build(train)
    return experiment, method, restore(experiment, method, train, folder), train, test


def restore(experiment: Experiment, method: Method, train: Any, folder: Path) -> State:
    """The latest state of a run folder, on the devices of this process."""
    shapes = jax.eval_shape(
        partial(initial, method, spec=train.spec, batch=experiment.batch), jax.random.key(0)
    )
    shardings = experiment.parallel.place(shapes, experiment.parallel.mesh())
    checkpoints = Checkpoints(experiment.store or folder / "checkpoints")
    state = checkpoints.restore(abstract(shapes, shardings))
    checkpoints.close()
    if state is None:
        raise FileNotFoundError(
            f"{folder} has no checkpoint yet: train first, or wait for the first save"
        )
    return state


def embedder(experiment: Experiment, method: Method, state: State) -> probes.Embed:
    """batch of NumPy arrays -> features [B, D] of the frozen encoder, computed on all devices."""
    return _on_all_devices(experiment, method.embed, state)


def classifiers(experiment: Experiment, method: Method, state: State) -> dict[str, probes.Embed]:
    """The method's own classifiers, batch -> logits [B, K], by the name of their accuracy.

    "accuracy_live" is the network without the moving average that "accuracy" measures; {} for
    methods that do not classify.
    """
    if method.predict is None:
        return {}
    found = {"accuracy": _on_all_devices(experiment, method.predict, state)}
    if "target" in state.extra:
        found["accuracy_live"] = _on_all_devices(experiment, method.predict, live(state))
    return found


def _on_all_devices(experiment: Experiment, function: Any, state: State) -> probes.Embed:
    run = _tree_on_all_devices(experiment, function, state)

    def rows_to_array(rows: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(run(rows), np.float32)

    return rows_to_array


def _spread(rows: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """A batch on the devices: every host has all rows, and gives its devices their share."""
    sharding = batch_sharding(mesh)
    return {
        key: jax.make_array_from_callback(x.shape, sharding, lambda index, x=x: x[index])
        for key, x in rows.items()
    }


def views_embedders(
    experiment: Experiment, method: Method, states: dict[str, State]
) -> dict[str, probes.EmbedViews]:
    """(batch, q) -> features [B, q, D] of q random views, for each state and for raw pixels.

    The views are those of `plain_view`; {} for methods that have no random view of an image.
    """
    view, encoder = getattr(experiment.method, "plain_view", None), experiment.method.encoder
    if not callable(view):
        return {}
    mesh = experiment.parallel.mesh()
    draw = jax.jit(partial(view_batch, view), out_shardings=batch_sharding(mesh))
    embed = jax.jit(
        lambda params, stats, x: nets.apply(encoder, params, stats, x, train=False)[0],
        out_shardings=replicated(mesh),
    )
    flat = jax.jit(lambda x: x.reshape(len(x), -1), out_shardings=replicated(mesh))

    def features(run: Any, rows: dict[str, np.ndarray], count: int) -> np.ndarray:
        images = _spread({"image": rows["image"]}, mesh)["image"]
        drawn = [run(draw(jax.random.fold_in(jax.random.key(0), i), images)) for i in range(count)]
        return np.stack([np.asarray(x, np.float32) for x in drawn], axis=1)

    found = {name: partial(embed, *method.backbone(state)) for name, state in states.items()}
    found |= {experiment.reader.plain_name: flat}
    return {name: partial(features, run) for name, run in found.items()}


def own_numbers(
    experiment: Experiment,
    method: Method,
    state: State,
    train: Any,
    test: Any | None,
    *,
    limit: int | None = None,
) -> dict[str, float]:
    """What the method's own `score` and `pair` say of the test split; {} without any of them."""
    if test is None:
        return {}
    found = {}
    if method.score is not None:
        score = _tree_on_all_devices(experiment, method.score, state)
        found |= probes.heldout(score, test, batch=experiment.batch, limit=limit)
    if method.pair is not None:
        found |= probes.paired(
            _tree_on_all_devices(experiment, method.pair, state),
            test,
            batch=experiment.batch,
            limit=limit or experiment.evaluation.max_examples,
            compared=experiment.evaluation.compared,
            prompts=getattr(train, "prompts", None),
        )
    return found


def _tree_on_all_devices(experiment: Experiment, function: Any, state: State) -> Any:
    """batch of NumPy arrays -> what function(state, batch) gives, computed on all devices."""
    mesh = experiment.parallel.mesh()
    compiled = jax.jit(function, out_shardings=replicated(mesh))

    def numbers(rows: dict[str, np.ndarray]) -> Any:
        return jax.device_get(compiled(state, _spread(rows, mesh)))

    return numbers


def evaluate(
    experiment: Experiment, method: Method, state: State, train: Any, test: Any | None
) -> dict[str, Any]:
    """The final evaluation: the trained encoder beside a random one and the plainest features."""
    fresh = untrained(experiment, method, train)
    results = probes.evaluate(
        encoders={
            "trained": embedder(experiment, method, state),
            "random": embedder(experiment, method, fresh),
            experiment.reader.plain_name: experiment.reader.plain,
        },
        train=train,
        test=test,
        protocol=experiment.evaluation,
        batch=experiment.batch,
        views=views_embedders(experiment, method, {"trained": state, "random": fresh}),
        classifiers={"trained": classifiers(experiment, method, state)},
    )
    for name, one in {"trained": state, "random": fresh}.items():
        numbers = own_numbers(experiment, method, one, train, test)
        results["encoders"][name] = numbers | results["encoders"][name]
    return results | {"notes": probes.describe(results)}


def untrained(experiment: Experiment, method: Method, train: Any) -> State:
    """A state that has seen nothing, of another key than that of the run."""
    init = partial(initial, method, spec=train.spec, batch=experiment.batch)
    key = jax.random.fold_in(jax.random.key(experiment.seed), 1)
    shardings = experiment.parallel.place(jax.eval_shape(init, key), experiment.parallel.mesh())
    return jax.jit(init, out_shardings=shardings)(key)


def finetune(
    experiment: Experiment,
    method: Method,
    state: State,
    train: Any,
    test: Any | None,
    protocol: probes.FineTune,
) -> dict[str, Any]:
    """The encoder fine-tuned, and the same network under the same budget from random weights.

    Raises: ValueError for a method that says neither `plain_view` (images) nor `inputs` (others).
    """
    view = getattr(experiment.method, "plain_view", getattr(experiment.method, "inputs", None))
    if view is None:
        name = type(experiment.method).__name__
        raise ValueError(f"fine-tuning needs to know what {name} shows its encoder: give it inputs")
    starts = {"pretrained": state, "random": untrained(experiment, method, train)}
    rows = {
        name: probes.finetune(
            experiment.method.encoder,
            *method.backbone(start),
            train,
            test,
            view=view,
            protocol=protocol,
            sharding=batch_sharding(experiment.parallel.mesh()),
        )
        for name, start in starts.items()
    }
    return {"protocol": dataclasses.asdict(protocol), "encoders": rows}


def add_finetuned(folder: Path, results: dict[str, Any]) -> None:
    """Adds what `finetune` returned to finetune.json of a run, for its report."""
    if jax.process_index() == 0:
        path = folder / "finetune.json"
        before = json.loads(path.read_text()) if path.exists() else []
        _write_json(path, [*before, results])


def _quick(experiment: Experiment, method: Method, train: Any, test: Any | None) -> Any:
    """state -> a few cheap numbers during training."""

    def numbers(state: State) -> dict[str, float]:
        embed = embedder(experiment, method, state)
        found = probes.quick(embed, train, test, batch=experiment.batch)
        numbers = own_numbers(experiment, method, state, train, test, limit=_SCORED)
        found |= {k: v for k, v in numbers.items() if not k.startswith("items_")}
        own = classifiers(experiment, method, state)
        return found | probes.accuracies(own, test, batch=experiment.batch)

    return numbers


def pictures(
    experiment: Experiment, method: Method, state: State, dataset: Any
) -> dict[str, np.ndarray]:
    """What the report shows: views that the encoder saw, features, labels and thumbnails."""
    rows = next(dataset.once(experiment.batch))
    arrays = {}
    if hasattr(experiment.method, "show"):
        few = {k: v[:12] for k, v in rows.items()}
        show, key = experiment.method.show, jax.random.key(0)
        shown = show(few, key, state) if _takes_state(show) else show(few, key)
        arrays |= {k: np.asarray(v) for k, v in shown.items()}
        arrays |= {"images": few["image"]} if "image" in few else {}
    if isinstance(experiment.method.encoder, nets.ViT):
        arrays |= attention(experiment, method, state, rows["image"][:12])
    embed = embedder(experiment, method, state)
    features, labels = probes.features(embed, dataset, batch=experiment.batch, limit=_SHOWN)
    arrays["features"] = features
    if labels is not None:
        arrays["labels"] = np.asarray(dataset.classes)[labels]
    if "image" not in rows:
        return arrays
    images: list[np.ndarray] = []
    for part in dataset.once(experiment.batch):
        images.extend(part["image"][part["mask"]])
        if len(images) >= len(features):
            break
    arrays["thumbnails"] = np.stack(images[: len(features)])
    return arrays


def attention(
    experiment: Experiment, method: Method, state: State, images: np.ndarray
) -> dict[str, np.ndarray]:
    """Where a ViT looks: {"attention": [n, heads, h, w], "attended": [n, H, W, C]}.

    The attention of the class token in the last block, or where the features are the mean of the
    patches, that of all patches on average.
    """
    encoder, view = experiment.method.encoder, experiment.method.plain_view
    x = view.plain(jax.numpy.asarray(images))
    params, stats = method.backbone(state)
    maps = nets.apply(encoder, params, stats, x, train=False, method="attention")[0]
    maps = maps[:, :, 0, 1:] if encoder.pool == "cls" else maps[:, :, 1:, 1:].mean(2)
    grid = (view.size // encoder.patch,) * 2
    return {
        "attention": np.asarray(maps.reshape(*maps.shape[:2], *grid), np.float32),
        "attended": np.asarray(view.denormalize(x), np.float32),
    }


def _takes_state(show: Any) -> bool:
    """Whether pictures come from the trained networks (reconstructions) or from views alone."""
    return "state" in inspect.signature(show).parameters


def _write_json(path: Path, content: Any) -> None:
    """Writes the whole file or nothing."""
    fresh = path.with_name(path.name + ".tmp")
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(fresh, path)
