"""What pretraining at the papers' sizes would do on TPU slices, compiled here without a TPU.

    pip install -r requirements-tpu.txt -e .        # brings the compiler
    python experiments/benchmarks/pods.py --out pods --topology v5e:8x8
    python experiments/benchmarks/pods.py --out pods --table

compiles the training step of each case for the slice, `ssljax compile`, in a process of its own,
and writes what it says to OUT/CASE-SLICE.json at once, so that a stop loses nothing: the same
command goes on with what is missing. A case that fails, or takes more than --minutes, is named with
its last line and tried again by the next command. `--table` prints all that is there. No chip was
seen: times are a roofline, the best that the published peaks allow.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine

ROOT = Path(__file__).resolve().parents[2]
_COMPILE = "import sys; from ssljax.cli.commands import main; main(['compile', *sys.argv[1:]])"
_GPT = "experiments/gpt2_openwebtext.py"
CASES: dict[str, tuple[str, ...]] = {
    "GPT-2 124M": (_GPT, "--batch", "512"),
    "MAE ViT-B/16": ("experiments/imagenet_mae.py",),
    "DINO ViT-S/16": ("experiments/imagenet_dino.py",),
    "SimCLR ResNet-50": ("experiments/imagenet_simclr.py",),
    "I-JEPA ViT-H/14": ("experiments/imagenet_ijepa.py",),
    "GPT-2 1.5B": (
        *(_GPT, "--batch", "512", "--parallel.fsdp", "--method.encoder.remat"),
        *("--method.encoder.width", "1600", "--method.encoder.depth", "48"),
        *("--method.encoder.heads", "25"),
    ),
}


def place(out: Path, case: str, topology: str) -> Path:
    """The file of a case on a slice."""
    name = f"{case}-{topology}".replace("/", "").replace(" ", "_").replace(":", "_")
    return out / f"{name}.json"


def compiled(arguments: tuple[str, ...], topology: str, *, minutes: float) -> dict[str, Any]:
    """What `ssljax compile` says, or {"error": a line}."""
    command = [sys.executable, "-c", _COMPILE, *arguments, "--topology", topology, "--json"]
    where = {"cwd": ROOT, "capture_output": True, "text": True}
    try:
        run = subprocess.run(command, timeout=60 * minutes, check=False, **where)
    except subprocess.TimeoutExpired:
        return {"error": f"compiles for more than {minutes:g} minutes"}
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "error:" in line]
        return {"error": (errors or lines or [f"exit status {run.returncode}"])[-1]}
    return json.loads(run.stdout)


def rows(out: Path) -> list[list[str]]:
    """The table of all that lies in a folder."""
    head = ["case", "slice", "batch", "GiB of a chip", "compute", "memory", "network", "bound"]
    found = [[*head, "examples/s", "MFU"]]
    for file in sorted(out.glob("*.json")):
        said = json.loads(file.read_text())
        start = [said["case"], said["topology"]]
        if "error" in said:
            found.append([*start, said["error"], *[""] * 7])
            continue
        peak = "?" if said["peak"] is None else f"{said['peak'] / 2**30:.1f}"
        used = f"{peak} of {said['hbm'] / 2**30:.0f}"
        if not said["fits"] or said["step_seconds"] is None:
            found.append([*start, str(said["batch"]), used, *[""] * 3, said["verdict"], "", ""])
            continue
        times = [f"{1e3 * said['seconds'][k]:.1f} ms" for k in ("compute", "memory", "network")]
        speed = f"{said['batch'] / said['step_seconds']:,.0f}"
        row = [str(said["batch"]), used, *times, said["bound"], speed, f"{said['mfu']:.0%}"]
        found.append([*start, *row])
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--topology", action="append", help="such as v5e:8x8; repeat it")
    parser.add_argument("--only", action="append", help=f"some of {', '.join(CASES)}")
    parser.add_argument("--minutes", type=float, default=30, help="a compilation may take")
    parser.add_argument("--table", action="store_true", help="print what is there, and no more")
    options = parser.parse_args(arguments)
    if unknown := set(options.only or ()) - set(CASES):
        parser.error(f"no case {', '.join(unknown)}: choose some of {', '.join(CASES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for topology in () if options.table else options.topology or ("v5e:8x8",):
        for case in options.only or CASES:
            file = place(options.out, case, topology)
            if file.exists() and "error" not in json.loads(file.read_text()):
                continue
            start = time.perf_counter()
            found = compiled(CASES[case], topology, minutes=options.minutes)
            about = {"case": case, "topology": topology, "arguments": CASES[case]}
            file.write_text(json.dumps(found | about, indent=2) + "\n")
            said = found.get("error", "compiled")
            print(f"{case}, {topology}: {said}, {time.perf_counter() - start:.0f} s", flush=True)
    print(machine.table(rows(options.out)))


if __name__ == "__main__":
    main()
