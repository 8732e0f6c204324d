"""The three splits, and what else people call them."""

SPLITS = ("train", "validation", "test")
_ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "eval": "test",
    "testing": "test",
}


def normal(word: str) -> str:
    """train, validation or test for any of their usual names; other words stay as they are."""
    return _ALIASES.get(word.lower(), word.lower() if word.lower() in SPLITS else word)
