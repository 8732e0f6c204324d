"""compile and profile: would this fit a TPU slice, and where does the time go."""

import dataclasses
import json
from pathlib import Path

from ssljax.cli.console import Parser, say
from ssljax.cli.flags import load_experiment, override
from ssljax.pods.compile import compile_report, render
from ssljax.pods.profile import profile


def compile_for(arguments: list[str]) -> None:
    """`ssljax compile`."""
    parser = Parser(
        "compile",
        "Compiles the training step of an experiment for a TPU slice, on a machine without one, "
        "and says whether it fits, which limit binds and how fast it could go. Needs libtpu: "
        "pip install 'jax[tpu]', best in an environment of its own.",
    )
    parser.add_argument("file", help="an experiment file")
    parser.add_argument(
        "--topology", required=True, help="TPU and slice, such as v5e:16x16 or v4:4x4x4"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    args, rest = parser.parse_known_args(arguments)
    experiment = override(
        load_experiment(args.file), rest, prog=f"ssljax compile {args.file}", own=parser.own
    )
    found = compile_report(experiment, topology=args.topology)
    say(json.dumps(dataclasses.asdict(found), indent=2) if args.json else render(found))


def trace(arguments: list[str]) -> None:
    """`ssljax profile`."""
    parser = Parser(
        "profile", "Traces a few training steps of an experiment on the devices of this machine."
    )
    parser.add_argument("file", help="an experiment file")
    parser.add_argument("--out", help="folder for the trace (default: runs/NAME-profile)")
    parser.add_argument("--calls", type=int, default=5, help="calls of the step (default: 5)")
    args, rest = parser.parse_known_args(arguments)
    experiment = override(
        load_experiment(args.file), rest, prog=f"ssljax profile {args.file}", own=parser.own
    )
    name = Path(args.file).stem
    found = profile(experiment, Path(args.out or f"runs/{name}-profile"), calls=args.calls)
    steps = experiment.cadence.steps_per_call
    say(
        f"{found.calls} calls of {steps} step(s): {1e3 * found.seconds:.1f} ms each while traced, "
        f"{found.wait:.0%} of it waiting for data"
    )
    if found.flops:
        say(f"{found.flops:.3g} FLOPs a call on each device, as XLA counts them")
    say(f"trace: {found.folder} (tensorboard --logdir {found.folder}, with its profile plugin)")
    for path in found.traces:
        say(f"for Perfetto: {path}")
