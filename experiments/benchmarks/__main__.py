"""All benchmarks in turn, and one table of ratios at the end.

    python experiments/benchmarks                    # about six minutes on two cores
    python experiments/benchmarks --json out.json
    python experiments/benchmarks --only knn loader --quick

Each program runs by itself, with sizes that suit the machine, and prints its own table; what they
measure stands in their docstrings. A ratio is the speed of ssljax over that of the other side:
above 1, ssljax is faster. It is the median over rounds of the ratio within a round, with the lowest
and the highest. For fit the other side is a bare loop of the same step: 0.97 is an overhead of 3%.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine

FOLDER = Path(__file__).resolve().parent
PROGRAMS = ("train_step", "views", "language_step", "knn", "loader", "overhead")


def programs(backend: str, *, quick: bool, busy: bool) -> dict[str, list[str]]:
    """Name -> file and options of each program. quick: the smallest sizes, to see that they run."""
    cpu = ["--busy"] if busy else []
    steps = ["--seconds", "3" if backend == "cpu" else "8"]
    views = ["--views", "--case", "vit_s16_224", *steps]
    views += ["--batch", "16"] if backend == "cpu" else []
    todo = {
        "train_step": ["train_step.py", *steps, *cpu],
        "views": ["train_step.py", *views, *cpu],
        "language_step": ["language_step.py", "--seconds", "5"],
        "knn": ["knn.py", "--rounds", "2"],
        "loader": ["loader.py", "--seconds", "2", "--repeats", "3"],
        "overhead": ["overhead.py", *cpu],
    }
    if quick:
        once = ["--tiny", "--seconds", "0.05", "--rounds", "1", "--torch-modes", "eager"]
        todo["train_step"] += [*once, "--case", "cpu_digits"]
        todo["views"] += once
        todo["language_step"] += [*once, "--scan", "2"]
        todo["knn"] += ["--bank", "2000", "--queries", "100", "--k", "20"]
        todo["loader"] += ["--examples", "512", "--streamed", "64", "--batch", "8"]
        todo["loader"] += ["--workers", "0", "--seconds", "0.05"]
        todo["overhead"] += ["--case", "tiny", "--rounds", "2", "--tiny-block", "10"]
    return todo


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=PROGRAMS)
    parser.add_argument("--quick", action="store_true", help="smallest sizes; numbers mean nothing")
    parser.add_argument("--busy", action="store_true", help="for a CPU that others use too")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    where = machine.environment()
    backend, device, count = machine.child(FOLDER / "train_step.py", "--side", "device")
    where |= {"device": f"{device}, 1 of {count}"}
    todo = programs(backend, quick=options.quick, busy=options.busy)
    report: dict[str, Any] = {"environment": where, "ratios": [], "programs": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            file, *flags = todo[name]
            print(f"\n== {' '.join([file, *flags])}", flush=True)
            found = Path(folder) / f"{name}.json"
            subprocess.run(
                [sys.executable, str(FOLDER / file), *flags, "--json", str(found)], check=True
            )
            report["programs"][name] = json.loads(found.read_text())
            report["ratios"] += report["programs"][name]["ratios"]
    print("\n== all ratios\n")
    print("\n".join(f"{key}: {value}" for key, value in where.items()))
    rows = [["ssljax / the other side", "unit", "ssljax", "other", "which", "ratio", "range"]]
    for r in report["ratios"]:
        numbers = [f"{r['ssljax']:,.4g}", f"{r['peer']:,.4g}"]
        span = f"{r['lowest']:.2f} to {r['highest']:.2f}"
        rows.append([r["what"], r["unit"], *numbers, r["against"], f"{r['ratio']:.2f}", span])
    print(f"\n{machine.table(rows)}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main()
