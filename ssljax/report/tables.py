"""The tables of numbers."""

import json
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ssljax.report.noise import best_of, interval_of
from ssljax.report.page import text_table
from ssljax.report.runs import PLAIN, to_float

NOTE = (
    '<p class="note">Shares in percent, ± the standard deviation over repetitions, in brackets the '
    "95% interval (Wilson) of a share of as many examples as were scored. Bold is what lies above "
    "every other by more than chance explains; ranks, spread and dimensions are plain numbers.</p>"
)
SEEDS = (
    "Runs that differ in nothing but their seed are one row or column: the mean, and ± the "
    "standard deviation over the seeds."
)
BANDS = (
    "Runs that differ in nothing but their seed are one curve: the mean at the steps that all have "
    "logged, in a band of one standard deviation over the seeds."
)
_HIDDEN = ("_std", "_train", "_l2", "_used_k")  # details of other numbers: in results.json only


def shown_keys(encoders: dict[str, dict]) -> list[str]:
    """The keys that a table shows."""
    keys = dict.fromkeys(k for numbers in encoders.values() for k in numbers)
    return [k for k in keys if k in PLAIN or not k.endswith(_HIDDEN)]


def numbers_table(
    encoders: dict[str, dict],
    corner: str,
    decimals: dict[str, int] | None = None,
    scored: Mapping[str, int | None] | None = None,
) -> str:
    """The table of results: a column for each encoder, or ("run") a row for each.

    decimals: of further numbers that are no shares, by name. scored: by encoder, how many examples
    a share is of.
    """
    keys, plain = shown_keys(encoders), PLAIN | (decimals or {})
    cells = {}
    for key in keys:
        values = {e: to_float(numbers.get(key)) for e, numbers in encoders.items()}
        stds = {e: to_float(numbers.get(f"{key}_std")) for e, numbers in encoders.items()}
        best = None if key in plain else best_of(key, values, stds, scored or {})
        scale, digits = (1, plain[key]) if key in plain else (100, 1)
        for encoder, value in values.items():
            text = f"{scale * value:,.{digits}f}" if math.isfinite(value) else "—"
            if encoder == best:
                text = f"<b>{text}</b>"
            std = stds[encoder]
            text += f" <small>± {scale * std:.{digits}f}</small>" if math.isfinite(std) else ""
            if key not in plain and (span := interval_of(key, value, (scored or {}).get(encoder))):
                text += f" <small>{span}</small>"
            cells[encoder, key] = cells[key, encoder] = f"<td>{text}</td>"
    rows, columns = (list(encoders), keys) if corner == "run" else (keys, list(encoders))
    if not keys:
        return ""
    head = "".join(f"<th>{escape(c)}</th>" for c in [corner, *columns])
    lines = (f"<tr><th>{escape(r)}</th>{''.join(cells[r, c] for c in columns)}</tr>" for r in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody>'
        "</table></div>"
    )


def finetuned_table(path: Path) -> str:
    """The table of finetune.json: one row for each time that the run was fine-tuned."""
    if not path.is_file():
        return ""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        rows = []
        for entry in entries:
            p, e = entry["protocol"], entry["encoders"]
            decay = "" if p["layer_decay"] == 1 else f", layer decay {p['layer_decay']:g}"
            how = "classifier only" if p["frozen"] else f"whole network{decay}"
            how += f", {p['steps']:,} steps, augment {p['augment']}"
            how += f", {p['seeds']} seeds" if p["seeds"] > 1 else ""
            labels = f"{next(iter(e.values()))['labels']:,.0f}"
            rows.append([str(entry["data"]), labels, how, *(_share(row) for row in e.values())])
        names = list(entries[-1]["encoders"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration) as error:
        raise ValueError(f"{path} cannot be read ({error!r}): remove it") from None
    note = (
        "Accuracy in percent after training on labels, from this run and from random weights: ± "
        "the standard deviation over seeds, in brackets the 95% interval (Wilson) of a share of as "
        "many examples as were scored."
    )
    return f'<p class="note">{note}</p>' + text_table(["data", "labels", "how", *names], rows)


def _share(row: dict[str, Any]) -> str:
    std = f" ± {100 * row['accuracy_std']:.1f}" if "accuracy_std" in row else ""
    scored = row.get("scored")
    span = interval_of("accuracy", row["accuracy"], None if scored is None else int(scored))
    return f"{100 * row['accuracy']:.1f}{std} {span}".rstrip()
