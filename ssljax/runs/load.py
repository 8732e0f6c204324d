"""A run folder back as networks, on the devices that are there; its data is read when somebody
needs an example of it.
"""

import dataclasses
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import jax

from ssljax.data.reader import asks_classes
from ssljax.export import hub, import_transformers, load_start
from ssljax.export.networks import check_same, describe
from ssljax.method import Method, State
from ssljax.runs import known
from ssljax.runs.experiment import Experiment, networks_of
from ssljax.runs.folder import config_of
from ssljax.training.checkpoint import Checkpoints, abstract
from ssljax.training.sharding import Parallel
from ssljax.training.steps import initial


def load_run(
    folder: Path, *, file: str | None = None
) -> tuple[Experiment, Method, State, Any, Any]:
    """(experiment, method, latest state, training data, test data) of a run, finished or not.

    Nothing is written into the folder. The data sets know their spec, classes and size from the
    folder and are read when an example is asked for; in folders of older versions, at once. The
    experiment is that of the run with `parallel` and `batch` as the devices of this process can
    hold them.

    file: the experiment file, where the run uses a class of it.
    Raises: FileNotFoundError where there is no run or no checkpoint, ValueError for a run of
      self-training, and where a file of the folder is damaged or the networks do not fit.
    """
    folder = Path(folder)
    experiment = config_of(folder, file)
    if not isinstance(experiment, Experiment):
        raise ValueError(
            f"{folder} is a run of {type(experiment).__name__}: name one of `ssljax train`"
        )
    train, test, feed = _data(experiment, folder)
    experiment = experiment.filled(train)
    method = experiment.build(train)
    state = restore(experiment, method, feed, folder)
    return _on_these_devices(experiment), method, state, train, test


def _data(experiment: Experiment, folder: Path) -> tuple[Any, Any, dict]:
    """(training data, test data, leaves of an example of a batch)."""
    about = known.read(folder)
    if about is None:
        train, test = experiment.load(folder)
        return train, test, train.spec

    train, test = known.remembered(experiment, folder, about)
    return train, test, known.spec_of(about["feed"])


def probed(
    experiment: Experiment, train: Any, test: Any | None, folder: Path
) -> tuple[Any, Any | None]:
    """What the probes of a run read, as `Experiment.probed`, found from where this process is."""
    about, name = known.read(folder), experiment.probe_data
    if about is not None and name is not None:
        name = known.place_from(about["folder"], name)
    return dataclasses.replace(experiment, probe_data=name).probed(train, test, folder)


def reader_of(experiment: Any, folder: Path) -> Any:
    """The reader of a run with all that it has learned, for other data than that of the run: the
    training data is not opened.

    experiment: the `Experiment` or `SelfTraining` of the run. Raises: FileNotFoundError where
    something learned has gone.
    """
    folder = Path(folder)
    reader, about = experiment.reader, known.read(folder)
    known.check_files(folder, about)
    classes = None if about is None else about["train"]["classes"]
    if classes and asks_classes(reader):
        reader = reader.with_classes(tuple(classes))
    return reader.prepared(experiment.data, folder)


def restore(experiment: Experiment, method: Method, spec: dict, folder: Path) -> State:
    """The latest state of a run folder, on the devices of this process.

    spec: leaves of an example of a batch. Raises: as `load_run`.
    """
    shapes = jax.eval_shape(
        partial(initial, method, spec=spec, batch=experiment.batch), jax.random.key(0)
    )
    parallel = _fitting(experiment.parallel)
    shardings = parallel.place(shapes, parallel.mesh())
    place = experiment.store or folder / "checkpoints"
    try:
        checkpoints = Checkpoints(place, run=folder, reading=True)
    except FileNotFoundError:
        state = None
    else:
        state = checkpoints.restore(abstract(shapes, shardings))
        checkpoints.close()
    if state is None:
        raise FileNotFoundError(
            f"{folder} has no checkpoint yet: train first, or wait for the first save"
        )
    return state


def _fitting(parallel: Parallel) -> Parallel:
    """`parallel`, without a model axis where that does not divide the devices of this process."""
    if jax.device_count() % parallel.model == 0:
        return parallel
    return dataclasses.replace(parallel, model=1)


def _on_these_devices(experiment: Experiment) -> Experiment:
    parallel = _fitting(experiment.parallel)
    share = jax.device_count() // parallel.model
    batch = -(-experiment.batch // share) * share
    return dataclasses.replace(experiment, parallel=parallel, batch=batch)


def begin_with(place: str, networks: dict[str, Any]) -> tuple[Any, Any]:
    """(params, stats) by network, for `method.from_pretrained`: what a run folder, a file (see
    `export.load_start`) or hf://USER/NAME holds of `networks`.

    Of the encoder of a run those arrays that `ssljax export` writes. Raises: FileNotFoundError,
    or ValueError where the networks of the run are others, or none of them is wanted.
    """
    if hub.is_hub(place):
        return _from_hub(place, networks)
    if not Path(place).is_dir():
        return load_start(place, networks)
    earlier, method, state, *_ = load_run(Path(place))
    theirs = networks_of(earlier)
    params, stats = {}, {}
    for name in networks.keys() & theirs.keys():
        check_same(Path(place), describe(theirs[name]), networks[name], name=name)
        params[name] = state.params[name]
        stats[name] = state.extra.get("stats", {}).get(name, {})
    params["encoder"], stats["encoder"] = method.backbone(state)
    return jax.device_get((params, stats))


def _from_hub(place: str, networks: dict[str, Any]) -> tuple[Any, Any]:
    """As `begin_with`: what `ssljax push` wrote there, in its own format or for transformers."""
    folder = hub.fetched(place)
    with tempfile.TemporaryDirectory() as where:
        file = hub.pushed(folder)
        if file is None:
            if not (folder / "config.json").is_file():
                raise ValueError(
                    f"{place} holds no safetensors file with the JSON that ssljax or transformers "
                    "writes"
                )
            file = Path(where) / "weights.safetensors"
            import_transformers(folder, file)
        try:
            return load_start(file, networks)
        except ValueError as error:  # the place is what the user knows
            raise ValueError(str(error).replace(str(file), place)) from error
