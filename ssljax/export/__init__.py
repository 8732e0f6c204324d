"""Taking an encoder out of ssljax, and bringing one in."""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from ssljax import nets
from ssljax.export import safetensors
from ssljax.export.graph_names import export_graph_net, graph_from_torch, graph_to_torch
from ssljax.export.networks import KIND, check_same, describe, load_networks, save_networks
from ssljax.export.onnx import export_onnx
from ssljax.export.pretrained import export_transformers, import_transformers
from ssljax.export.stablehlo import export_stablehlo
from ssljax.export.torch_calls import torch_call
from ssljax.export.torch_names import (
    classifier_to_torch,
    resnet_from_torch,
    resnet_to_torch,
    vit_from_timm,
    vit_from_torchvision,
    vit_to_timm,
    vit_to_torchvision,
)
from ssljax.export.transformers import FAMILIES, from_transformers, to_transformers
from ssljax.export.video_names import r3d_from_torch, r3d_to_torch
from ssljax.mesh import ANY, within
from ssljax.method import Linear
from ssljax.nets import R3D, GraphNet, ResNet, ViT

__all__ = [
    "FAMILIES",
    "FORMATS",
    "export",
    "export_graph_net",
    "export_onnx",
    "export_stablehlo",
    "export_transformers",
    "from_transformers",
    "graph_from_torch",
    "graph_to_torch",
    "import_transformers",
    "load",
    "load_networks",
    "load_start",
    "r3d_from_torch",
    "r3d_to_torch",
    "resnet_from_torch",
    "resnet_to_torch",
    "save_networks",
    "to_transformers",
    "vit_from_timm",
    "vit_from_torchvision",
    "vit_to_timm",
    "vit_to_torchvision",
]

PyTree = Any
_BODY = "backbone.body."  # the encoder of a detector of torchvision
FORMATS = {
    "safetensors": "the arrays under ssljax's own names; any encoder",
    "torchvision": "a state dict for torchvision as safetensors; ResNet, ViT with pool='cls'",
    "timm": "a state dict for timm as safetensors; ResNet, ViT",
    "transformers": "a folder for Hugging Face transformers: bert, roberta, electra, gpt2, t5, "
    "vit, vit_mae, clip, siglip, wav2vec2",
    "torch_geometric": "a state dict for PyTorch Geometric as safetensors; GCN, GAT, GraphSAGE, "
    "GIN, RGCN",
    "stablehlo": "the encoder as a function that runs with JAX alone; any encoder",
    "onnx": "the encoder as a graph for onnxruntime; any encoder, needs ssljax[onnx]",
}


def export(
    *,
    encoder: Any,
    params: PyTree,
    stats: PyTree,
    format: Literal["safetensors", "torchvision", "timm", "stablehlo", "onnx"],
    out: Path | str,
    image_size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    channels: int,
    classifier: Linear | None = None,
    classes: Sequence[str] | None = None,
) -> Path:
    """Writes an encoder to `out`, and what a reader must know of it to `out` + ".json".

    Args:
      encoder: a module of `ssljax.nets`.
      params, stats: its parameters and running statistics.
      format: one of `FORMATS` but "transformers" and "torch_geometric", which
        `export_transformers` and `export_graph_net` write.
      out: the file to write.
      image_size: side of the images in pixels.
      mean, std: of the normalisation it was trained with, one number a channel, or one for all.
        Only "stablehlo" and "onnx" normalise by themselves.
      channels: channels of the images.
      classifier: behind the features, of the classes that are called `classes`: "timm" and
        "torchvision" write it too, the others hold the encoder alone.
    Returns: `out`.
    Raises: ValueError where there is no such format for this encoder, or where parameters, image
      size and normalisation do not fit it.
    """
    out = Path(out)
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}: choose one of {', '.join(FORMATS)}")
    if format == "transformers":
        raise ValueError("transformers reads a folder: export_transformers writes one")
    if format == "torch_geometric":
        raise ValueError("torch_geometric is for graph networks: export_graph_net writes it")
    if not {len(mean), len(std)} <= {1, channels} or min(std) <= 0:
        raise ValueError(
            f"mean {mean} and std {std} must hold one number for each of {channels} channels, or "
            "one for all, and std must be positive"
        )
    mean, std = (tuple(map(float, v * channels if len(v) == 1 else v)) for v in (mean, std))
    params, stats = jax.device_get((params, stats))
    if isinstance(encoder, ViT) and encoder.mask_token:  # features do not need it
        encoder = encoder.clone(mask_token=False)
        params = {name: leaf for name, leaf in params.items() if name != "mask_token"}
    image = jax.ShapeDtypeStruct((1, image_size, image_size, channels), np.float32)
    features = jax.eval_shape(lambda x: _features(encoder, (params, stats), x), image)

    functions = {"stablehlo": export_stablehlo, "onnx": export_onnx}
    more: dict[str, Any] = {}
    if format in functions:
        center, spread = np.asarray(mean, np.float32), np.asarray(std, np.float32)

        @within(ANY)
        def from_images(x: jax.Array) -> jax.Array:
            return _features(encoder, (params, stats), (x - center) / spread)

        functions[format](from_images, image.shape[1:], out)
    elif format == "safetensors":
        safetensors.write(out, safetensors.native_names(params, stats))
    else:
        tensors = _torch_tensors(encoder, params, stats, format, image_size)
        count = 0
        if classifier is not None and classifier.reads == "__call__":
            tensors |= classifier_to_torch(encoder, format, classifier.kernel, classifier.bias)
            count = classifier.kernel.shape[1]
            more["classes"] = None if classes is None else list(classes)
        sizes = {"image_size": image_size, "channels": channels, "classes": count}
        more["model"] = torch_call(encoder, format, **sizes)
        safetensors.write(out, tensors)
    safetensors.write_config(
        out,
        {
            "format": format,
            "version": importlib.metadata.version("ssljax"),
            "encoder": describe(encoder),
            "image_size": image_size,
            "channels": channels,
            "mean": mean,
            "std": std,
            "normalised_inside": format in functions,
            "features": features.shape[-1],
            **more,
        },
    )
    return out


def load(path: Path | str, encoder: Any) -> tuple[PyTree, PyTree]:
    """(params, stats) for `encoder` from a safetensors file of ours (one encoder, or the networks
    of `ssljax import`), of torchvision or of timm.

    Which of them it is shows in the names. A classifier in the file is ignored, and
    of a detector all but its backbone.
    Raises: FileNotFoundError, or ValueError where the file does not fit `encoder`, listing every
      name and shape that differs.
    """
    path = Path(path)
    config = safetensors.read_config(path) or {}
    runs = {"stablehlo": "jax.export.deserialize", "onnx": "onnxruntime"}
    if config.get("format") in runs:
        raise ValueError(
            f"{path} holds a function and no parameters: run it with {runs[config['format']]}"
        )
    if config.get("format") == KIND:
        return load_networks(path, {"encoder": encoder})["encoder"], {}
    tensors = safetensors.read(path)
    check_same(path, config.get("encoder", {}), encoder, name="encoder")
    if any(name.startswith("encoder/") for name in tensors):
        return safetensors.from_native_names(encoder, tensors)
    if isinstance(encoder, ResNet):
        body = {k.removeprefix(_BODY): x for k, x in tensors.items() if k.startswith(_BODY)}
        return resnet_from_torch(encoder, body or tensors)
    if isinstance(encoder, ViT):
        torchvision = "class_token" in tensors
        return (vit_from_torchvision if torchvision else vit_from_timm)(encoder, tensors)
    if isinstance(encoder, R3D):
        return r3d_from_torch(encoder, tensors)
    if isinstance(encoder, GraphNet):
        return graph_from_torch(encoder, tensors)
    raise ValueError(
        f"{path} has names of torch, which {type(encoder).__name__} has no counterpart for: "
        "ResNet, ViT, R3D and graph networks can be read from it"
    )


def load_start(path: Path | str, networks: dict[str, Any]) -> tuple[PyTree, PyTree]:
    """(params, stats) by network, for `method.from_pretrained`: what a file holds of `networks`.

    The file is one of `ssljax import`, with one network or several, or any that `load` reads, for
    the encoder alone. Raises: as `load` and `load_networks`.
    """
    path = Path(path)
    if (safetensors.read_config(path) or {}).get("format") == KIND:
        return load_networks(path, networks), {}
    params, stats = load(path, networks["encoder"])
    return {"encoder": params}, {"encoder": stats}


def _features(encoder: Any, arrays: tuple[PyTree, PyTree], x: jax.Array) -> jax.Array:
    return nets.apply(encoder, *arrays, x, train=False)[0]


def _torch_tensors(
    encoder: Any, params: PyTree, stats: PyTree, format: str, image_size: int
) -> dict[str, np.ndarray]:
    if isinstance(encoder, ResNet):
        return resnet_to_torch(encoder, params, stats)
    if isinstance(encoder, ViT):
        write = {"timm": vit_to_timm, "torchvision": vit_to_torchvision}[format]
        side = image_size // encoder.patch
        return write(encoder, params, grid=(side, side))
    raise ValueError(
        f"{type(encoder).__name__} has no counterpart in {format}: "
        "the formats that work are safetensors, stablehlo and onnx"
    )
