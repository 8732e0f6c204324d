"""State dicts of torchvision and timm: names and layouts of the same numbers in torch, both ways.

A native path such as `layer1_0/conv1/kernel` becomes `layer1.0.conv1.weight`:

    _0 -> .0    / -> .    kernel, scale -> weight    mean -> running_mean    var -> running_var
    convolution HWIO -> OIHW        linear (in, out) -> (out, in)        everything else as it is

ResNets have the same names in both libraries. The classifier (`fc`, `head`, `heads`) is not part of
an encoder: `classifier_to_torch` writes it, and it is ignored when read. Needs NumPy and JAX, not
torch.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from ssljax import nets
from ssljax.nets import ResNet, UNetDecoder, ViT

PyTree = Any
Tensors = dict[str, np.ndarray]
Rename = Callable[[str], str]

# Batch variance is copied as it is. torch's running_var averages the unbiased variance, Flax's the
# biased one, but both *use* the stored number in the same way, so outputs in evaluation are equal
# only if it is left alone; continued training differs by n / (n - 1), which the average forgets.
_LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
_COUNTER = "num_batches_tracked"
_TORCHVISION_VIT = (
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^norm\.", "encoder.ln."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
)


def flatten(tree: PyTree) -> dict[str, Any]:
    """A nested dict as {"layer1_0/conv1/kernel": leaf}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(key.key for key in path): leaf for path, leaf in leaves}


def unflatten(flat: Mapping[str, Any]) -> PyTree:
    """The inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *folders, name = path.split("/")
        inner = tree
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[name] = leaf
    return tree


def resnet_to_torch(module: ResNet, params: PyTree, stats: PyTree) -> Tensors:
    """The state dict of torchvision's and timm's ResNet without `fc`.

    Loads with strict=True once the classifier is `Identity`; a "cifar" stem also needs a 3x3
    `conv1` of stride 1 and an `Identity` for `maxpool` there. `num_batches_tracked` is 0: torch
    reads it only with momentum=None.
    """
    del module  # the names in params say all
    tensors = _to_torch(params, torch_name) | _to_torch(stats, torch_name)
    for name in [n for n in tensors if n.endswith(".running_var")]:
        tensors[name.replace("running_var", _COUNTER)] = np.zeros((), np.int64)
    return tensors


def resnet_from_torch(module: ResNet, tensors: Mapping[str, np.ndarray]) -> tuple[PyTree, PyTree]:
    """(params, stats) of `module` from a state dict of torchvision or timm.

    Raises: ValueError that lists missing and unexpected names and wrong shapes.
    """
    kept = {k: v for k, v in tensors.items() if not k.startswith("fc.") and _COUNTER not in k}
    channels = np.shape(kept["conv1.weight"])[1:2] if "conv1.weight" in kept else ()
    image = jax.ShapeDtypeStruct((1, 32, 32, *(channels or (3,))), np.float32)
    return _from_torch(module, kept, image, torch_name)


def unet_to_torch(params: PyTree, stats: PyTree) -> Tensors:
    """The state dict of segmentation-models-pytorch's `Unet` on a ResNet, which it loads strictly.

    params, stats: {"encoder": of a `ResNet`, "head": of a `UNetDecoder` with batch norm and nearest
    enlargement}.
    """
    tensors = _to_torch(params, _unet_name) | _to_torch(stats, _unet_name)
    for name in [n for n in tensors if n.endswith(".running_var")]:
        tensors[name.replace("running_var", _COUNTER)] = np.zeros((), np.int64)
    return tensors


def unet_from_torch(
    encoder: ResNet, decoder: UNetDecoder, tensors: Mapping[str, np.ndarray]
) -> tuple[PyTree, PyTree]:
    """(params, stats), each {"encoder": ..., "head": ...}, from a state dict of
    segmentation-models-pytorch's `Unet`.

    Raises: ValueError that lists missing and unexpected names and wrong shapes.
    """
    start = "encoder."
    own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
    params, stats = resnet_from_torch(encoder, own)
    image = jax.ShapeDtypeStruct((1, 32, 32, params["conv1"]["kernel"].shape[2]), np.float32)
    levels = jax.eval_shape(
        lambda x: nets.apply(encoder, params, stats, x, train=False, method="levels")[0], image
    )
    rest = {k: v for k, v in tensors.items() if not k.startswith(start) and _COUNTER not in k}
    head, head_stats = _from_torch(decoder, rest, levels, lambda path: _unet_name(f"head/{path}"))
    return {"encoder": params, "head": head}, {"encoder": stats, "head": head_stats}


def vit_to_timm(module: ViT, params: PyTree, *, grid: tuple[int, int] | None = None) -> Tensors:
    """The state dict of timm's VisionTransformer with num_classes=0.

    A module with pool="mean" is timm's global_pool="avg", fc_norm=False.

    Args:
      grid: rows and columns of patches, needed where positions are "sincos" and thus not in params.
    Raises: ValueError where the grid is needed and missing.
    """
    return _to_torch(_with_positions(module, params, grid), _timm_name)


def vit_to_torchvision(
    module: ViT, params: PyTree, *, grid: tuple[int, int] | None = None
) -> Tensors:
    """The state dict of torchvision's VisionTransformer, `heads` an Identity. See `vit_to_timm`.

    Raises: ValueError for pool="mean" too, which torchvision's forward does not have.
    """
    if module.pool != "cls":
        raise ValueError(
            "torchvision's ViT reads features from the class token and this encoder has "
            f"pool={module.pool!r}: export it as 'timm', 'safetensors' or 'stablehlo'"
        )
    return _to_torch(_with_positions(module, params, grid), _torchvision_name)


def classifier_to_torch(module: Any, format: str, kernel: PyTree, bias: PyTree) -> Tensors:
    """The classifier, [D, K] and [K], under the name that it has beside `module` in a format."""
    name = "fc" if isinstance(module, ResNet) else {"timm": "head", "torchvision": "heads.head"}
    name = name if isinstance(name, str) else name[format]
    weight = np.ascontiguousarray(np.asarray(kernel, np.float32).T)
    return {f"{name}.weight": weight, f"{name}.bias": np.asarray(bias, np.float32)}


def vit_from_timm(module: ViT, tensors: Mapping[str, np.ndarray]) -> tuple[PyTree, PyTree]:
    """(params, {}) of `module` from a state dict of timm.

    Raises: ValueError that lists missing and unexpected names and wrong shapes, or where `module`
    has sin-cos positions and those in the file are not.
    """
    return _vit_from(module, tensors, _timm_name)


def vit_from_torchvision(module: ViT, tensors: Mapping[str, np.ndarray]) -> tuple[PyTree, PyTree]:
    """(params, {}) of `module` from a state dict of torchvision. Raises as `vit_from_timm` does."""
    return _vit_from(module, tensors, _torchvision_name)


def torch_name(path: str) -> str:
    *folders, leaf = path.split("/")
    return ".".join([*(re.sub(r"_(\d+)$", r".\1", f) for f in folders), _LEAVES.get(leaf, leaf)])


def _unet_name(path: str) -> str:
    name = torch_name(path)
    name = re.sub(r"^head\.out\.", "segmentation_head.0.", name)
    return re.sub(r"^head\.", "decoder.", name)


def _timm_name(path: str) -> str:
    return torch_name(path).replace("patch_embed.", "patch_embed.proj.")


def _torchvision_name(path: str) -> str:
    name = _timm_name(path)
    for pattern, replacement in _TORCHVISION_VIT:
        name = re.sub(pattern, replacement, name)
    return name


def _layout(path: str, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a native leaf in torch's order, and the way back."""
    if path.endswith("kernel"):
        return {4: ((3, 2, 0, 1), (2, 3, 1, 0)), 2: ((1, 0), (1, 0))}[ndim]
    return tuple(range(ndim)), tuple(range(ndim))


def _to_torch(tree: PyTree, rename: Rename) -> Tensors:
    flat = {path: np.asarray(leaf, np.float32) for path, leaf in flatten(tree).items()}
    return {
        rename(path): np.ascontiguousarray(leaf.transpose(_layout(path, leaf.ndim)[0]))
        for path, leaf in flat.items()
    }


def _from_torch(
    module: Any, tensors: Mapping[str, np.ndarray], image: PyTree, rename: Rename
) -> tuple[PyTree, PyTree]:
    trees = jax.eval_shape(lambda key: nets.init(module, key, image), jax.random.key(0))
    expected = [flatten(tree) for tree in trees]
    shapes = {
        rename(path): tuple(leaf.shape[axis] for axis in _layout(path, leaf.ndim)[0])
        for flat in expected
        for path, leaf in flat.items()
    }
    check_names(tensors, shapes, f"these tensors are not those of {module!r}")

    def native(path: str) -> np.ndarray:
        tensor = np.asarray(tensors[rename(path)], np.float32)
        return np.ascontiguousarray(tensor.transpose(_layout(path, tensor.ndim)[1]))

    params, stats = (unflatten({path: native(path) for path in flat}) for flat in expected)
    return params, stats


def check_names(
    tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raises one ValueError that lists all missing and unexpected names and wrong shapes."""
    wrong = [f"missing {name}" for name in shapes if name not in tensors]
    wrong += [f"unexpected {name}" for name in tensors if name not in shapes]
    wrong += [
        f"{name} has shape {np.shape(tensors[name])}, not {shape}"
        for name, shape in shapes.items()
        if name in tensors and np.shape(tensors[name]) != shape
    ]
    if wrong:
        raise ValueError(f"{what}: " + "; ".join(wrong))


def _with_positions(module: ViT, params: PyTree, grid: tuple[int, int] | None) -> PyTree:
    """params with the position embedding that both libraries keep, learned or not."""
    if module.positions == "learned":
        return params
    if grid is None:
        raise ValueError(
            "sin-cos positions are written for one image size: give grid=(rows, columns)"
        )
    table = nets.sincos_positions(*grid, module.width)
    return {**params, "pos_embed": np.pad(np.asarray(table), ((1, 0), (0, 0)))[None]}


def _vit_from(
    module: ViT, tensors: Mapping[str, np.ndarray], rename: Rename
) -> tuple[PyTree, PyTree]:
    kept = {k: v for k, v in tensors.items() if not k.startswith(("head.", "heads."))}
    position, projection = rename("pos_embed"), rename("patch_embed/kernel")
    tokens = np.shape(kept[position])[1] if np.ndim(kept.get(position, 0)) == 3 else 2
    channels = np.shape(kept[projection])[1] if np.ndim(kept.get(projection, 0)) == 4 else 3
    if module.positions == "sincos" and position in kept:
        _check_sincos(module, kept.pop(position))
    # Shapes depend on the number of patches only, so one row of them will do.
    module = module.clone(any_size=False)
    size = (1, module.patch, module.patch * max(tokens - 1, 1), channels)
    return _from_torch(module, kept, jax.ShapeDtypeStruct(size, np.float32), rename)


def _check_sincos(module: ViT, table: np.ndarray) -> None:
    side = math.isqrt(max(np.size(table) // module.width - 1, 0))
    expected = _with_positions(module, {}, (side, side))["pos_embed"]
    if np.shape(table) != expected.shape or not np.allclose(table, expected, atol=1e-5):
        raise ValueError(
            "the position embedding in these tensors is not the sin-cos one of a square image: "
            "read them into a ViT with positions='learned'"
        )
