"""What a run folder says about itself, read once."""

import json
import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# What is neither a share nor "larger is better", with its decimals.
PLAIN = {
    **{"rankme": 1, "lidar": 1, "feature_std": 3, "dimensions": 0},
    **{"labels": 0, "scored": 0},
    **{"heldout_loss": 4, "heldout_perplexity": 2, "heldout_bits_per_byte": 4},
    **{"heldout_unigram_loss": 4},
    **{"items_image": 0, "items_text": 0, "items_audio": 0},
}


class Run(NamedTuple):
    """What a run folder says about itself; a curve is steps and values, [2, n], or, over several
    seeds, steps, means and deviations, [3, n]."""

    name: str
    curves: dict[str, np.ndarray]
    config: dict[str, Any]
    results: dict[str, Any]


def read_run(folder: Path, name: str | None = None) -> Run:
    """One run. Raises FileNotFoundError without metrics.jsonl, ValueError for unreadable files."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is not a run folder: it has no metrics.jsonl. A run folder is what "
            "`ssljax train` writes: metrics.jsonl, config.json and, at the end, results.json"
        )
    lines = path.read_bytes().decode("utf-8", "replace").rstrip().split("\n")
    curves: dict[str, list] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            step = float(row["step"])
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # cut short by a kill, or an empty file
                break
            raise ValueError(
                f"{path}, line {number} is not a row of metrics: {error}. Mend or remove it"
            ) from None
        for key, value in row.items():
            if key != "step":
                curves.setdefault(key, []).append((step, to_float(value)))
    arrays = {key: np.array(points).T for key, points in curves.items()}
    name = name or folder.resolve().name
    return Run(name, arrays, read_json(folder / "config.json"), read_json(folder / "results.json"))


def read_runs(folders: list[Path]) -> list[Run]:
    """Several runs, under the names of their folders, or their paths where names coincide."""
    if not folders:
        raise ValueError("there is nothing to compare: name at least one run folder")
    paths = [Path(f).resolve() for f in folders]
    return [read_run(p, name) for p, name in zip(paths, names_of(paths), strict=True)]


def names_of(paths: list[Path]) -> list[str]:
    """The names of folders, or their paths where names coincide."""
    names = [p.name for p in paths]
    return [str(p) for p in paths] if len(set(names)) < len(names) else names


def encoders_of(run: Run) -> dict[str, dict]:
    """The final numbers of each encoder; {} where the run has none."""
    return run.results.get("evaluation", {}).get("encoders", {})


def differing_fields(runs: list[Run]) -> tuple[list[str], list[list[str]]]:
    """Fields that are not the same everywhere, and their values: one row a field."""
    settings = [dict(flat_fields(r.config.get("experiment", {}))) for r in runs]
    fields = sorted({f for s in settings for f in s})
    rows = [[s.get(f, "—") for s in settings] for f in fields]
    kept = [(f, row) for f, row in zip(fields, rows, strict=True) if len(set(row)) > 1]
    return [f for f, _ in kept], [row for _, row in kept]


def to_float(value: Any) -> float:
    """A float, also of "nan" and "inf"; NaN for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, {} where there is no file. Raises ValueError for another file."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a JSON object ({error}): repeat the run") from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file, {} where there is none. Raises ValueError for another file."""
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({error}): remove it") from None


def flat_fields(value: Any, path: str = "") -> list[tuple[str, str]]:
    """(`method.encoder.widths`, `[32, 64]`) for every leaf of nested objects."""
    if isinstance(value, dict):
        return [
            pair for k, v in value.items() for pair in flat_fields(v, f"{path}.{k}" if path else k)
        ]
    return [(path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]


def origin_of(run: Run) -> list[tuple[str, str]]:
    """Everything of config.json but the experiment itself; the results know the hardware better."""
    config = {k: v for k, v in run.config.items() if k != "experiment"}
    if isinstance(config.get("command"), list):
        config["command"] = " ".join(map(str, config["command"]))
    return flat_fields(config | {k: v for k, v in run.results.items() if k == "hardware"})


def is_accuracy(key: str, run: Run) -> bool:
    """Whether a curve is a share, to be shown in percent."""
    values = run.curves[key][1] if key in run.curves else np.zeros(0)
    shares = ((values >= 0) & (values <= 1) | np.isnan(values)).all() and len(values) > 0
    named = key.startswith("eval/") or "accuracy" in key
    plain = (*PLAIN, *(run.results.get("evaluation", {}).get("decimals") or ()))
    return bool(shares and named and not key.endswith((*plain, "_std", "loss")))
