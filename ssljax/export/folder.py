"""Folders as transformers reads them: config.json, model.safetensors, and what prepares inputs.

A folder is written whole or not at all: beside its place first, and then renamed. Only JSON and
safetensors are read, also in several parts (model.safetensors.index.json), and never a pickle.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ssljax.export import safetensors

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
# Special tokens by the part that they play.
_PARTS = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]",),
    "sep_token": ("[SEP]",),
    "mask_token": ("[MASK]", "<mask>"),
    "bos_token": ("<s>", "<|startoftext|>"),
    "eos_token": ("</s>", "<|endoftext|>"),
}
Tokenizer = dict[str, Any]


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` at the end, or vanishes where something fails.

    Raises: ValueError where there is something in the way.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already and not an empty folder: name another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    fresh.mkdir()
    try:
        yield fresh
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write_model(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """config.json and model.safetensors, into a folder that is there."""
    write_json(folder / CONFIG, config)
    save_file(dict(tensors), folder / WEIGHTS, metadata={"format": "pt"})


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(config.json, arrays by name) of a folder, or of a safetensors file with config.json beside.

    Raises: FileNotFoundError or ValueError that say what is missing.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder} has no {CONFIG}, which says what the arrays are")
    if path.is_file():
        files = [path]
    elif (folder / WEIGHTS).is_file():
        files = [folder / WEIGHTS]
    elif (folder / INDEX).is_file():
        parts = read_json(folder / INDEX).get("weight_map")
        if not isinstance(parts, dict) or not all(isinstance(n, str) for n in parts.values()):
            raise ValueError(f"{folder / INDEX} has no weight_map of names to files")
        files = [folder / Path(name).name for name in sorted(set(parts.values()))]
    else:
        raise FileNotFoundError(
            f"{folder} has no {WEIGHTS}; a pickle is never read: load it in torch and write it "
            "with save_pretrained"
        )
    tensors: dict[str, np.ndarray] = {}
    for file in files:
        tensors |= safetensors.read(file)
    return read_json(folder / CONFIG), tensors


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes one JSON file."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises: ValueError where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no JSON object")
    return found


def special_tokens(tokenizer: Tokenizer) -> dict[str, tuple[str, int]]:
    """The special tokens of a tokenizer.json: {"pad_token": ("[PAD]", 0), ...}."""
    numbers = {t["content"]: t["id"] for t in tokenizer.get("added_tokens", []) if t["special"]}
    return {
        part: (name, numbers[name])
        for part, names in _PARTS.items()
        for name in names
        if name in numbers
    }


def write_tokenizer(
    folder: Path, tokenizer: Tokenizer, *, length: int, ends: bool, types: bool
) -> None:
    """tokenizer.json and tokenizer_config.json, into a folder that is there.

    Args:
      tokenizer: what the tokenizer.json of a run holds.
      length: tokens of the longest row.
      ends: put [CLS] and [SEP] around a text, as rows of documents have them.
      types: tell the two texts of a pair apart, as BERT does.
    """
    parts, tokenizer = special_tokens(tokenizer), dict(tokenizer)
    if ends and {"cls_token", "sep_token"} <= parts.keys() and not tokenizer["post_processor"]:
        tokenizer["post_processor"] = _ends(parts["cls_token"], parts["sep_token"])
    write_json(folder / TOKENIZER, tokenizer)
    names = {part: name for part, (name, _) in parts.items()}
    write_json(folder / "special_tokens_map.json", names)
    config = {
        # Reads tokenizer.json as it stands; the classes of the families build their own.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": length,
        "model_input_names": ["input_ids", *["token_type_ids"] * types, "attention_mask"],
    }
    write_json(folder / "tokenizer_config.json", config | names)


def _ends(cls: tuple[str, int], sep: tuple[str, int]) -> dict[str, Any]:
    """[CLS] A [SEP], and [CLS] A [SEP] B [SEP], as the package tokenizers writes it."""

    def special(name: str, kind: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": kind}}

    single = [special(cls[0], 0), {"Sequence": {"id": "A", "type_id": 0}}, special(sep[0], 0)]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, special(sep[0], 1)]
    tokens = {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in (cls, sep)}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": single + second,
        "special_tokens": tokens,
    }


def write_processor(
    folder: Path, *, size: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """preprocessor_config.json: images resized to a square, in [0, 1], then normalised."""
    square = {"height": size, "width": size}
    config = {
        "image_processor_type": "ViTImageProcessor",
        **{"do_resize": True, "size": square, "resample": 3},
        **{"do_rescale": True, "rescale_factor": 1 / 255},
        **{"do_normalize": True, "image_mean": list(mean), "image_std": list(std)},
    }
    write_json(folder / "preprocessor_config.json", config)
