"""Texts as numbers of letters, counted from 1; 0 fills up. What a `Transcript` has as its truth."""

from collections.abc import Sequence

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz '"
UNKNOWN = -1
"""In the first place of a text that nobody has written down."""


def check_letters(letters: str) -> None:
    """Raises ValueError where one is there twice, or none."""
    twice = sorted({c for c in letters if letters.count(c) > 1})
    if twice or not letters:
        why = f"{twice[0]!r} is there twice" if twice else "there are none"
        raise ValueError(f"letters {letters!r}: {why}")


def spelled(
    texts: Sequence[str | None], letters: str, *, size: int, places: Sequence[str]
) -> np.ndarray:
    """int32 [N, size] of texts; None is one that nobody has written down.

    places: what to call each in a message. Raises: ValueError for an unknown letter, or for a text
    that is longer than `size`.
    """
    number = {letter: i for i, letter in enumerate(letters, start=1)}
    found = np.zeros((len(texts), size), np.int32)
    for row, text, place in zip(found, texts, places, strict=True):
        if text is None:
            row[0] = UNKNOWN
            continue
        unknown = sorted(set(text) - number.keys())
        if unknown:
            raise ValueError(
                f"{place}: {unknown[0]!r} of {_short(text)} is none of the letters "
                f"{letters!r}: change the text, or --reader.letters (and those of the target)"
            )
        if len(text) > size:
            raise ValueError(
                f"{place}: {_short(text)} has {len(text)} letters, more than the {size} of a row: "
                "raise --reader.longest"
            )
        row[: len(text)] = [number[letter] for letter in text]
    return found


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
