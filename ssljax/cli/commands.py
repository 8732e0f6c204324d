"""The command line: the only place that parses flags.

ssljax new simclr my_experiment.py          ssljax train my_experiment.py --data folder:PATH
ssljax probe runs/try          ssljax export runs/try --format safetensors --out encoder.safetensors
ssljax sweep experiments/ablations/x.py     ssljax report runs/a runs/b     ssljax list

A command is imported when it is called, so that `--help`, `list` and a misspelt name need no JAX.
"""

import difflib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssljax import __version__
from ssljax.cli.console import Parser

if TYPE_CHECKING:
    from ssljax.runs.experiment import Experiment


class Command(NamedTuple):
    """One command of `ssljax`: `function` of the module `module` in ssljax/cli."""

    module: str
    function: str
    text: str
    """What the command does, for `ssljax --help`."""
    jax: bool = True
    """Whether it computes, and may be one process of several."""

    def load(self) -> Callable[[list[str]], None]:
        return getattr(importlib.import_module(f"ssljax.cli.{self.module}"), self.function)


COMMANDS = {
    "new": Command("start", "new", "write a first experiment file of your own", jax=False),
    "prepare": Command(
        "preparing", "prepare", "write pictures once, small, to be read fast", jax=False
    ),
    "train": Command("training", "train", "pretrain, evaluate and report, as a file says"),
    "probe": Command("results", "probe", "evaluate the encoder of a run again"),
    "selftrain": Command("training", "selftrain", "few labels, and rounds of pseudo-labels"),
    "label": Command("results", "label", "label data with what a run has learned"),
    "embed": Command("results", "embed", "write the features of any data into a file"),
    "export": Command("weights", "export", "write the encoder of a run for other libraries"),
    "push": Command("weights", "push", "export a run to the Hugging Face hub"),
    "import": Command("weights", "bring_in", "read published weights that training begins from"),
    "sample": Command(
        "results", "sample", "write text with the language model of a run, or melodies"
    ),
    "translate": Command("translating", "translate", "translate sentences with a run"),
    "chat": Command("chatting", "chat", "talk with a run that has learned answers"),
    "recommend": Command("results", "recommend", "say what a user should see, and why"),
    "compile": Command("pods", "compile_for", "check that an experiment fits a TPU slice"),
    "profile": Command("pods", "trace", "write a trace of a few training steps"),
    "sweep": Command("training", "sweep", "run all experiments of an ablation file"),
    "report": Command("results", "report", "write the report page of a run, or compare several"),
    "list": Command("start", "show", "list methods, export formats and experiments", jax=False),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `ssljax` command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: ssljax COMMAND ...   ssljax --version\n")
        print("Self-supervised pretraining and self-training in JAX.\n")
        for name, command in COMMANDS.items():
            print(f"  {name:9} {command.text}")
        print("\nStart with: ssljax new simclr my_experiment.py && ssljax train my_experiment.py")
        print("(ssljax COMMAND --help says more)")
        return
    if arguments[0] == "--version":
        print(f"ssljax {__version__}")
        return
    command = COMMANDS.get(arguments[0])
    if command is None:
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ": ssljax --help lists them"
        print(f"ssljax: error: there is no command {arguments[0]!r}{hint}", file=sys.stderr)
        raise SystemExit(2)
    _run(lambda rest: command.load()(rest), arguments[1:], jax=command.jax)


def train(experiment: "Experiment") -> None:
    """Runs an experiment with the flags of this process: what `python experiments/x.py` calls."""
    from ssljax.cli.training import train_one

    file = sys.argv[0]
    _run(lambda flags: train_one(experiment, flags, file=Path(file)), sys.argv[1:])


def _run(command: Callable[[list[str]], None], arguments: list[str], *, jax: bool = True) -> None:
    """Runs a command, turns known errors into one line, and is quiet where nobody reads on."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("ssljax").setLevel(logging.INFO)
    try:
        if jax:
            _with_other_hosts(command, arguments)
        else:
            command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("ssljax: stopped by a signal", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # as by `ssljax list | head`
        with suppress(OSError):  # what is left to write goes nowhere; no second error at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (ValueError, OSError, *_stops()) as error:
        if os.environ.get("SSLJAX_TRACEBACK"):
            raise
        print(f"ssljax: error: {error}", file=sys.stderr)
        print("(set SSLJAX_TRACEBACK=1 to see where)", file=sys.stderr)
        raise SystemExit(2) from error


def _with_other_hosts(command: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Joins the other hosts of the run, if there are any, before the command."""
    from ssljax.training import distributed, signals

    parser = Parser("", "", add_help=False)
    parser.add_argument("--coordinator")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--process", type=int)
    hosts, rest = parser.parse_known_args(arguments)
    distributed.initialize(**vars(hosts))
    with signals.interruptible(), distributed.guard():
        command(rest)


def _stops() -> tuple[type[Exception], ...]:
    """Errors that end a training with a message; none can be raised before it is imported."""
    steps = sys.modules.get("ssljax.training.steps")
    return () if steps is None else (steps.TrainingStopped,)
