"""CLIP and SigLIP as transformers has them: two towers, projections, and the scale of the logits.

Arrays and networks are those of a two-tower method:

    encoder            `ImageTower`
    partner            `TextTower`
    projector          `MLP(widths=(D,), norm=False, output_bias=False)`; SigLIP has none
    partner_projector  the same behind the texts; with a bias in SigLIP
    log_scale          float32 []: logits are exp(log_scale) times cosines ...
    bias               float32 []: ... plus this, in SigLIP
"""

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
from ssljax.export.names import ONE, Row
from ssljax.nets import MLP, ImageTower, TextTower


def _tower(act: str, eps: float, width: int, heads: int, hidden: int) -> tuple[Setting, ...]:
    return (
        ("hidden_size", "width", width),
        ("num_hidden_layers", "depth", 12),
        ("num_attention_heads", "heads", heads),
        ("intermediate_size", "hidden", hidden),
        ("hidden_act", "activation", act),
        ("layer_norm_eps", "eps", eps),
    )


def _text(vocabulary: int, length: int) -> tuple[Setting, ...]:
    return (
        ("vocab_size", "vocabulary", vocabulary),
        ("max_position_embeddings", "length", length),
    )


_CLIP_TEXT = (*_text(49408, 77), *_tower("quick_gelu", 1e-5, 512, 8, 2048))
_CLIP_IMAGE = (("patch_size", "patch", 32), *_tower("quick_gelu", 1e-5, 768, 12, 3072))
_SIGLIP = _tower("gelu_pytorch_tanh", 1e-6, 768, 12, 3072)
_SIGLIP_TEXT = (*_text(32000, 64), *_SIGLIP)
_SIGLIP_IMAGE = (("patch_size", "patch", 16), *_SIGLIP)


def _blocks(ours: str, theirs: str) -> tuple[Row, ...]:
    ours, theirs = f"{ours}/blocks_#", f"{theirs}.encoder.layers.#"
    return (
        (f"{ours}/norm1/*", f"{theirs}.layer_norm1.*"),
        (f"{ours}/attn/qkv/*", f"{theirs}.self_attn.{{q_proj,k_proj,v_proj}}.*"),
        (f"{ours}/attn/proj/*", f"{theirs}.self_attn.out_proj.*"),
        (f"{ours}/norm2/*", f"{theirs}.layer_norm2.*"),
        (f"{ours}/mlp/*", f"{theirs}.mlp.*"),
    )


_BOTH: tuple[Row, ...] = (
    ("encoder/patch_embed/*", "vision_model.embeddings.patch_embedding.*"),
    ("encoder/pos_embed", "vision_model.embeddings.position_embedding.weight"),
    *_blocks("encoder", "vision_model"),
    ("encoder/norm/*", "vision_model.post_layernorm.*"),
    ("partner/token_embed/*", "text_model.embeddings.token_embedding.*"),
    ("partner/pos_embed", "text_model.embeddings.position_embedding.weight"),
    *_blocks("partner", "text_model"),
    ("partner/norm/*", "text_model.final_layer_norm.*"),
)
CLIP_ROWS: tuple[Row, ...] = (
    *_BOTH,
    ("encoder/cls_token", "vision_model.embeddings.class_embedding"),
    ("encoder/norm_pre/*", "vision_model.pre_layrnorm.*"),  # sic
    ("projector/linear_0/*", "visual_projection.*"),
    ("partner_projector/linear_0/*", "text_projection.*"),
    ("log_scale", "logit_scale"),
)
SIGLIP_ROWS: tuple[Row, ...] = (
    *_BOTH,
    ("encoder/pool/probe", "vision_model.head.probe"),
    ("encoder/pool/qkv/kernel", "vision_model.head.attention.in_proj_weight"),
    ("encoder/pool/qkv/bias", "vision_model.head.attention.in_proj_bias"),
    ("encoder/pool/proj/*", "vision_model.head.attention.out_proj.*"),
    ("encoder/pool/norm/*", "vision_model.head.layernorm.*"),
    ("encoder/pool/mlp/*", "vision_model.head.mlp.*"),
    ("partner_projector/linear_0/*", "text_model.head.*"),
    ("log_scale", "logit_scale", ONE),
    ("bias", "logit_bias", ONE),
)


def _config(
    networks: Networks, flat: Flat, *, image_size: int | None, pad: int | None, clip: bool
) -> dict[str, Any]:
    image, text = networks["encoder"], networks["partner"]
    wanted = ("cls", "eot", True) if clip else ("attention", "last", False)
    found = (image.pool, text.pool, text.causal)
    if found != wanted:
        raise ValueError(
            f"towers of this family pool as {wanted} (image, text, causal), not {found}"
        )
    patches = flat["encoder/pos_embed"].shape[0] - clip
    if image_size is None or patches != (image_size // image.patch) ** 2:
        raise ValueError(f"the image tower has positions for {patches} patches, not {image_size}")
    if clip and text.eot == 2:
        raise ValueError("transformers takes the number 2 for another way of pooling: move eot")
    width = flat["partner_projector/linear_0/kernel"].shape[1]
    config: dict[str, Any] = {
        "text_config": write(_CLIP_TEXT if clip else _SIGLIP_TEXT, text)
        | {"bos_token_id": None, "eos_token_id": text.eot if clip else None, "pad_token_id": pad},
        "vision_config": write(_CLIP_IMAGE if clip else _SIGLIP_IMAGE, image)
        | {"image_size": image_size, "num_channels": flat["encoder/patch_embed/kernel"].shape[2]},
    }
    if clip:
        return config | {"projection_dim": width}
    config["text_config"]["projection_size"] = width
    return config


def _networks(config: Config) -> dict[str, Any]:
    clip = config["model_type"] == "clip"
    parts = {}
    for name in ("text_config", "vision_config"):
        parts[name] = config.get(name) or {}
        if not isinstance(parts[name], dict):
            raise ValueError(f"config.json has {name} {parts[name]!r}, not a table of settings")
    text, image = parts["text_config"], parts["vision_config"]
    if not clip:
        demand(image, vision_use_head=True)
        width = read(_SIGLIP_IMAGE, image)["width"]
        size = read([("projection_size", "size", read(_SIGLIP_TEXT, text)["width"])], text)["size"]
        if size != width:
            raise ValueError(f"config.json has projection_size {size} beside images of {width}")
        fields = {"causal": False, "pool": "last"}
        return {
            "encoder": ImageTower(pool="attention", **read(_SIGLIP_IMAGE, image)),
            "partner": TextTower(**fields, **read(_SIGLIP_TEXT, text)),
            "partner_projector": MLP(widths=(size,), norm=False),
        }
    tower = read(_CLIP_TEXT, text)
    eot = read([("eos_token_id", "eot", 49407)], text)["eot"]
    # Early files say 2 and mean the largest number in a text.
    eot = tower["vocabulary"] - 1 if eot == 2 else eot
    size = read([("projection_dim", "size", 512)], config)["size"]
    linear = MLP(widths=(size,), norm=False, output_bias=False)
    return {
        "encoder": ImageTower(**read(_CLIP_IMAGE, image)),
        "partner": TextTower(eot=eot, **tower),
        "projector": linear,
        "partner_projector": linear,
    }


def _shapes(networks: Networks, config: Config) -> Flat:
    image, text = networks["encoder"], networks["partner"]
    more = config.get("vision_config") or {}
    side = read([("image_size", "side", 224)], more)["side"]
    channels = read([("num_channels", "channels", 3)], more)["channels"]
    found = shapes_of("encoder", image, spec(1, side, side, channels))
    found |= shapes_of("partner", text, spec(1, 1, dtype=np.int32))
    for name, tower in (("projector", image), ("partner_projector", text)):
        if name in networks:
            found |= shapes_of(name, networks[name], spec(1, tower.width))
    scalars = ("log_scale",) if config["model_type"] == "clip" else ("log_scale", "bias")
    return found | dict.fromkeys(scalars, ())


_BUFFERS = (r"(text|vision)_model\.embeddings\.position_ids",)
CLIP = Family(
    rows=CLIP_ROWS,
    model=lambda networks: "CLIPModel",
    config=lambda networks, flat, **given: _config(networks, flat, clip=True, **given),
    networks=_networks,
    shapes=_shapes,
    dropped=_BUFFERS,
)
SIGLIP = Family(
    rows=SIGLIP_ROWS,
    model=lambda networks: "SiglipModel",
    config=lambda networks, flat, **given: _config(networks, flat, clip=False, **given),
    networks=_networks,
    shapes=_shapes,
    dropped=_BUFFERS,
)
