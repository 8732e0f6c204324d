"""Images per second of the whole SimCLR training step, beside PyTorch on the same device.

    python experiments/benchmarks/train_step.py                      # what suits this machine
    python experiments/benchmarks/train_step.py --case resnet50_224 --seconds 20 --json out.json
    python experiments/benchmarks/train_step.py --views --case vit_s16_224 --batch 16

The step: a uint8 batch that is already on the device (always the same; no loader is timed) -> two
random views of each image -> encoder, projector, NT-Xent -> gradients -> optimizer. For ssljax it
is the compiled step of `train.fit`, guard against NaN included; for PyTorch `torch_peer.py` in each
of --torch-modes. Every measurement has a process and the device to itself, in turn A B A B; the
result is the median over blocks of steps, then over rounds. An image seen as two views counts once.

    MFU = 3 x (forward FLOPs of a view) x 2 x batch / (seconds of a step x dense peak of the device)

Forward FLOPs are those of convolutions and matrix products in the program of encoder and projector,
two for each multiply-add; views, norms and loss count as nothing. The step "scanned" is a lax.scan
over --scan batches in one dispatch (Cadence.steps_per_call); a CPU does not get it by default, for
XLA runs convolutions inside a loop there on one thread by a slow path. Before timing, the loss must
go down, and all sides must have equally many parameters. With --views only the views are made.
With --busy, for a CPU that others use too, each side has one core and the clock is its CPU time.
"""

import argparse
import dataclasses
import importlib.util
import json
import math
import os
import runpy
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
from ours import CHECK_STEPS, PEAKS, checked, flops_of, seconds_of, step_times

from ssljax import Optimizer
from ssljax.methods import SimCLR
from ssljax.nets import MLP, ResNet, vit
from ssljax.views import ImageView, simclr_cifar, simclr_imagenet, view_batch

CLOCK = time.perf_counter
FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One network on one size of image. source: side of the stored images, in pixels."""

    method: SimCLR
    optimizer: Optimizer
    batch: int
    source: int
    channels: int = 3


_SGD = Optimizer(name="sgd", learning_rate=0.05, per_batch=None, schedule="constant")
_ADAMW = Optimizer(name="adamw", learning_rate=1e-3, per_batch=None, schedule="constant")


def _case(encoder: Any, view: ImageView, batch: int, source: int, **fields: Any) -> Case:
    head = MLP(
        widths=(512, 128), output_norm=True, output_bias=False, dtype=encoder.dtype, parent=None
    )
    optimizer = fields.pop("optimizer", _SGD)
    method = SimCLR(encoder=encoder, projector=head, view=view, temperature=0.5)
    return Case(method=method, optimizer=optimizer, batch=batch, source=source, **fields)


def _digits() -> Case:
    """The experiment on digits; its file needs the packages of the readers."""
    method = runpy.run_path(str(FOLDER.parent / "simclr_digits.py"))["EXPERIMENT"].method
    return Case(method=method, optimizer=_ADAMW, batch=256, source=8, channels=1)


def case_of(name: str) -> Case:
    """One of NAMES; those of an accelerator compute in bfloat16, those of a CPU in float32."""
    if name == "cpu_digits":
        return _digits()
    half = {"dtype": "bfloat16", "parent": None}
    return {
        "resnet18_32": _case(ResNet(depth=18, stem="cifar", **half), simclr_cifar(), 512, 32),
        "resnet50_224": _case(ResNet(depth=50, **half), simclr_imagenet(), 256, 256),
        "vit_s16_224": _case(vit("small", **half), simclr_imagenet(), 256, 256, optimizer=_ADAMW),
        "cpu_resnet18w16_32": _case(
            ResNet(depth=18, stem="cifar", width=16, parent=None), simclr_cifar(), 64, 32
        ),
    }[name]


GROUPS = {
    "cpu_small": ["cpu_resnet18w16_32", "cpu_digits"],
    "accelerator": ["resnet18_32", "resnet50_224", "vit_s16_224"],
}
NAMES = [name for group in GROUPS.values() for name in group]


def tiny(case: Case) -> Case:
    """The same kind of case, small enough to try every line of it on a CPU."""
    encoder, size = case.method.encoder, min(case.source, 32)
    match type(encoder).__name__:
        case "ResNet":
            encoder = encoder.clone(width=8)
        case "ViT":
            encoder = encoder.clone(width=32, depth=2, heads=2)
        case _:
            encoder = encoder.clone(widths=(8, 16))
    view = dataclasses.replace(case.method.view, size=size)
    head = case.method.projector.clone(widths=(32, 16))
    method = dataclasses.replace(case.method, encoder=encoder, projector=head, view=view)
    return dataclasses.replace(case, method=method, batch=8, source=size)


def pictures(case: Case) -> np.ndarray:
    """Random images uint8 [B, H, H, C] that can be told apart: coarse colours under fine noise."""
    rng, cells = np.random.default_rng(0), 4
    side = math.ceil(case.source / cells)
    coarse = rng.uniform(0, 200, (case.batch, cells, cells, case.channels))
    images = coarse.repeat(side, 1).repeat(side, 2)[:, : case.source, : case.source]
    return (images + rng.uniform(0, 55, images.shape)).astype(np.uint8)


def forward_flops(case: Case) -> float:
    """FLOPs of encoder and projector for one view: convolutions and matrix products."""
    size = case.method.view.size

    def forward(x: Any) -> Any:
        for module in (case.method.encoder, case.method.projector):
            x, _ = module.init_with_output(jax.random.key(0), x, train=True)
        return x

    x = jax.ShapeDtypeStruct((2, size, size, case.channels), np.float32)
    return flops_of(forward, x) / 2


def run_ssljax(
    case: Case, *, seconds: float, scan: int = 10, only_views: bool = False
) -> dict[str, Any]:
    """Checks and times ssljax in this process, on its first device. scan: steps in one dispatch."""
    if only_views:
        device = jax.devices()[0]
        found = {"hardware": device.device_kind, "version": f"jax {jax.__version__}"}
        return found | {"views": _views_ssljax(case, seconds)}
    rows = {"image": pictures(case)}
    options = {"seconds": seconds, "scan": scan, "clock": CLOCK}
    result = step_times(case.method, case.optimizer, rows, **options)
    return result | {"views": _views_ssljax(case, seconds / 2)}


def _views_ssljax(case: Case, seconds: float) -> float:
    """Seconds to make two views of each image of a batch."""
    image, made = jax.device_put(pictures(case), jax.devices()[0]), None

    @jax.jit
    def both(key: Any, image: Any) -> Any:
        views = [view_batch(case.method.view, k, image) for k in jax.random.split(key)]
        return jnp.stack(views, axis=1)

    def augment() -> None:
        nonlocal made
        made = both(jax.random.key(0), image)

    return seconds_of(augment, lambda: jax.block_until_ready(made), seconds, CLOCK)


def run_torch(case: Case, *, seconds: float, mode: str, only_views: bool = False) -> dict[str, Any]:
    """Checks and times the PyTorch peer in this process. mode: "eager" or one of torch.compile."""
    import torch
    import torch_peer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    peer = torch_peer.Trainer(
        case.method, case.optimizer, channels=case.channels, device=device, mode=mode
    )
    images = torch.from_numpy(pictures(case)).to(device)
    result: dict[str, Any] = {
        "hardware": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "version": f"torch {torch.__version__}",
    }

    @torch.no_grad()
    def augment() -> None:
        torch.compiler.cudagraph_mark_step_begin()
        peer.augment(images)

    if only_views:
        return result | {"views": seconds_of(augment, wait, seconds, CLOCK)}
    start = time.perf_counter()
    losses = [float(peer.step(images))]
    result["compile"] = time.perf_counter() - start
    losses += [float(peer.step(images)) for _ in range(CHECK_STEPS - 1)]
    result |= checked(losses, f"torch ({mode})")
    result["step"] = seconds_of(lambda: peer.step(images), wait, seconds, CLOCK)
    result["peak_bytes"] = torch.cuda.max_memory_allocated() if device == "cuda" else None
    result["parameters"] = sum(p.numel() for p in peer.model.parameters())
    return result | {"views": seconds_of(augment, wait, seconds / 2, CLOCK)}


def _row(case: Case, side: str, rounds: list[dict], best: float | None, peak: float | None) -> dict:
    """One line of the table from the results of all rounds. best: seconds of the fastest torch."""
    views = {"images/s, views only": f"{case.batch / _median(rounds, 'views'):.0f}"}
    if "step" not in rounds[0]:
        return {"side": side} | views
    first, each = rounds[0], [r["step"] for r in rounds]  # the first compiled with empty caches
    step = statistics.median(each)
    rate = case.batch / step
    row = {
        "side": side,
        "ms/step": f"{1e3 * step:.2f}",
        "spread of rounds": f"{100 * (max(each) - min(each)) / step:.0f}%",
        "images/s": f"{rate:.0f}",
        "speed / best torch": f"{best / step:.2f}" if best else "-",
        "ms/step, scanned": "-",
        **views,
        "MFU": f"{100 * 6 * forward_flops(case) * rate / peak:.1f}%" if peak else "-",
        "peak GiB": f"{first['peak_bytes'] / 2**30:.2f}" if first["peak_bytes"] else "-",
        "first call, s": f"{first['compile']:.0f}",
        "M parameters": f"{first['parameters'] / 1e6:.3f}",
    }
    if "step_scanned" in first:
        row["ms/step, scanned"] = f"{1e3 * _median(rounds, 'step_scanned'):.2f}"
    return row


def _median(rounds: list[dict], what: str) -> float:
    return statistics.median(r[what] for r in rounds)


def _ratios(name: str, case: Case, rounds: dict[str, list[dict]]) -> list[dict]:
    """ssljax against the fastest of the torch modes, in steps and in views alone."""
    found, ours = [], rounds["ssljax"]
    modes = [side for side in rounds if side != "ssljax"]
    for key, ending in (("step", "training step"), ("views", "views only")):
        if modes and key in ours[0]:
            best = min(modes, key=lambda mode: _median(rounds[mode], key))
            rates = ([case.batch / r[key] for r in side] for side in (ours, rounds[best]))
            what = f"{name}, batch {case.batch}: {ending}"
            found.append(machine.ratio(what, "images/s", *rates, against=f"torch {best}"))
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any] | None:
    global CLOCK
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*NAMES, *GROUPS]
    parser.add_argument("--case", nargs="+", choices=names, help="default: the group that fits")
    parser.add_argument("--batch", type=int, help="images in a step, in place of the case's")
    parser.add_argument("--seconds", type=float, default=10, help="of timing per measurement")
    parser.add_argument("--rounds", type=int, default=2, help="turns of A B")
    parser.add_argument("--scan", type=int, help="steps in one dispatch; default 10, CPU 1")
    parser.add_argument("--views", action="store_true", help="make views, do not train")
    parser.add_argument("--busy", action="store_true", help="one core, and its CPU time (Linux)")
    parser.add_argument("--torch-modes", nargs="*", help="eager or modes of torch.compile")
    parser.add_argument("--peak", type=float, help="dense peak of the device in TFLOP/s, for MFU")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)  # one measurement, in a child process
    args = parser.parse_args(arguments)

    def load(name: str) -> Case:
        case = tiny(case_of(name)) if args.tiny else case_of(name)
        return dataclasses.replace(case, batch=args.batch or case.batch)

    if args.side == "device":  # asked in a child: a parent that looks would keep its memory
        print(json.dumps([jax.default_backend(), jax.devices()[0].device_kind, jax.device_count()]))
        return None
    if args.side:
        if args.busy:
            # Before either library starts its threads, which are as many as there are cores.
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
            CLOCK = time.process_time
        options = {"seconds": args.seconds, "only_views": args.views}
        case = load(args.case[0])
        if args.side == "ssljax":
            default = 1 if jax.default_backend() == "cpu" else 10
            found = run_ssljax(case, **options, scan=args.scan or default)
        else:
            found = run_torch(case, **options, mode=args.side)
        print(json.dumps(found))
        return None

    return _compare(args, load)


def _compare(args: argparse.Namespace, load: Callable[[str], Case]) -> dict[str, Any]:
    """Measures all sides of all cases in turn, prints a table of each, returns everything."""
    backend, hardware, count = machine.child(__file__, "--side", "device")
    modes = args.torch_modes
    if modes is None:
        modes = ["eager", "default"] if backend == "cpu" else []
        if backend == "gpu":
            modes = ["max-autotune-no-cudagraphs", "reduce-overhead"]
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: ssljax only.")
        modes = []
    peak = next((v for k, v in PEAKS.items() if k in hardware), None)
    peak = 1e12 * args.peak if args.peak else peak
    wanted = args.case or ["cpu_small" if backend == "cpu" else "accelerator"]
    report: dict[str, Any] = {
        "environment": machine.environment(),
        "hardware": hardware,
        "peak_flops": peak,
        "data": "one uint8 batch, resident on the device",
        "cases": {},
        "ratios": [],
    }
    for name in [n for w in wanted for n in GROUPS.get(w, [w])]:
        common = ["--case", name, "--seconds", str(args.seconds)]
        common += [f"--{flag}" for flag in ("tiny", "views", "busy") if getattr(args, flag)]
        common += ["--batch", str(args.batch)] if args.batch else []
        common += ["--scan", str(args.scan)] if args.scan else []
        sides = ("ssljax", *modes)
        rounds = machine.in_turn(__file__, common, sides, rounds=args.rounds, name=name)
        case = load(name)
        times = [] if args.views else [_median(rounds[mode], "step") for mode in modes]
        rows = [_row(case, side, r, min(times, default=None), peak) for side, r in rounds.items()]
        flops = forward_flops(case) / 1e9
        report["cases"][name] = {"rounds": rounds, "table": rows, "forward_gflops": flops}
        report["ratios"] += _ratios(name, case, rounds)
        versions = ", ".join(dict.fromkeys(results[0]["version"] for results in rounds.values()))
        print(
            f"\n{name}: batch {case.batch}, two views of {case.method.view.size} px, "
            f"{case.method.encoder.dtype}, {flops:.3f} GFLOP forward a view\n"
            f"{report['environment']['date']}, {hardware}, {machine.cores()} cores, 1 of {count} "
            f"device(s), peak {peak / 1e12 if peak else '-'} TFLOP/s, {versions}\n"
        )
        print(machine.table([list(rows[0]), *(list(row.values()) for row in rows)]))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main()
