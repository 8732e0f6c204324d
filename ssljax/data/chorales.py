"""Chorales in one JSON file: {"train": [piece, ...], "valid": [...], "test": [...]}.

A piece is a list of chords, and a chord the list of MIDI pitches that sound during a sixteenth.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data.corrupt import CorruptExample
from ssljax.data.melody import KEYS, LOWEST
from ssljax.data.split_names import SPLITS, normal


def is_chorales(place: str) -> bool:
    """Whether this is such a file, by its name."""
    return place.lower().endswith(".json")


def read_chorales(place: str) -> dict[str, list[Any]]:
    """Pieces by name: their split and their number in it, such as train/1.

    Raises: FileNotFoundError, or ValueError that says what is wrong with the file.
    """
    try:
        found = json.loads(Path(place).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{place} is no JSON: {error}") from None
    whole = isinstance(found, dict) and all(isinstance(pieces, list) for pieces in found.values())
    if not whole or not any(found.values()):
        raise ValueError(
            f'{place} holds no chorales: it needs {{"train": [piece, ...], ...}}, a piece being a '
            "list of lists of pitches"
        )
    if strange := [name for name in found if normal(name) not in SPLITS]:
        raise ValueError(f"{place} has a split {strange[0]!r}: only {', '.join(SPLITS)} are known")
    return {
        f"{normal(split)}/{i}": piece
        for split, pieces in found.items()
        for i, piece in enumerate(pieces, 1)
    }


def roll_of(piece: Any, name: str) -> np.ndarray:
    """Which keys sound at each sixteenth, uint8 [S, 88]. Raises: CorruptExample for other things
    than lists of pitches, and for silence.
    """
    if not isinstance(piece, list) or not piece:
        raise CorruptExample(name, f"it is no list of chords: {piece!s:.60}")
    found = np.zeros((len(piece), KEYS), np.uint8)
    for i, chord in enumerate(piece):
        if not isinstance(chord, list) or not all(map(_is_key, chord)):
            what = f"no list of MIDI pitches from 21 to 108: {chord!s:.60}"
            raise CorruptExample(name, f"sixteenth {i + 1} is {what}")
        found[i, np.array(chord, int) - LOWEST] = 1
    if not found.any():
        raise CorruptExample(name, "it holds no notes")
    return found


def _is_key(pitch: Any) -> bool:
    """Whether this is a whole number, maybe written as 60.0, of a key."""
    number = isinstance(pitch, int | float) and not isinstance(pitch, bool)
    return number and LOWEST <= pitch < LOWEST + KEYS and pitch == int(pitch)
