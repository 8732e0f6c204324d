"""probe, label, embed, sample and report: what a run has learned."""

import dataclasses
import json
from pathlib import Path

from ssljax import nets, probes
from ssljax import report as reports
from ssljax.cli.console import Parser, say, unknown
from ssljax.cli.flags import override
from ssljax.runs import sample as sampling
from ssljax.runs.compose import compose
from ssljax.runs.evaluation import add_finetuned, evaluate, finetune, material
from ssljax.runs.load import probed
from ssljax.runs.recommend import recommend as recommend_from
from ssljax.runs.speak import speak
from ssljax.selftraining.labelling import BY
from ssljax.selftraining.labelling import label as label_with
from ssljax.selftraining.teachers import load_any
from ssljax.use.embed import embed as embed_into
from ssljax.use.embed import finished
from ssljax.use.encoder import Encoder

_SHARD = (
    "one of N parts of the data, I from 0 to N - 1, for job arrays: OUT.parquet becomes "
    "OUT-0000I-of-0000N.parquet; a part that is there is not done again"
)


def probe(arguments: list[str]) -> None:
    """`ssljax probe`."""
    parser = Parser(
        "probe", "Evaluates the encoder of a run again, on its own data or on other data."
    )
    parser.add_run()
    parser.add_argument(
        "--data", help="data to fit the probes on (default: probe_data, or the data, of the run)"
    )
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
        override(probes.FineTune(), ["--help-all"], prog="ssljax probe RUN --finetune")
    args, rest = parser.parse_known_args(arguments)
    if rest and not args.finetune:
        parser.error(f"{unknown(rest, parser.flags, 'ssljax probe --help')} (with --finetune more)")
    protocol = override(probes.FineTune(), rest, prog="ssljax probe RUN --finetune")
    experiment, method, state, train_set, test = load_any(Path(args.run), file=args.experiment)
    data = args.data or experiment.probe_data or experiment.data
    if args.data or args.test:
        other = dataclasses.replace(experiment, data=data, test=args.test)
        read = own = other.load(Path(args.run))
    else:
        own = train_set, test
        read = probed(experiment, *own, Path(args.run))
    step = {"step": int(state.step)}
    if args.finetune:
        results = finetune(experiment, method, state, *read, protocol)
        add_finetuned(Path(args.run), step | {"data": data} | results)
        if args.json:
            print(json.dumps(step | {"finetune": results}, indent=2))
        else:
            print(probes.table(results))
            print("\n".join(probes.describe_finetune(results)))
        return
    results = evaluate(experiment, method, state, material(experiment, own, read))
    if args.json:
        print(json.dumps(step | {"evaluation": results}, indent=2))
    else:
        print(probes.table(results))
        print("\n".join(results["notes"]))


def label(arguments: list[str]) -> None:
    """`ssljax label`."""
    parser = Parser(
        "label",
        "Labels data with the last teacher of a self-training run, or with the features of a "
        "pretraining run and a few labels, into a Parquet file with index (row of the data), file, "
        "target, class, confidence, weight, provenance and round.",
    )
    parser.add_run()
    parser.add_argument("--data", help="data to label (default: the pool of the run)")
    parser.add_argument("--out", required=True, help="file to write")
    parser.add_argument(
        "--given",
        help="for a pretraining run: Parquet or CSV file of a few labels (index or file, and "
        "target or class)",
    )
    parser.add_argument(
        "--by", choices=list(BY), default="spreading", help="how they reach the rest"
    )
    parser.add_argument("--shard", metavar="I/N", help=_SHARD)
    args = parser.parse_all(arguments)
    out, found = label_with(
        Path(args.run),
        data=args.data,
        out=Path(args.out),
        file=args.experiment,
        given=Path(args.given) if args.given else None,
        by=args.by,
        shard=args.shard,
    )
    if found is None:
        say(f"{out} is there: nothing is done again")
        return
    say(f"wrote {len(found):,} labels to {out}, mean confidence {found.confidence.mean():.3f}")


def embed(arguments: list[str]) -> None:
    """`ssljax embed`."""
    parser = Parser(
        "embed",
        "Writes the features of all examples of some data, one row each with index (row of the "
        "data), file, class where it has labels, and features. The training data of the run is not "
        "needed, and nothing is written into the run.",
    )
    parser.add_run()
    parser.add_argument("--data", help="data to embed (default: the training data of the run)")
    parser.add_argument("--split", help="train, validation or test (default: train)")
    parser.add_argument("--out", required=True, help="file to write: .parquet, .npz or .csv")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument("--shard", metavar="I/N", help=_SHARD)
    args = parser.parse_all(arguments)
    wanted = {k: getattr(args, k) for k in ("data", "split", "shard", "overwrite")}
    if (there := finished(args.run, args.out, file=args.experiment, **wanted)) is not None:
        say(f"{there[0]} is there with {there[1]:,} examples: nothing is done again")
        return
    path, size = embed_into(Encoder(args.run, file=args.experiment), args.out, **wanted)
    say(f"{path} holds the features of {size:,} examples")


def sample(arguments: list[str]) -> None:
    """`ssljax sample`."""
    parser = Parser(
        "sample",
        "Writes on from a prompt with the causal language model of a run; or, with --out, melodies "
        "as MIDI files with the MusicVAE of a run, or the prompt as a WAV file with FastSpeech.",
    )
    parser.add_run()
    parser.add_argument("--prompt", help="text to go on from (default: a new line)")
    parser.add_argument(
        "--out",
        help="folder for melodies: new ones, and a way between two; or the file of what is spoken, "
        "such as three.wav",
    )
    parser.add_argument("--voice", help="who speaks the prompt (default: the first of the run)")
    parser.add_argument("--count", type=int, default=8, help="new melodies (default: 8)")
    parser.add_argument("--length", type=int, default=500, help="tokens to write (default: 500)")
    parser.add_argument(
        "--temperature",
        type=float,
        help="0: the likeliest token or event (default: 1, for melodies .5)",
    )
    parser.add_argument("--top-k", type=int, default=0, help="only the k likeliest tokens")
    parser.add_argument("--top-p", type=float, default=1.0, help="only so much probability")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_all(arguments)
    warm = args.temperature
    if args.voice is not None and (args.out is None or args.prompt is None):
        raise ValueError("--voice speaks a --prompt into a file, --out FILE.wav")
    if args.out is not None and args.prompt is not None:
        spoken = {"voice": args.voice, "seed": args.seed, "file": args.experiment}
        say(speak(Path(args.run), args.prompt, Path(args.out), **spoken))
        return
    if args.out is not None:
        warm = 0.5 if warm is None else warm
        options = {"count": args.count, "temperature": warm, "seed": args.seed}
        made = compose(Path(args.run), Path(args.out), file=args.experiment, **options)
        say(f"{args.out} holds {', '.join(path.name for path in made)}")
        return
    experiment, method, state, *_ = load_any(Path(args.run), file=args.experiment)
    if not isinstance(experiment.method.encoder, nets.GPT2):
        raise ValueError(
            f"{args.run} has no causal language model: train GPT first (melodies of MusicVAE are "
            "written with --out FOLDER, and FastSpeech speaks with --out FILE.wav)"
        )
    reader, prompt = (
        experiment.reader.prepared(experiment.data, Path(args.run)),
        args.prompt or "\n",
    )
    options = {k: getattr(args, k) for k in ("length", "top_k", "top_p", "seed")}
    options["temperature"] = 1.0 if warm is None else warm
    drawn = sampling.sample(
        experiment.method.encoder,
        method.backbone(state)[0],
        reader.encode(prompt),
        vocab=reader.tokenizer.get_vocab_size(),
        **options,
    )
    print(prompt, end="", flush=True)
    for piece in reader.stream(drawn):
        print(piece, end="", flush=True)
    print()


def recommend(arguments: list[str]) -> None:
    """`ssljax recommend`."""
    parser = Parser(
        "recommend",
        "Says what a run would show a user first, of what she has not met in the training data: "
        "titles, scores, and what she liked that is most like each.",
    )
    parser.add_run()
    parser.add_argument("--user", required=True, help="her id in the data")
    parser.add_argument("--top", type=int, default=10, help="how many (default: 10)")
    args = parser.parse_all(arguments)
    found = recommend_from(Path(args.run), args.user, top=args.top, file=args.experiment)
    width = max((len(one.title) for one in found), default=0)
    for i, one in enumerate(found, 1):
        why = f"  like {' and '.join(one.because)}" if one.because else ""
        print(f"{i:3}. {one.title.ljust(width)}  {one.score:6.2f}{why}")


def report(arguments: list[str]) -> None:
    """`ssljax report`."""
    parser = Parser("report", "Writes the report page of a run, or one page that compares several.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    parser.add_argument(
        "--out", help="file to write (default: report.html in the run, or comparison.html)"
    )
    args = parser.parse_all(arguments)
    if len(args.runs) == 1:
        path = reports.write_report(Path(args.runs[0]), out=Path(args.out) if args.out else None)
    else:
        out = Path(args.out or "comparison.html")
        path = reports.write_comparison([Path(r) for r in args.runs], out)
    print(f"wrote {path}")
