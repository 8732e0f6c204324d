"""The numbers of an evaluation as text: metrics by encoders, in aligned columns."""

from typing import Any

_HIDDEN = ("_std", "_train", "_l2", "_used_k")
_NUMBERS = {
    **{"rankme": 1, "lidar": 1, "feature_std": 4, "dimensions": 0},
    **{"labels": 0, "scored": 0},
    **{"heldout_loss": 4, "heldout_perplexity": 2, "heldout_bits_per_byte": 4},
    **{"heldout_unigram_loss": 4},
    **{"items_image": 0, "items_text": 0, "items_audio": 0},
}
"""What is no share, with its decimals."""


def table(results: dict[str, Any]) -> str:
    """Aligned columns, metrics by encoders; shares in percent, other numbers as their evaluator
    says (`decimals`).
    """
    rows, decimals = results["encoders"], results.get("decimals", {})
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    names = [n for n in names if n in _NUMBERS or not n.endswith(_HIDDEN)]
    lines = [["", *rows]]
    lines += [[n, *(cell(row, n, decimals) for row in rows.values())] for n in names]
    return aligned(lines)


def aligned(lines: list[list[str]]) -> str:
    """Cells as text in columns, the first one to the left and all others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def cell(row: dict[str, float], name: str, decimals: dict[str, int] | None = None) -> str:
    """A number of `evaluate` as text; "-" where the row does not have it.

    decimals: of further numbers that are no shares, by name.
    """
    if name not in row:
        return "-"
    plain = _NUMBERS | (decimals or {})
    scale, digits = (1, plain[name]) if name in plain else (100, 1)
    spread = f" ± {scale * row[f'{name}_std']:.{digits}f}" if f"{name}_std" in row else ""
    return f"{scale * row[name]:,.{digits}f}{spread}"
