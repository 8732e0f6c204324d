"""Models of Hugging Face transformers out of ours and back: config.json and named arrays.

A family is one table of names and one of settings, read in both directions. What transformers ties
to another array is not written; what it has besides (classifiers, poolers of a ViT) is left out
when read, and every other name that is missing or too much is an error. Needs NumPy alone.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ssljax.export.bert_family import BERT, ELECTRA, ROBERTA
from ssljax.export.family import Config, Family, Networks, check_depth, matches
from ssljax.export.image_families import VIT, VIT_MAE
from ssljax.export.names import find, from_theirs, to_theirs
from ssljax.export.pair_families import CLIP, SIGLIP
from ssljax.export.speech_family import WAV2VEC2
from ssljax.export.text_families import GPT_2, T5
from ssljax.export.torch_names import flatten, unflatten
from ssljax.nets import (
    GPT2,
    Bert,
    Decoder,
    ImageTower,
    RealHead,
    T5Encoder,
    ViT,
    Wav2Vec2Encoder,
)

PyTree = Any
Tensors = dict[str, np.ndarray]

FAMILIES: dict[str, Family] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "electra": ELECTRA,
    "gpt2": GPT_2,
    "t5": T5,
    "vit": VIT,
    "vit_mae": VIT_MAE,
    "clip": CLIP,
    "siglip": SIGLIP,
    "wav2vec2": WAV2VEC2,
}


def to_transformers(
    networks: Networks,
    params: PyTree,
    *,
    image_size: int | None = None,
    pad: int | None = None,
    model_type: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], Tensors]:
    """(config.json, model.safetensors) of trained networks.

    Args:
      networks: by name, "encoder" among them, such as the `networks` of a method.
      params: their parameters, {"encoder": ...}, and numbers such as "log_scale".
      image_size: side of the images in pixels, for networks of images.
      pad: number of the padding token. RoBERTa counts positions from the one behind it.
      model_type: one of `FAMILIES`; by default the one that the networks show.
      settings: further keys of config.json.
    Raises: ValueError where there is no such family, or where it cannot express the networks.
    """
    name = model_type or model_type_of(networks)
    if name not in FAMILIES:
        raise ValueError(f"there is no family {name!r}: choose one of {', '.join(FAMILIES)}")
    family, found = FAMILIES[name], dict(networks)
    flat = {path: np.asarray(leaf, np.float32) for path, leaf in flatten(params).items()}
    given = {"image_size": image_size, "pad": pad}
    if family.ready is not None:
        found, flat = family.ready(found, flat, **given)
    tensors = to_theirs(family.rows, flat)
    config = {"model_type": name, "architectures": [family.model(found)]}
    config |= family.config(found, flat, **given) | dict(settings or {})
    return config, {key: np.asarray(leaf, order="C") for key, leaf in tensors.items()}


def from_transformers(
    config: Config, tensors: Mapping[str, np.ndarray]
) -> tuple[dict[str, Any], PyTree]:
    """(networks, params) of a published model, the inverse of `to_transformers`.

    Args:
      config: its config.json.
      tensors: its arrays by name. Optional networks, such as the head of BERT, are those of which
        there is anything.
    Raises: ValueError where the family is unknown, where config.json says what our networks cannot
      express, or that lists missing and unexpected names and wrong shapes.
    """
    name = config.get("model_type")
    if name not in FAMILIES:
        raise ValueError(f"config.json has model_type {name!r}: {', '.join(FAMILIES)} can be read")
    family = FAMILIES[name]
    networks, tensors = family.networks(config), _plain(family, tensors)
    if family.done is not None:
        networks, tensors = family.done(networks, tensors)
    check_depth(networks, len(tensors))
    try:
        shapes = family.shapes(networks, config)
    except Exception as error:  # of JAX, of Flax, or of a network, about sizes that do not go
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ValueError(f"config.json describes no network of {name}: {reason}") from error
    there = {
        path.split("/")[0] for path in shapes if set(find(family.rows, path)[0]) & tensors.keys()
    }
    there |= {"encoder"} | {path for path in shapes if "/" not in path}
    kept = {path: shape for path, shape in shapes.items() if path.split("/")[0] in there}
    what = f"these tensors are not those of a {name} with this config.json"
    flat = from_theirs(family.rows, kept, tensors, what=what)
    return {key: net for key, net in networks.items() if key in there}, unflatten(flat)


def model_type_of(networks: Networks) -> str:
    """The family that networks belong to. Raises: ValueError where there is none."""
    encoder, kinds = networks["encoder"], {type(net) for net in networks.values()}
    if isinstance(encoder, Bert):
        if RealHead in kinds:
            return "electra"
        return "roberta" if encoder.first_position else "bert"
    if isinstance(encoder, ViT):
        return "vit_mae" if Decoder in kinds else "vit"
    if isinstance(encoder, ImageTower):
        return "clip" if encoder.pool == "cls" else "siglip"
    for kind, name in ((GPT2, "gpt2"), (T5Encoder, "t5"), (Wav2Vec2Encoder, "wav2vec2")):
        if isinstance(encoder, kind):
            return name
    raise ValueError(
        f"transformers has no counterpart for {type(encoder).__name__}: networks of "
        f"{', '.join(FAMILIES)} have one"
    )


def _plain(family: Family, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Arrays under the names of the table: usual spellings, no copies, nothing to leave out."""
    found = {}
    for name, leaf in tensors.items():
        for pattern, replacement in family.renamed:
            name = re.sub(rf"^{pattern}$", replacement, name)
        found[name] = leaf
    if not any(name.startswith(family.prefix) for name in found):
        found = {family.prefix + name: leaf for name, leaf in found.items()}
    for copy, source in family.tied.items():
        if copy in found and source in found and not np.array_equal(found[copy], found[source]):
            raise ValueError(f"{copy} is not {source}: ssljax has them tied to each other")
        found.pop(copy, None)
    return {name: leaf for name, leaf in found.items() if not matches(family.dropped, name)}
