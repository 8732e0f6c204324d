"""The command line: the only place that parses flags.

ssljax train experiments/simclr_digits.py --method.temperature 0.2 --workdir runs/try
ssljax probe runs/try          ssljax export runs/try --format safetensors --out encoder.safetensors
ssljax sweep experiments/ablations/x.py     ssljax report runs/a runs/b     ssljax list
"""

import argparse
import ast
import dataclasses
import difflib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import tyro

from ssljax import export as exporting
from ssljax import methods, nets, probes, report
from ssljax.cli.flags import add_run, flags_of, load_experiment, override, parser_of
from ssljax.method import Method, State
from ssljax.pods.compile import compile_report, render
from ssljax.pods.profile import profile
from ssljax.runs import record
from ssljax.runs.evaluation import add_finetuned, evaluate, finetune
from ssljax.runs.experiment import Experiment, networks_of
from ssljax.runs.run import run
from ssljax.runs.sample import sample
from ssljax.selftraining.labelling import BY, label
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.results import table
from ssljax.selftraining.run import run_self_training
from ssljax.selftraining.teachers import load_any
from ssljax.sweep import load_sweep, run_sweep, summarize
from ssljax.training import distributed
from ssljax.training.train import TrainingStopped


def train(experiment: Experiment) -> None:
    """Runs an experiment with the flags of this process: what `python experiments/x.py` calls."""
    name = Path(sys.argv[0]).stem
    _run_command(lambda flags: _train_one(experiment, flags, name=name), sys.argv[1:])


def _train_one(experiment: Experiment, flags: list[str], *, name: str) -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workdir")
    own, rest = parser.parse_known_args(flags)
    if "-h" in rest or "--help" in rest:
        print(
            "  --workdir DIR   run folder; an existing run in it is resumed "
            f"(default: a fresh one under runs/{name}-...)\n"
        )
    experiment = override(experiment, rest, prog=f"ssljax train {name}")
    folder = Path(own.workdir or distributed.from_first(str(_fresh(name))))
    say = _say if jax.process_index() == 0 else lambda text: None
    say(f"run folder: {folder}")
    results = run(experiment, folder)
    if results["finished"]:
        say(probes.table(results["evaluation"]))
        say("\n".join(probes.describe(results["evaluation"])))
        say(f"report: {folder / 'report.html'}")
    else:
        say(f"stopped at step {results['step']}; the same command with --workdir {folder} goes on")


def _fresh(name: str) -> Path:
    """A run folder that does not exist yet."""
    base = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [base] + [base.with_name(f"{base.name}-{i}") for i in range(2, 1000)]
    return next(c for c in candidates if not c.exists())


def _train(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: ssljax train FILE [--workdir DIR] [--FIELD VALUE ...]\n\n"
            "Pretrains as the experiment FILE says, evaluates, and writes a run folder.\n\n"
            "  FILE           a Python file with EXPERIMENT, such as experiments/simclr_digits.py\n"
            "  --workdir DIR  run folder; a run that is there is resumed (default: a fresh one)\n"
            "  --FIELD VALUE  any field of the experiment: --steps 500 --data npz:my.npz\n"
            "                 --method.temperature 0.2 --optimizer.learning-rate 0.3\n\n"
            "ssljax train FILE --help lists every field with its default.\n\n"
            "On several hosts, start the same command on each: TPU pods, Slurm, Open MPI and\n"
            "Kubernetes are recognised; elsewhere add --coordinator HOST:PORT --processes N\n"
            "--process I (0 to N-1)."
        )
        return
    _train_one(load_experiment(arguments[0]), arguments[1:], name=Path(arguments[0]).stem)


def _probe(arguments: list[str]) -> None:
    parser = parser_of(
        "probe", "Evaluates the encoder of a run again, on its own data or on other data."
    )
    add_run(parser)
    parser.add_argument("--data", help="data to fit the probes on (default: that of the run)")
    parser.add_argument("--test", help="data to test on (default: the test split of --data)")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument(
        "--finetune",
        action="store_true",
        help="fine-tune the whole network instead, beside the same one from a random start; its "
        "flags: --fraction 0.01, --per-class 10, --steps, --batch, --learning-rate, --layer-decay "
        "0.75, --weight-decay, --frozen, --augment weak|method|none, --seeds (--finetune --help)",
    )
    if "--finetune" in arguments and {"-h", "--help"} & set(arguments):
        tyro.cli(probes.FineTune, args=["--help"], prog="ssljax probe RUN --finetune")
    args, rest = parser.parse_known_args(arguments)
    if rest and not args.finetune:
        parser.error(f"unknown: {' '.join(rest)} (with --finetune there are more flags)")
    protocol = tyro.cli(probes.FineTune, args=rest, prog="ssljax probe RUN --finetune")
    experiment, method, state, train_set, test = load_any(Path(args.run), file=args.experiment)
    if args.data or args.test:
        other = dataclasses.replace(experiment, data=args.data or experiment.data, test=args.test)
        train_set, test = other.load(Path(args.run))
    step = {"step": int(state.step)}
    if args.finetune:
        results = finetune(experiment, method, state, train_set, test, protocol)
        add_finetuned(Path(args.run), step | {"data": args.data or experiment.data} | results)
        if args.json:
            print(json.dumps(step | {"finetune": results}, indent=2))
        else:
            print(probes.table(results))
            print("\n".join(probes.describe_finetune(results)))
        return
    results = evaluate(experiment, method, state, train_set, test)
    if args.json:
        print(json.dumps(step | {"evaluation": results}, indent=2))
    else:
        print(probes.table(results))
        print("\n".join(probes.describe(results)))


def _selftrain(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: ssljax selftrain FILE [--workdir DIR] [--FIELD VALUE ...]\n\n"
            "Trains on few labels, labels the rest, and goes on, round after round, beside the\n"
            "same network on the few labels and on all of them. FILE defines\n"
            "SELFTRAIN = SelfTraining(...), such as experiments/selftrain_digits.py.\n\n"
            "  --workdir DIR  run folder; a run that is there is resumed (default: a fresh one)\n"
            "  --FIELD VALUE  any field: --few 4 --rounds.count 2 --data npz:my.npz\n"
            "                 --labels mine.parquet takes labels from a file (index, target)\n\n"
            "Labels lie in DIR/seedS/rounds/NN/labels.parquet. Edit one and run again: that\n"
            "round is trained again from there, and all that follow."
        )
        return
    path, name = arguments[0], Path(arguments[0]).stem
    found = getattr(record.load_file(path), "SELFTRAIN", None)
    if not isinstance(found, SelfTraining):
        raise ValueError(f"{path} does not define SELFTRAIN = SelfTraining(...)")
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workdir")
    own, rest = parser.parse_known_args(arguments[1:])
    config = override(found, rest, prog=f"ssljax selftrain {name}")
    folder = Path(own.workdir or _fresh(name))
    _say(f"run folder: {folder}")
    try:
        results = run_self_training(config, folder)
    except KeyboardInterrupt as stop:
        _say(f"{stop or 'stopped'} (--workdir {folder})")
        return
    _say(table(results))
    _say(f"report: {folder / 'report.html'}")


def _label(arguments: list[str]) -> None:
    parser = parser_of(
        "label",
        "Labels data with the last teacher of a self-training run, or with the features of a "
        "pretraining run and a few labels, into a Parquet file with index, target, confidence, "
        "weight, provenance and round.",
    )
    add_run(parser)
    parser.add_argument("--data", help="data to label (default: the pool of the run)")
    parser.add_argument("--out", required=True, help="file to write")
    parser.add_argument(
        "--given", help="for a pretraining run: Parquet file of a few labels (index, target)"
    )
    parser.add_argument(
        "--by", choices=list(BY), default="spreading", help="how they reach the rest"
    )
    args = parser.parse_args(arguments)
    found = label(
        Path(args.run),
        data=args.data,
        out=Path(args.out),
        file=args.experiment,
        given=Path(args.given) if args.given else None,
        by=args.by,
    )
    _say(
        f"wrote {len(found):,} labels to {args.out}, mean confidence {found.confidence.mean():.3f}"
    )


def _export(arguments: list[str]) -> None:
    parser = parser_of(
        "export", "Writes the pretrained encoder of a run in a format that others read."
    )
    add_run(parser)
    parser.add_argument(
        "--format", required=True, choices=list(exporting.FORMATS), help="what to write"
    )
    parser.add_argument(
        "--out", required=True, help="file to write; for transformers a folder, new or empty"
    )
    args = parser.parse_args(arguments)
    experiment, method, state, train_set, _ = load_any(Path(args.run), file=args.experiment)
    if args.format == "transformers":
        print(f"wrote {_export_folder(Path(args.run), experiment, method, state, Path(args.out))}")
        return
    if not hasattr(experiment.method, "plain_view"):
        raise ValueError(f"{args.format} holds an encoder of images: choose transformers for texts")
    view = experiment.method.plain_view
    params, stats = method.backbone(state)
    path = exporting.export(
        encoder=experiment.method.encoder,
        params=params,
        stats=stats,
        format=args.format,
        out=Path(args.out),
        image_size=view.size,
        channels=train_set.spec["image"][0][-1],
        mean=view.mean,
        std=view.std,
    )
    print(f"wrote {path}")


def _export_folder(
    run: Path, experiment: Experiment, method: Method, state: State, out: Path
) -> Path:
    """Writes the networks of a run for transformers; see `export.export_transformers`."""
    networks = networks_of(experiment)
    reader = getattr(experiment.reader, "text", experiment.reader)  # of captions: that of the texts
    # Numbers beside the networks, such as the scale of logits, belong to the model.
    params = {k: v for k, v in state.params.items() if k in networks or not isinstance(v, dict)}
    params |= {"encoder": method.backbone(state)[0]}
    tokenizer, view = run / "tokenizer.json", getattr(experiment.method, "plain_view", None)
    return exporting.export_transformers(
        out,
        networks=networks,
        params=params,
        method=experiment.method,
        image_size=getattr(view, "size", None),
        mean=getattr(view, "mean", None),
        std=getattr(view, "std", None),
        tokenizer=tokenizer if tokenizer.is_file() else None,
        length=getattr(reader, "length", 0),
        ends=getattr(reader, "layout", "windows") != "windows",
    )


def _import(arguments: list[str]) -> None:
    parser = parser_of(
        "import",
        "Reads published weights and writes them as a file that training can begin from, with "
        "ssljax train FILE --begin OUT, and that ssljax.export.load reads. No pickle is read.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="folder with config.json and model.safetensors, as transformers writes them "
        f"({', '.join(exporting.FAMILIES)}), or the safetensors file with config.json beside it",
    )
    parser.add_argument("--out", required=True, help="file to write, such as weights.safetensors")
    args = parser.parse_args(arguments)
    networks, family = exporting.import_transformers(Path(args.model), Path(args.out))
    print(f"wrote {args.out}: {family} with {', '.join(networks)}")
    flags = [f"--begin {args.out}"]
    for name, network in networks.items():
        if name == "encoder" or isinstance(network, nets.Decoder | nets.TextTower):
            flags += flags_of(f"--method.{name}", network)
    if (Path(args.model) / "tokenizer.json").is_file():
        flags.append(f"--reader.tokenizer {Path(args.model) / 'tokenizer.json'}")
    print("a method with such networks begins from it by:\n  " + " ".join(flags))


def _sample(arguments: list[str]) -> None:
    parser = parser_of("sample", "Writes on from a prompt with the causal language model of a run.")
    add_run(parser)
    parser.add_argument("--prompt", default="\n", help="text to go on from (default: a new line)")
    parser.add_argument("--length", type=int, default=500, help="tokens to write (default: 500)")
    parser.add_argument("--temperature", type=float, default=1.0, help="0: the likeliest token")
    parser.add_argument("--top-k", type=int, default=0, help="only the k likeliest tokens")
    parser.add_argument("--top-p", type=float, default=1.0, help="only so much probability")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    experiment, method, state, *_ = load_any(Path(args.run), file=args.experiment)
    if not isinstance(experiment.method.encoder, nets.GPT2):
        raise ValueError(f"{args.run} has no causal language model: train GPT first")
    reader = experiment.reader.prepared(experiment.data, Path(args.run))
    options = {k: getattr(args, k) for k in ("length", "temperature", "top_k", "top_p", "seed")}
    drawn = sample(
        experiment.method.encoder,
        method.backbone(state)[0],
        reader.encode(args.prompt),
        vocab=reader.tokenizer.get_vocab_size(),
        **options,
    )
    print(args.prompt, end="", flush=True)
    for piece in reader.stream(drawn):
        print(piece, end="", flush=True)
    print()


def _compile(arguments: list[str]) -> None:
    parser = parser_of(
        "compile",
        "Compiles the training step of an experiment for a TPU slice, on a machine without one, "
        "and says whether it fits, which limit binds and how fast it could go. Needs libtpu: "
        "pip install -r requirements-tpu.txt, best in an environment of its own.",
    )
    parser.add_argument("file", help="an experiment file")
    parser.add_argument(
        "--topology", required=True, help="TPU and slice, such as v5e:16x16 or v4:4x4x4"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    args, rest = parser.parse_known_args(arguments)
    experiment = override(load_experiment(args.file), rest, prog="ssljax compile")
    found = compile_report(experiment, topology=args.topology)
    print(json.dumps(dataclasses.asdict(found), indent=2) if args.json else render(found))


def _profile(arguments: list[str]) -> None:
    parser = parser_of(
        "profile", "Traces a few training steps of an experiment on the devices of this machine."
    )
    parser.add_argument("file", help="an experiment file")
    parser.add_argument("--out", help="folder for the trace (default: runs/NAME-profile)")
    parser.add_argument("--calls", type=int, default=5, help="calls of the step (default: 5)")
    args, rest = parser.parse_known_args(arguments)
    experiment = override(load_experiment(args.file), rest, prog="ssljax profile")
    name = Path(args.file).stem
    found = profile(experiment, Path(args.out or f"runs/{name}-profile"), calls=args.calls)
    steps = experiment.cadence.steps_per_call
    _say(
        f"{found.calls} calls of {steps} step(s): {1e3 * found.seconds:.1f} ms each while traced, "
        f"{found.wait:.0%} of it waiting for data"
    )
    if found.flops:
        _say(f"{found.flops:.3g} FLOPs a call on each device, as XLA counts them")
    _say(f"trace: {found.folder} (tensorboard --logdir {found.folder}, with its profile plugin)")
    for path in found.traces:
        _say(f"for Perfetto: {path}")


def _sweep(arguments: list[str]) -> None:
    parser = parser_of(
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
            name: override(experiment, rest, prog=f"ssljax sweep {args.file} ({name})")
            for name, experiment in experiments.items()
        }
    folder = Path(args.workdir or Path("runs") / Path(args.file).stem)
    say = _say if jax.process_index() == 0 else lambda text: None
    run_sweep(experiments, folder, index=args.index, say=say)
    if jax.process_index() == 0:
        text, failed = summarize(experiments, folder, axis=axis)
        say(f"{text}\n\ntable, plot and comparison: {folder}")
        if failed:
            raise SystemExit(1)


def _report(arguments: list[str]) -> None:
    parser = parser_of(
        "report", "Writes the report page of a run, or one page that compares several."
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    parser.add_argument(
        "--out", help="file to write (default: report.html in the run, or comparison.html)"
    )
    args = parser.parse_args(arguments)
    if len(args.runs) == 1:
        path = report.write_report(Path(args.runs[0]), out=Path(args.out) if args.out else None)
    else:
        out = Path(args.out or "comparison.html")
        path = report.write_comparison([Path(r) for r in args.runs], out)
    print(f"wrote {path}")


def _list(arguments: list[str]) -> None:
    parser = parser_of("list", "Lists the methods, and the experiment files of a folder.")
    parser.add_argument("folder", nargs="?", default="experiments", help="default: experiments")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    args = parser.parse_args(arguments)
    found = {
        "methods": {
            name: _first_line(sys.modules[getattr(methods, name).__module__].__doc__)
            for name in methods.__all__
        },
        "experiments": {
            str(path): _first_line(ast.get_docstring(ast.parse(path.read_text())))
            for path in sorted(Path(args.folder).glob("**/*.py"))
        },
        "export formats": {name: text for name, text in exporting.FORMATS.items()},
    }
    if args.json:
        print(json.dumps(found, indent=2))
        return
    for title, entries in found.items():
        print(title)
        width = max(map(len, entries), default=0)
        for name, text in entries.items():
            print(f"  {name:{width}}  {text}")


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _say(text: str) -> None:
    print(text, flush=True)


COMMANDS: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "train": (_train, "pretrain, evaluate and report, as an experiment file says"),
    "probe": (_probe, "evaluate the encoder of a run again"),
    "selftrain": (_selftrain, "self-training: few labels, and rounds of pseudo-labels"),
    "label": (_label, "label data with the teacher of a self-training run"),
    "export": (_export, "write the encoder of a run for other libraries"),
    "import": (_import, "read published weights that training can begin from"),
    "sample": (_sample, "write text with the language model of a run"),
    "compile": (_compile, "check that an experiment fits a TPU slice, without one"),
    "profile": (_profile, "write a trace of a few training steps"),
    "sweep": (_sweep, "run all experiments of an ablation file"),
    "report": (_report, "write the report page of one run, or compare several"),
    "list": (_list, "list methods, experiments and export formats"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `ssljax` command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: ssljax COMMAND ...\n\nSelf-supervised pretraining in JAX.\n")
        for name, (_, text) in COMMANDS.items():
            print(f"  {name:9} {text}")
        print("\nStart with: ssljax train experiments/simclr_digits.py (COMMAND --help says more)")
        return
    if arguments[0] not in COMMANDS:
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"ssljax: error: there is no command {arguments[0]!r}{hint}", file=sys.stderr)
        raise SystemExit(2)
    _run_command(COMMANDS[arguments[0]][0], arguments[1:])


def _run_command(command: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Joins the other hosts of the run, if there are any, and turns known errors into one line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("ssljax").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--coordinator")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--process", type=int)
    hosts, rest = parser.parse_known_args(arguments)
    try:
        distributed.initialize(**vars(hosts))
        with distributed.guard():
            command(rest)
    except (ValueError, OSError, TrainingStopped) as error:
        if os.environ.get("SSLJAX_TRACEBACK"):
            raise
        print(f"ssljax: error: {error}", file=sys.stderr)
        print("(set SSLJAX_TRACEBACK=1 to see where)", file=sys.stderr)
        raise SystemExit(2) from error
