"""What a trained state is worth: probes, fine-tuning, and the numbers of the method itself."""

import dataclasses
import logging
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
_SCORED = 10_000  # examples of the test split in the quick evaluation during training


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


def views_embedders(
    experiment: Experiment, method: Method, states: dict[str, State]
) -> dict[str, probes.EmbedViews]:
    """(batch, q) -> features [B, q, D] of q random views, for each state and for raw pixels.

    The views are those of `plain_view`; {} for methods that have no random view of an image.
    """
    view, encoder = experiment.method.plain_view, experiment.method.encoder
    if not callable(view):
        return {}
    mesh = experiment.parallel.mesh()
    draw = jax.jit(partial(view_batch, view), out_shardings=batch_sharding(mesh))

    @within(mesh)
    def features_of(params: Any, stats: Any, x: jax.Array) -> jax.Array:
        return nets.apply(encoder, params, stats, x, train=False)[0]

    embed = jax.jit(features_of, out_shardings=replicated(mesh))
    flat = jax.jit(lambda x: x.reshape(len(x), -1), out_shardings=replicated(mesh))

    def features(run: Any, rows: dict[str, np.ndarray], count: int) -> np.ndarray:
        images = placed({"image": rows["image"]}, mesh)["image"]
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
    compiled = jax.jit(within(mesh)(function), out_shardings=replicated(mesh))

    def numbers(rows: dict[str, np.ndarray]) -> Any:
        return jax.device_get(compiled(state, placed(rows, mesh)))

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

    Raises: ValueError for a method that does not say what its encoder reads.
    """
    view = experiment.method.plain_view or experiment.method.inputs
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


def quick(experiment: Experiment, method: Method, train: Any, test: Any | None) -> Any:
    """state -> a few cheap numbers during training."""
    if train.labelled and (test is None or test.labelled):
        train, test = (d if d is None else probes.with_labels(d) for d in (train, test))

    def numbers(state: State) -> dict[str, float]:
        embed = embedder(experiment, method, state)
        found = probes.quick(embed, train, test, batch=experiment.batch)
        numbers = own_numbers(experiment, method, state, train, test, limit=_SCORED)
        found |= {k: v for k, v in numbers.items() if not k.startswith("items_")}
        own = classifiers(experiment, method, state)
        return found | probes.accuracies(own, test, batch=experiment.batch)

    return numbers
