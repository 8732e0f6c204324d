"""ViT and ViT-MAE as transformers has them, under the names that its versions 4 and 5 both read.

Fixed sin-cos positions are no parameters here and are written out there. Those of MAE's decoder can
be read only if they are the sin-cos ones; those of an encoder that are others become learned ones.
"""

import math
from typing import Any

import numpy as np

from ssljax.export.family import (
    Config,
    Family,
    Flat,
    Networks,
    Setting,
    demand,
    read,
    shapes_of,
    spec,
    write,
)
from ssljax.export.names import Row
from ssljax.nets import MLP, Decoder, ViT

_PLACES, _WANTED = "encoder/pos_embed", "decoder/pos_embed"
_SETTINGS: tuple[Setting, ...] = (
    ("hidden_size", "width", 768),
    ("num_hidden_layers", "depth", 12),
    ("num_attention_heads", "heads", 12),
    ("patch_size", "patch", 16),
    ("layer_norm_eps", "eps", 1e-12),
)
_DECODER: tuple[Setting, ...] = (
    ("decoder_hidden_size", "width", 512),
    ("decoder_num_hidden_layers", "depth", 8),
    ("decoder_num_attention_heads", "heads", 16),
)


def _block(ours: str, theirs: str) -> tuple[Row, ...]:
    return (
        (f"{ours}/norm1/*", f"{theirs}.layernorm_before.*"),
        (f"{ours}/attn/qkv/*", f"{theirs}.attention.attention.{{query,key,value}}.*"),
        (f"{ours}/attn/proj/*", f"{theirs}.attention.output.dense.*"),
        (f"{ours}/norm2/*", f"{theirs}.layernorm_after.*"),
        (f"{ours}/mlp/fc1/*", f"{theirs}.intermediate.dense.*"),
        (f"{ours}/mlp/fc2/*", f"{theirs}.output.dense.*"),
    )


VIT_ROWS: tuple[Row, ...] = (
    ("encoder/cls_token", "vit.embeddings.cls_token"),
    (_PLACES, "vit.embeddings.position_embeddings"),
    ("encoder/patch_embed/*", "vit.embeddings.patch_embeddings.projection.*"),
    *_block("encoder/blocks_#", "vit.encoder.layer.#"),
    ("encoder/norm/*", "vit.layernorm.*"),
    ("classifier/linear_0/*", "classifier.*"),
)
MAE_ROWS: tuple[Row, ...] = (
    *VIT_ROWS,
    ("decoder/embed/*", "decoder.decoder_embed.*"),
    ("decoder/mask_token", "decoder.mask_token"),
    (_WANTED, "decoder.decoder_pos_embed"),
    *_block("decoder/blocks_#", "decoder.decoder_layers.#"),
    ("decoder/norm/*", "decoder.decoder_norm.*"),
    ("head/linear_0/*", "decoder.decoder_pred.*"),
)


def sincos_table(side: int, width: int) -> np.ndarray:
    """Sin-cos positions behind a class token at zero, as published files have them.

    The numbers of `nets.sincos_positions`, computed in float64: float32 [1, 1 + side^2, width].
    """
    frequency = 10000.0 ** (-np.arange(width // 4) / (width // 4))
    row, column = np.divmod(np.arange(side * side), side)
    angles = [place[:, None] * frequency for place in (column, row)]
    table = np.concatenate([f(a) for a in angles for f in (np.sin, np.cos)], axis=1)
    return np.pad(table, ((1, 0), (0, 0)))[None].astype(np.float32)


def _config(networks: Networks, flat: Flat, *, image_size: int | None, **_: Any) -> dict[str, Any]:
    net = networks["encoder"]
    found = write(_SETTINGS, net) | {
        "intermediate_size": net.mlp_ratio * net.width,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "qkv_bias": True,
        "image_size": image_size,
        "num_channels": flat["encoder/patch_embed/kernel"].shape[2],
    }
    if "decoder" in networks:
        decoder = networks["decoder"]
        if decoder.eps != net.eps:
            raise ValueError(
                f"encoder and decoder have eps {net.eps} and {decoder.eps}, and config.json room "
                "for one"
            )
        found |= write(_DECODER, decoder)
        found["decoder_intermediate_size"] = decoder.mlp_ratio * decoder.width
    return found


def _ratio(config: Config, key: str, default: int, width: int) -> int:
    hidden = read([(key, "hidden", default)], config)["hidden"]
    if hidden % width:
        raise ValueError(f"config.json has {key} {hidden}, which is no multiple of {width}")
    return hidden // width


def _networks(config: Config) -> dict[str, Any]:
    demand(config, hidden_act="gelu", qkv_bias=True)
    fields = read(_SETTINGS, config)
    ratio = _ratio(config, "intermediate_size", 3072, fields["width"])
    net = ViT(mlp_ratio=ratio, **fields)
    if config["model_type"] == "vit":
        return {"encoder": net}
    inner = read(_DECODER, config)
    ratio = _ratio(config, "decoder_intermediate_size", 2048, inner["width"])
    decoder = Decoder(mlp_ratio=ratio, eps=net.eps, **inner)
    pixels = net.patch**2 * read([("num_channels", "c", 3)], config)["c"]
    return {"encoder": net, "decoder": decoder, "head": MLP(widths=(pixels,), norm=False)}


def _shapes(networks: Networks, config: Config) -> Flat:
    net = networks["encoder"]
    side = read([("image_size", "side", 224)], config)["side"]
    channels = read([("num_channels", "channels", 3)], config)["channels"]
    found = shapes_of("encoder", net, spec(1, side, side, channels))
    if "decoder" in networks:
        decoder = networks["decoder"]
        place = spec(1, 1, decoder.width)
        inputs = {"places": place, "wanted": place}
        found |= shapes_of("decoder", decoder, spec(1, 1, net.width), **inputs)
        found |= shapes_of("head", networks["head"], place)
    return found


def _ready(
    networks: dict[str, Any], flat: Flat, *, image_size: int | None, **_: Any
) -> tuple[dict[str, Any], Flat]:
    """Drops the token of masked patches, and writes fixed positions out."""
    net = networks["encoder"]
    if image_size is None or image_size % net.patch:
        raise ValueError(f"image_size {image_size} is no multiple of the patch, {net.patch} pixels")
    if "classifier" in networks and net.pool != "cls":
        raise ValueError(
            "ViTForImageClassification classifies the class token, and this is a classifier behind "
            f"pool={net.pool!r}: export for timm, or with --no-classifier"
        )
    side = image_size // net.patch
    flat = {name: leaf for name, leaf in flat.items() if name != "encoder/mask_token"}
    if net.positions == "sincos":
        flat[_PLACES] = sincos_table(side, net.width)
    if flat[_PLACES].shape[1] != 1 + side**2:
        raise ValueError(
            f"the encoder has positions for {flat[_PLACES].shape[1] - 1} patches, and an image of "
            f"{image_size} pixels {side**2}"
        )
    if "decoder" in networks:
        flat[_WANTED] = sincos_table(side, networks["decoder"].width)
    return networks, flat


def _is_sincos(table: np.ndarray | None) -> bool:
    if table is None or np.ndim(table) != 3 or table.shape[2] % 4:
        return False
    side = math.isqrt(max(table.shape[1] - 1, 0))
    expected = sincos_table(side, table.shape[2])
    return expected.shape == table.shape and bool(np.allclose(expected, table, atol=1e-5))


def _done(networks: dict[str, Any], tensors: Flat) -> tuple[dict[str, Any], Flat]:
    """Drops positions that are the fixed ones. Raises: ValueError where the decoder's are not."""
    wanted, places = "decoder.decoder_pos_embed", "vit.embeddings.position_embeddings"
    tensors = dict(tensors)
    if not any(name.startswith("decoder.") for name in tensors):
        networks = {"encoder": networks["encoder"]}
    elif not _is_sincos(tensors.pop(wanted, None)):
        raise ValueError(f"{wanted} is missing or not the sin-cos table of a square image")
    if _is_sincos(tensors.get(places)):
        del tensors[places]
        networks = networks | {"encoder": networks["encoder"].clone(positions="sincos")}
    return networks, tensors


VIT = Family(
    rows=VIT_ROWS,
    model=lambda networks: "ViTForImageClassification" if "classifier" in networks else "ViTModel",
    config=_config,
    networks=_networks,
    shapes=_shapes,
    prefix="vit.",
    dropped=(r"(vit\.)?pooler\.dense\.(weight|bias)", r"classifier\.(weight|bias)"),
    ready=_ready,
)
VIT_MAE = Family(
    rows=MAE_ROWS,
    model=lambda networks: "ViTMAEForPreTraining" if "decoder" in networks else "ViTMAEModel",
    config=_config,
    networks=_networks,
    shapes=_shapes,
    prefix="vit.",
    renamed=((r"(decoder\.)decoder_encoder\.layer(\..*)", r"\1decoder_layers\2"),),
    settings={"mask_ratio": "ratio", "norm_pix_loss": "normalize"},
    ready=_ready,
    done=_done,
)
