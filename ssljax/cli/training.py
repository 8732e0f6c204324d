"""train, selftrain and sweep: commands that train networks."""

import dataclasses
import time
from pathlib import Path

import jax

from ssljax import probes
from ssljax.cli.console import Parser, say
from ssljax.cli.flags import load_experiment, load_named, override
from ssljax.runs.experiment import Experiment
from ssljax.runs.run import run
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.results import table
from ssljax.selftraining.run import run_self_training
from ssljax.sweep import load_sweep, run_sweep, summarize
from ssljax.training import distributed

_WORKDIR = {
    "--workdir DIR": "run folder; a run that is there is resumed (default: a fresh one in runs/)"
}
_EXTEND = {"--extend-to STEPS": "the run that is there goes on to more steps than it was made for"}


def train_one(experiment: Experiment, flags: list[str], *, file: Path) -> None:
    """Trains, evaluates and reports an experiment of `file`, with fields replaced by flags."""
    folder, rest = _workdir(flags)
    parser = Parser("train", "", add_help=False)
    parser.add_argument("--extend-to", type=int)
    own, rest = parser.parse_known_args(rest)
    experiment = override(experiment, rest, prog=f"ssljax train {file}", own=_WORKDIR | _EXTEND)
    if own.extend_to is not None:
        if folder is None:
            raise ValueError("--extend-to: name the run that goes on with --workdir DIR")
        experiment = dataclasses.replace(experiment, steps=own.extend_to)
    folder = folder or Path(distributed.from_first(str(_fresh(file.stem))))
    tell = say if jax.process_index() == 0 else lambda text: None
    tell(f"run folder: {folder}")
    results = run(experiment, folder, extend=own.extend_to is not None)
    if "before" in results:
        tell(f"it is finished: all {results['step']} steps are done, and nothing is done again")
    if results["finished"]:
        tell(probes.table(results["evaluation"]))
        tell("\n".join(results["evaluation"].get("notes", ())))
        tell(f"report: {folder / 'report.html'}")
    else:
        tell(f"stopped at step {results['step']}; the same command with --workdir {folder} goes on")


def _workdir(flags: list[str]) -> tuple[Path | None, list[str]]:
    """The run folder that the flags name, if any, and the other flags."""
    parser = Parser("train", "", add_help=False)
    parser.add_argument("--workdir", type=Path)
    own, rest = parser.parse_known_args(flags)
    return own.workdir, rest


def _fresh(name: str) -> Path:
    """A run folder that does not exist yet."""
    base = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [base] + [base.with_name(f"{base.name}-{i}") for i in range(2, 1000)]
    return next(c for c in candidates if not c.exists())


def train(arguments: list[str]) -> None:
    """`ssljax train`."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: ssljax train FILE [--workdir DIR] [--FIELD VALUE ...]\n\n"
            "Pretrains as the experiment FILE says, evaluates, and writes a run folder.\n\n"
            "  FILE           a Python file with EXPERIMENT; ssljax new simclr FILE writes one\n"
            "  --workdir DIR  run folder; a run that is there is resumed (default: a fresh one)\n"
            "  --FIELD VALUE  any field of the experiment: --steps 500 --data npz:my.npz\n"
            "                 --method.temperature 0.2 --optimizer.learning-rate 0.3\n\n"
            "ssljax train FILE --help describes the fields of every day, --help-all every one.\n\n"
            "On several hosts, start the same command on each: TPU pods, Slurm, Open MPI and\n"
            "Kubernetes are recognised; elsewhere add --coordinator HOST:PORT --processes N\n"
            "--process I (0 to N-1)."
        )
        return
    train_one(load_experiment(arguments[0]), arguments[1:], file=Path(arguments[0]))


def selftrain(arguments: list[str]) -> None:
    """`ssljax selftrain`."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: ssljax selftrain FILE [--workdir DIR] [--FIELD VALUE ...]\n\n"
            "Trains on few labels, labels the rest, and goes on, round after round, beside the\n"
            "same network on the few labels and on all of them. FILE defines\n"
            "SELFTRAIN = SelfTraining(...); ssljax new student FILE writes one.\n\n"
            "  --workdir DIR  run folder; a run that is there is resumed (default: a fresh one)\n"
            "  --FIELD VALUE  any field: --few 4 --rounds.count 2 --data npz:my.npz\n"
            "                 --labels mine.csv takes labels from a file: index (row of the data)\n"
            "                 or file, and target or class\n\n"
            "Labels lie in DIR/seedS/rounds/NN/labels.parquet. Edit one and run again: that\n"
            "round is trained again from there, and all that follow."
        )
        return
    file = Path(arguments[0])
    folder, rest = _workdir(arguments[1:])
    config = override(
        load_named(arguments[0], "SELFTRAIN", SelfTraining),
        rest,
        prog=f"ssljax selftrain {file}",
        own=_WORKDIR,
    )
    folder = folder or _fresh(file.stem)
    say(f"run folder: {folder}")
    try:
        results = run_self_training(config, folder)
    except KeyboardInterrupt as stop:
        say(f"{stop or 'stopped'} (--workdir {folder})")
        return
    say(table(results))
    say(f"report: {folder / 'report.html'}")


def sweep(arguments: list[str]) -> None:
    """`ssljax sweep`."""
    parser = Parser(
        "sweep",
        "Runs every experiment of a file that defines SWEEP = {name: Experiment, ...}, or of "
        "SelfTraining, skips those "
        "that are finished, and ends with one table and one plot. Any field of the experiments is "
        "a flag that holds for all of them: --data parquet:PATH --steps 200.",
    )
    parser.add_argument("file", help="a Python file that defines SWEEP")
    parser.add_argument("--workdir", help="folder for the runs (default: runs/NAME-OF-FILE)")
    parser.add_argument("--index", type=int, help="run only this one, for job arrays (from 0)")
    args, rest = parser.parse_known_args(arguments)
    experiments, axis = load_sweep(args.file)
    if rest:
        experiments = {
            name: override(experiment, rest, prog=f"ssljax sweep {args.file}", own=parser.own)
            for name, experiment in experiments.items()
        }
    folder = Path(args.workdir or Path("runs") / Path(args.file).stem)
    tell = say if jax.process_index() == 0 else lambda text: None
    run_sweep(experiments, folder, index=args.index, say=tell)
    if jax.process_index() == 0:
        text, failed = summarize(experiments, folder, axis=axis)
        tell(f"{text}\n\ntable, plot and comparison: {folder}")
        if failed:
            raise SystemExit(1)
