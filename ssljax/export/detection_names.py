"""State dicts of torchvision's `fcos_resnet50_fpn`: names of the same numbers there, both ways.

Its counters `num_batches_tracked` are 0 and are ignored when read, as those of ResNets are. Class k
of ours is class k of theirs, which keeps 0 for a background that FCOS does not have.
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import nets
from ssljax.export import safetensors
from ssljax.export.names import from_theirs, to_theirs
from ssljax.export.networks import describe
from ssljax.export.torch_names import flatten, unflatten
from ssljax.nets import ResNet
from ssljax.nets.fcos import FCOS

_ROWS = (
    ("encoder/layer#_#/downsample_#/*", "backbone.body.layer#.#.downsample.#.*"),
    ("encoder/layer#_#/*", "backbone.body.layer#.#.*"),
    ("encoder/*", "backbone.body.*"),
    ("head/fpn/inner_blocks_#_0/*", "backbone.fpn.inner_blocks.#.0.*"),
    ("head/fpn/layer_blocks_#_0/*", "backbone.fpn.layer_blocks.#.0.*"),
    ("head/fpn/extra_blocks_p#/*", "backbone.fpn.extra_blocks.p#.*"),
    ("head/classification_head/conv_#/*", "head.classification_head.conv.#.*"),
    ("head/regression_head/conv_#/*", "head.regression_head.conv.#.*"),
    ("head/classification_head/*", "head.classification_head.*"),
    ("head/regression_head/*", "head.regression_head.*"),
)
_COUNTER = ".num_batches_tracked"


def fcos_to_torch(params: Any, stats: Any) -> dict[str, np.ndarray]:
    """The state dict of an `FCOS` on a `ResNet`.

    params, stats: {"encoder": of the ResNet, "head": of the FCOS}.
    """
    found = to_theirs(_ROWS, flatten(params) | _running(flatten(stats)))
    means = [name for name in found if name.endswith(".running_mean")]
    counters = {n.removesuffix(".running_mean") + _COUNTER: np.zeros((), np.int64) for n in means}
    return {k: np.ascontiguousarray(v) for k, v in found.items()} | counters


def export_detector(
    out: Path,
    *,
    encoder: ResNet,
    head: FCOS,
    params: Any,
    stats: Any,
    classes: Sequence[str],
    size: int,
    rule: Mapping[str, float],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Path:
    """Writes a detector under torchvision's names to `out`, and what a reader must know of it to
    `out` + ".json": the classes by number, and the call that makes it.

    Args:
      params, stats: {"encoder": ..., "head": ...}. classes: their names.
      size: side of the pictures, which are to be stretched to that square.
      rule: what torchvision calls score_thresh, nms_thresh and detections_per_img.
      mean, std: of the normalisation, a number a channel, or one for all.
    Raises: ValueError for grey pictures.
    """
    params, stats = jax.device_get((params, stats))
    channels = params["encoder"]["conv1"]["kernel"].shape[2]
    if channels != 3:
        raise ValueError(
            f"torchvision detects in pictures of 3 channels, and these have {channels}"
        )
    mean, std = (tuple(map(float, v * 3 if len(v) == 1 else v)) for v in (mean, std))
    published = (
        *(encoder.depth, encoder.width, encoder.stem),
        *(head.width, head.convolutions, head.groups),
    ) == (50, 64, "imagenet", 256, 4, 32)
    arguments = {
        "weights": None,
        "weights_backbone": None,
        "num_classes": len(classes),
        "min_size": size,
        "max_size": size,
        "image_mean": list(mean),
        "image_std": list(std),
        **rule,
    }
    note = (
        "torchvision makes ResNet-50 of width 64 with 4 convolutions of 256 channels in 32 groups "
        "alone: build this one from its classes"
    )
    call = {"call": "torchvision.models.detection.fcos_resnet50_fpn", "arguments": arguments}
    safetensors.write(out, fcos_to_torch(params, stats))
    safetensors.write_config(
        out,
        {
            "format": "torchvision",
            "version": importlib.metadata.version("ssljax"),
            "encoder": describe(encoder),
            "head": describe(head),
            "image_size": size,
            "channels": 3,
            "mean": mean,
            "std": std,
            "normalised_inside": False,
            "classes": list(classes),
            "model": call if published else {"note": note},
        },
    )
    return out


def fcos_from_torch(
    encoder: ResNet, head: FCOS, tensors: Mapping[str, np.ndarray]
) -> tuple[Any, Any]:
    """(params, stats), each {"encoder": ..., "head": ...}: the inverse of `fcos_to_torch`.

    Raises: ValueError that lists missing and unexpected names and wrong shapes.
    """
    params, stats = shapes(encoder, head)
    flat, moving = flatten(params), flatten(stats)
    found = from_theirs(
        _ROWS,
        {path: leaf.shape for path, leaf in (flat | _running(moving)).items()},
        {name: x for name, x in tensors.items() if not name.endswith(_COUNTER)},
        what="these tensors are not those of this ResNet and FCOS",
    )
    own = {path: found[path] for path in flat}
    running = {path: found[other] for path, other in zip(moving, _running(moving), strict=True)}
    return unflatten(own), {"encoder": {}, "head": {}} | unflatten(running)


def shapes(encoder: ResNet, head: FCOS) -> tuple[Any, Any]:
    """Shapes of (params, stats) of both networks, for pictures in colour."""
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)

    def init(key: jax.Array) -> tuple[Any, Any]:
        params, stats = nets.init(encoder, key, image)
        x = jax.numpy.zeros(image.shape)
        maps, _ = nets.apply(encoder, params, stats, x, train=False, method="levels")
        own, own_stats = nets.init(head, key, maps)
        return {"encoder": params, "head": own}, {"encoder": stats, "head": own_stats}

    return jax.eval_shape(init, jax.random.key(0))


def _running(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics under torch's names of the leaves: running_mean, running_var."""
    ends = (path.rpartition("/") for path in flat)
    return {f"{start}/running_{leaf}": x for (start, _, leaf), x in zip(ends, flat.values())}
