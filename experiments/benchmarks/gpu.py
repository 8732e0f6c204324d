"""What one GPU does in a few minutes: training steps beside torch.compile, then CIFAR-10.

    python experiments/benchmarks/gpu.py --minutes 9 --out results/h200
    python experiments/benchmarks/gpu.py --minutes 9 --out results/h200 --cifar10 parquet:PATH

It needs jax, flax, optax, orbax and, for the other side, torch and transformers; the last part also
needs pyarrow and pillow. Parts run in order of worth, each in processes of its own: first all of
them at tiny sizes, to find out in a minute what does not run, then

    SimCLR with ResNet-18 at 32 pixels; SimCLR and DINO with ViT-S/16 at 224; GPT-2 124M; BERT-base;
    MAE with ViT-B/16

with speed, share of the device's peak (MFU) and peak memory; then SimCLR on CIFAR-10 for as many
epochs as the time that is left allows, with k-NN and a linear probe. After each part OUT/table.md
and OUT/results.json are written anew, so that a stop loses nothing; a part that fails or does not
fit into the time is said, and the next one follows. It works as it stands on any GPU, and on a CPU.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import machine

FOLDER = Path(__file__).resolve().parent
LEAST = 20.0  # seconds in which a part can do anything


class Part(NamedTuple):
    """One program with its options. needs: seconds that it takes on an H200, about."""

    name: str
    file: str
    options: tuple[str, ...]
    needs: float


_TIMED = ("--rounds", "1", "--seconds", "4")
_COMPILED = ("--torch-modes", "default")
PARTS = (
    Part("SimCLR ResNet-18, 32 px", "train_step.py", ("--case", "resnet18_32"), 60),
    Part("SimCLR ViT-S/16, 224 px", "train_step.py", ("--case", "vit_s16_224"), 80),
    Part("DINO ViT-S/16, 224 px", "method_step.py", ("--case", "dino_vit_s16"), 60),
    Part("GPT-2 124M", "language_step.py", ("--case", "gpt2_124m", "--scan", "1"), 60),
    Part("BERT-base", "method_step.py", ("--case", "bert_base"), 60),
    Part("MAE ViT-B/16, 224 px", "method_step.py", ("--case", "mae_vit_b16"), 80),
)
BATCH = 512
EPOCH = 50_000 // BATCH


def timed(part: Part, out: Path, *, tiny: bool, limit: float) -> dict[str, Any]:
    """Runs a part and reads what it wrote; "failed" says what went wrong instead."""
    file = (
        out / f"{'tiny-' * tiny}{part.name.split(',')[0].replace('/', '-').replace(' ', '-')}.json"
    )
    command = [sys.executable, str(FOLDER / part.file), *part.options, *_TIMED, *_COMPILED]
    if tiny:
        quick = ["--tiny", "--seconds", "0.05", "--torch-modes", "eager"]
        command += quick
    return _run([*command, "--json", str(file)], file, limit)


def _run(command: list[str], file: Path, limit: float) -> dict[str, Any]:
    file.unlink(missing_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {limit:.0f} s"}
    if done.returncode or not file.is_file():
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        return {"failed": f"exit code {done.returncode}: {last}"}
    return {"found": json.loads(file.read_text()), "shown": done.stdout}


def table_of(results: dict[str, Any]) -> str:
    """Markdown of all that is there: ratios, what each program shows, and what has failed."""
    lines = ["# What one GPU does", ""]
    lines += [f"{key}: {value}  " for key, value in results["environment"].items()]
    lines += ["", "| part | unit | ssljax | the other side | ratio |", "|---|---|---|---|---|"]
    for name, part in results["parts"].items():
        if "failed" in part:
            lines.append(f"| {name} | | failed | {part['failed'].replace('|', '/')} | |")
            continue
        ratios = part["found"].get("ratios", [])
        for r in ratios:
            numbers = f"{r['ssljax']:,.4g} | {r['peer']:,.4g}, {r['against']} | {r['ratio']:.2f}"
            lines.append(f"| {name}: {r['what']} | {r['unit']} | {numbers} |")
        if not ratios:
            lines.append(f"| {name} | | see below | | |")
    for name, part in results["parts"].items():
        if "shown" in part:
            lines += ["", f"## {name}", "", "```", part["shown"].strip(), "```"]
    return "\n".join(lines) + "\n"


def images_a_second(part: dict[str, Any]) -> float:
    """Of ssljax, in what the first part has found; 0 where it has failed."""
    (case,) = part.get("found", {}).get("cases", {}).values() or ({},)
    rounds = case.get("rounds", {}).get("ssljax", [])
    return BATCH / rounds[0]["step"] if rounds else 0.0


def cifar10(spec: str, out: Path, *, seconds: float, rate: float) -> dict[str, Any]:
    """SimCLR for as many epochs as fit: `rate` images a second were measured before.

    A quarter of the time is left for reading, compiling and the evaluation.
    """
    epochs = min(200, int(0.75 * seconds * rate / 50_000))
    if epochs < 1:
        return {"failed": f"{seconds:.0f} s are too few for an epoch at {rate:,.0f} images/s"}
    file = out / "cifar10.json"
    command = [sys.executable, str(FOLDER / "gpu_cifar10.py"), spec, str(epochs * EPOCH)]
    found = _run([*command, str(out / "cifar10"), str(file)], file, seconds)
    return found | {"epochs": epochs}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9, help="for all of it")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is found")
    parser.add_argument("--cifar10", help="data of CIFAR-10 for the last part, as --data takes it")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes alone: does it run?")
    options = parser.parse_args(arguments)
    begin, total = time.monotonic(), 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    left = lambda: total - (time.monotonic() - begin)  # noqa: E731
    _, device, count = machine.child(FOLDER / "train_step.py", "--side", "device")
    where = machine.environment() | {"device": f"{device}, 1 of {count}"}
    results: dict[str, Any] = {"environment": where, "parts": {}}

    def keep(name: str, found: dict[str, Any]) -> None:
        results["parts"][name] = found
        said = found.get("failed", "done")
        print(f"{time.monotonic() - begin:5.0f} s  {name}: {said}", flush=True)
        (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.out / "table.md").write_text(table_of(results))

    for part in PARTS:
        found = timed(part, options.out, tiny=True, limit=max(LEAST, left()))
        if options.tiny or "failed" in found:
            keep(f"tiny {part.name}", found)
    if options.tiny:
        return results
    for part in PARTS:
        if left() < LEAST:
            keep(part.name, {"failed": "no time was left"})
            continue
        keep(part.name, timed(part, options.out, tiny=False, limit=left()))
    if options.cifar10:
        missing = [n for n in ("pyarrow", "PIL", "sklearn") if not importlib.util.find_spec(n)]
        if missing:
            keep("CIFAR-10", {"failed": f"not installed: {', '.join(missing)}"})
        else:
            rate = images_a_second(results["parts"][PARTS[0].name])
            keep("CIFAR-10", cifar10(options.cifar10, options.out, seconds=left(), rate=rate))
    return results


if __name__ == "__main__":
    main()
