"""What a trained state is worth: probes, fine-tuning, and the numbers of the method itself."""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ssljax import nets, probes
from ssljax.files import read_json, write_json
from ssljax.mesh import within
from ssljax.method import Method, State, online
from ssljax.runs.experiment import Experiment
from ssljax.training.sharding import batch_sharding, replicated
from ssljax.training.steps import initial
from ssljax.views import view_batch

log = logging.getLogger("ssljax")


def embedder(experiment: Experiment, method: Method, state: State) -> probes.Embed:
    """batch of NumPy arrays -> features [B, D] of the frozen encoder, computed on all devices."""
    return _on_all_devices(experiment, method.embed, state)


def classifiers(experiment: Experiment, method: Method, state: State) -> dict[str, probes.Embed]:
    """The method's own classifiers, batch -> logits [B, K], by the name of their accuracy.

    "accuracy_online" is the network without the moving average that "accuracy" measures; {} for
    methods that do not classify.
    """
    if method.predict is None:
        return {}
    found = {"accuracy": _on_all_devices(experiment, method.predict, state)}
    if "target" in state.extra:
        found["accuracy_online"] = _on_all_devices(experiment, method.predict, online(state))
    return found


def _on_all_devices(experiment: Experiment, function: Any, state: State) -> probes.Embed:
    run = _tree_on_all_devices(experiment, function, state)

    def rows_to_array(rows: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(run(rows), np.float32)

    return rows_to_array


def placed(rows: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """A batch on the devices: every host has all rows, and gives its devices their share."""
    sharding = batch_sharding(mesh)
    return {
        key: jax.make_array_from_callback(x.shape, sharding, lambda index, x=x: x[index])
        for key, x in rows.items()
    }


def encoder_of(experiment: Experiment, method: Method, state: State) -> probes.Encoder:
    """What evaluators may ask of a trained state, computed on all devices."""
    score, pair, links = (
        None if function is None else _tree_on_all_devices(experiment, function, state)
        for function in (method.score, method.pair, method.links)
    )
    views = _viewer(experiment)
    return probes.Encoder(
        embed=embedder(experiment, method, state),
        views=None if views is None else views(*method.backbone(state)),
        score=score,
        pair=pair,
        links=links,
        classifiers=classifiers(experiment, method, state),
    )


def plainest(experiment: Experiment) -> probes.Encoder:
    """The plainest features that the reader offers, such as pixels: what all have to beat."""
    views = _viewer(experiment)
    return probes.Encoder(
        embed=experiment.reader.plain, views=None if views is None else views(None, None)
    )


def _viewer(experiment: Experiment) -> Callable[[Any, Any], probes.EmbedViews] | None:
    """(params, stats) -> features of random views by that encoder, of (None, None) the pixels
    themselves. The views are those of `plain_view`; None where it has no random ones.
    """
    view, encoder = experiment.method.plain_view, experiment.method.encoder
    if not callable(view):
        return None
    mesh = experiment.parallel.mesh()
    draw = jax.jit(partial(view_batch, view), out_shardings=batch_sharding(mesh))

    @within(mesh)
    def features_of(params: Any, stats: Any, x: jax.Array) -> jax.Array:
        if params is None:
            return x.reshape(len(x), -1)
        return nets.apply(encoder, params, stats, x, train=False)[0]

    embed = jax.jit(features_of, out_shardings=replicated(mesh))

    def features(params: Any, stats: Any, rows: dict[str, np.ndarray], count: int) -> np.ndarray:
        images = placed({"image": rows["image"]}, mesh)["image"]
        keys = (jax.random.fold_in(jax.random.key(0), i) for i in range(count))
        drawn = (embed(params, stats, draw(key, images)) for key in keys)
        return np.stack([np.asarray(x, np.float32) for x in drawn], axis=1)

    return lambda params, stats: partial(features, params, stats)


def _tree_on_all_devices(experiment: Experiment, function: Any, state: State) -> Any:
    """batch of NumPy arrays -> what function(state, batch) gives, computed on all devices."""
    mesh = experiment.parallel.mesh()
    compiled = jax.jit(within(mesh)(function), out_shardings=replicated(mesh))

    def numbers(rows: dict[str, np.ndarray]) -> Any:
        return jax.device_get(compiled(state, placed(rows, mesh)))

    return numbers


def material(
    experiment: Experiment,
    own: tuple[Any, Any | None],
    probed: tuple[Any, Any | None] | None = None,
) -> probes.Material:
    """The data of an evaluation. own: training and test data of the run. probed: what its probes
    read, as `Experiment.probed` gives it; None: the same.
    """
    train, test = own if probed is None else probed
    name = None if train is own[0] else experiment.probe_data
    return experiment.evaluation.material(train, test, batch=experiment.batch, own=own, name=name)


def evaluate(
    experiment: Experiment, method: Method, state: State, data: probes.Material
) -> dict[str, Any]:
    """The final evaluation: the trained encoder beside a random one and the plainest features."""
    fresh = untrained(experiment, method, data.own[0])
    encoders = {
        "trained": encoder_of(experiment, method, state),
        # Classifiers that have seen nothing say nothing.
        "random": encoder_of(experiment, method, fresh)._replace(classifiers={}),
        experiment.reader.plain_name: plainest(experiment),
    }
    return probes.evaluate(experiment.evaluation, encoders, data)


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

    Raises: ValueError for a method that does not say what its encoder reads.
    """
    recipe, view = experiment.method, experiment.method.plain_view
    if view is None:  # there are random views of images alone, and the results say so
        protocol = dataclasses.replace(protocol, augment="none")
    elif protocol.augment == "weak":
        view = view.weak
    inputs = probes.Shown(recipe.inputs, None if protocol.augment == "none" else view)
    starts = {"pretrained": state, "random": untrained(experiment, method, train)}
    rows = {
        name: probes.finetune(
            recipe.encoder,
            *method.backbone(start),
            train,
            test,
            inputs=inputs,
            protocol=protocol,
            sharding=batch_sharding(experiment.parallel.mesh()),
        )
        for name, start in starts.items()
    }
    return {"protocol": dataclasses.asdict(protocol), "encoders": rows}


def add_finetuned(folder: Path, results: dict[str, Any]) -> None:
    """Adds what `finetune` returned to finetune.json of a run, for its report: the one thing that
    is written into a run by looking at it. Where that cannot be, it is said.
    """
    if jax.process_index() == 0:
        path = folder / "finetune.json"
        remedy = "Remove it to go on without the earlier results"
        before = read_json(path, list, remedy=remedy) if path.exists() else []
        try:
            write_json(path, [*before, results])
        except OSError as error:
            log.warning("%s cannot be written (%s): the numbers are only shown", path, error)


def quick(
    experiment: Experiment, method: Method, data: probes.Material
) -> Callable[[State], dict[str, float]]:
    """state -> a few cheap numbers during training."""

    def numbers(state: State) -> dict[str, float]:
        return probes.quick(experiment.evaluation, encoder_of(experiment, method, state), data)

    return numbers
