"""What the report page of a run shows."""

from typing import Any

import jax
import numpy as np

from ssljax import nets, probes
from ssljax.data.dataset import divisible, labelled_part
from ssljax.method import Method, State
from ssljax.runs.evaluation import embedder
from ssljax.runs.experiment import Experiment

_DRAWN = 12  # examples whose views are drawn
_SHOWN = 1500  # examples in the map of the report


def pictures(
    experiment: Experiment, method: Method, state: State, dataset: Any
) -> dict[str, np.ndarray]:
    """What the report shows: views that the encoder saw, features, labels and thumbnails, of the
    examples that have a label where some have.
    """
    dataset = labelled_part(dataset)
    rows = next(dataset.once(experiment.batch))
    arrays = {}
    few = _of_all_classes(dataset, rows)
    shown = experiment.method.show(few, jax.random.key(0), state)
    arrays |= {k: np.asarray(v) for k, v in shown.items()}
    arrays |= {"images": few["image"]} if "image" in few else {}
    if isinstance(experiment.method.encoder, nets.ViT):
        arrays |= attention(experiment, method, state, few["image"])
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


def _of_all_classes(dataset: Any, rows: dict[str, Any]) -> dict[str, Any]:
    """A few images, of as many classes as there is room for, which the first of a folder that is
    sorted by class would not be; where there are no classes the first rows of a batch.
    """
    label = dataset.labels() if "image" in rows else None
    if label is None or not divisible(dataset):
        return {k: v[:_DRAWN] for k, v in rows.items()}
    turn = np.zeros(len(label), np.int64)  # how many of its class come before each
    for k in np.unique(label):
        turn[label == k] = np.arange((label == k).sum())
    index = np.sort(np.lexsort((np.arange(len(label)), label, turn))[:_DRAWN])
    return next(dataset.part(index).once(len(index)))


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
