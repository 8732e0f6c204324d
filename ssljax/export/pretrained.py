"""A trained run as a folder that transformers reads, and published weights as a file of ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax.export import folder
from ssljax.export.networks import save_networks
from ssljax.export.transformers import (
    FAMILIES,
    from_transformers,
    model_type_of,
    to_transformers,
)
from ssljax.method import Linear
from ssljax.nets import MLP

PyTree = Any
_TYPED = ("bert", "electra")  # families that tell the two texts of a pair apart
GENERATOR = "generator"


def export_transformers(
    out: Path,
    *,
    networks: Mapping[str, Any],
    params: PyTree,
    method: Any = None,
    image_size: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    tokenizer: Path | None = None,
    length: int = 0,
    ends: bool = False,
    classifier: Linear | None = None,
    classes: Sequence[str] | None = None,
) -> Path:
    """Writes config.json, model.safetensors and what prepares inputs into a new folder.

    An ELECTRA becomes its discriminator, and in the folder `generator` within its generator.

    Args:
      out: the folder, new or empty.
      networks, params: by name, such as the `networks` of a method.
      method: where a family asks for numbers that a method decides, such as a masking ratio.
      image_size, mean, std: side of the images in pixels, and how they are normalised.
      classifier: of the classes or tags that are called `classes`, or of letters, written too.
      tokenizer: a tokenizer.json. length, ends: see `folder.write_tokenizer`.
    Returns: `out`. Raises: ValueError where there is no such family, or it cannot express these.
    """
    name, labels = model_type_of(networks), {}
    if classifier is not None:
        networks, params, labels = _with_classifier(name, networks, params, classifier, classes)
    words = None if tokenizer is None else folder.read_json(tokenizer)
    special = {} if words is None else folder.special_tokens(words)
    pad = special["pad_token"][1] if "pad_token" in special else None
    fields = FAMILIES[name].settings
    decided = {} if method is None else vars(method)
    settings = {key: decided[f] for key, f in fields.items() if f in decided} | labels
    if name == "gpt2" and "eos_token" in special:
        settings |= dict.fromkeys(("bos_token_id", "eos_token_id"), special["eos_token"][1])
    options = {"image_size": image_size, "pad": pad, "model_type": name, "settings": settings}
    models = {
        place: to_transformers(*model, **options)
        for place, model in _models(networks, jax.device_get(params)).items()
    }
    with folder.whole_folder(Path(out)) as fresh:
        for place, model in models.items():
            where = fresh / place
            where.mkdir(exist_ok=True)
            folder.write_model(where, *model)
            if words is not None:
                types = name in _TYPED
                folder.write_tokenizer(where, words, length=length, ends=ends, types=types)
            if image_size is not None and mean is not None and std is not None:
                config = model[0].get("vision_config", model[0])
                each = [v * config["num_channels"] if len(v) == 1 else v for v in (mean, std)]
                folder.write_processor(where, size=image_size, mean=each[0], std=each[1])
    return Path(out)


def _with_classifier(
    name: str,
    networks: Mapping[str, Any],
    params: PyTree,
    linear: Linear,
    classes: Sequence[str] | None,
) -> tuple[dict[str, Any], PyTree, dict[str, Any]]:
    """(networks, parameters, settings) with a classifier behind the encoder alone."""
    place = {"tokens": "tagger", "outputs": "head"}.get(linear.reads, "classifier")
    if not any(ours.startswith(f"{place}/") for ours, *_ in FAMILIES[name].rows):
        raise ValueError(
            f"transformers has no model of {name} with a classifier like this one: export with "
            "--no-classifier"
        )
    count = linear.kernel.shape[1]
    called = classes if classes is not None and len(classes) == count else range(count)
    words = [c if isinstance(c, str) else f"LABEL_{c}" for c in called]
    networks = {"encoder": networks["encoder"], place: MLP(widths=(count,))}
    layer = {"kernel": linear.kernel, "bias": linear.bias}
    params = {"encoder": params["encoder"], place: {"linear_0": layer}}
    if place == "head":  # letters, of which config.json says nothing
        return networks, params, {}
    ids = {str(i): word for i, word in enumerate(words)}
    return networks, params, {"id2label": ids, "label2id": {w: int(i) for i, w in ids.items()}}


def import_transformers(path: Path, out: Path) -> tuple[dict[str, Any], str]:
    """Writes the networks of a published model to `out`, for `Experiment.begin` and `load`.

    Args:
      path: its folder, or its safetensors file with config.json beside. In the folder of an
        ELECTRA's discriminator, that of its generator may lie as `generator`.
      out: a safetensors file.
    Returns: the networks by name, and the family.
    Raises: FileNotFoundError, or ValueError that says what does not fit.
    """
    path = Path(path)
    config, tensors = folder.read_model(path)
    networks, params = from_transformers(config, tensors)
    if config["model_type"] == "electra" and (path / GENERATOR).is_dir():
        small, weights = from_transformers(*folder.read_model(path / GENERATOR))
        table = weights["encoder"].pop("embeddings")
        same = jax.tree.map(np.array_equal, table, params["encoder"]["embeddings"])
        if not all(jax.tree.leaves(same)):
            raise ValueError(
                f"{path / GENERATOR} has embeddings of its own, and ssljax's ELECTRA shares those "
                "of the discriminator"
            )
        networks |= {"generator": small["encoder"], "guess": small["head"]}
        params |= {"generator": weights["encoder"], "guess": weights["head"]}
    save_networks(Path(out), networks, params)
    return networks, config["model_type"]


def _models(
    networks: Mapping[str, Any], params: PyTree
) -> dict[str, tuple[dict[str, Any], PyTree]]:
    """The models of a method by the folder within `out`: several for ELECTRA, else one."""
    apart = ("generator", "guess") if {"generator", "guess"} <= networks.keys() else ()
    main = {name: net for name, net in networks.items() if name not in apart}
    kept = {name: leaf for name, leaf in params.items() if name not in apart}
    if not apart:
        return {"": (main, kept)}
    shared = {"embeddings": params["encoder"]["embeddings"]}
    small = {"encoder": networks["generator"], "head": networks["guess"]}
    weights = {"encoder": params["generator"] | shared, "head": params["guess"]}
    return {"": (main, kept), GENERATOR: (small, weights)}
