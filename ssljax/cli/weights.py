"""export and import: networks leave for other libraries, and come from them."""

import tempfile
from pathlib import Path
from typing import Any

from ssljax import __version__, nets
from ssljax import export as exporting
from ssljax.cli.console import Parser, say
from ssljax.cli.flags import flags_of
from ssljax.data import Dataset
from ssljax.export import hub, safetensors
from ssljax.export.detection_names import export_detector
from ssljax.method import Linear, Method, State
from ssljax.methods import Student
from ssljax.runs.experiment import Experiment
from ssljax.selftraining.teachers import load_any
from ssljax.tasks import Boxes

_ALONE = "the encoder alone, where a classifier was trained with it"
_ENDINGS = {"stablehlo": "stablehlo", "onnx": "onnx"}


def export(arguments: list[str]) -> None:
    """`ssljax export`."""
    parser = Parser(
        "export", "Writes the pretrained encoder of a run in a format that others read."
    )
    parser.add_run()
    parser.add_argument(
        "--format", required=True, choices=list(exporting.FORMATS), help="what to write"
    )
    parser.add_argument(
        "--out", required=True, help="file to write; for transformers a folder, new or empty"
    )
    parser.add_argument("--no-classifier", action="store_true", help=_ALONE)
    args = parser.parse_all(arguments)
    say(f"wrote {_written(args, Path(args.out))}")


def push(arguments: list[str]) -> None:
    """`ssljax push`."""
    parser = Parser("push", "Exports the networks of a run to the Hugging Face hub.")
    parser.add_run()
    parser.add_argument("place", metavar="hf://USER/NAME", help="made where there is none")
    parser.add_argument(
        "--format", default="safetensors", choices=list(exporting.FORMATS), help="what to write"
    )
    parser.add_argument("--no-classifier", action="store_true", help=_ALONE)
    parser.add_argument("--public", action="store_true", help="a new one can be read by everyone")
    args = parser.parse_all(arguments)
    hub.check_place(args.place)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        file = f"encoder.{_ENDINGS.get(args.format, 'safetensors')}"
        _written(args, folder if args.format == "transformers" else folder / file)
        note = f"Trained with ssljax {__version__}; written as {args.format}.\n"
        (folder / "README.md").write_text(f"# {args.place.split('/')[-1]}\n\n{note}")
        say(f"pushed to {hub.push_folder(folder, args.place, public=args.public)}")


def _written(args: Any, out: Path) -> str:
    """Writes the networks of a run as `args.format`; what was written, in words."""
    experiment, method, state, train_set, _ = load_any(Path(args.run), file=args.experiment)
    classifier = None if args.no_classifier else experiment.method.classifier(state)
    known = {"classifier": classifier, "classes": train_set.classes}
    if args.format == "transformers":
        path = _for_transformers(Path(args.run), experiment, method, state, out, **known)
        return f"{path}{_with(classifier)}"
    if args.format == "torch_geometric":
        return _for_graphs(experiment, method, state, out, train_set)
    if experiment.method.plain_view is None:
        raise ValueError(
            f"{args.format} holds an encoder of images: choose transformers for texts, "
            "torch_geometric for graphs"
        )
    view = experiment.method.plain_view
    detector = None if args.no_classifier else _detector(experiment.method)
    if args.format == "torchvision" and detector is not None:
        student, encoder, target = detector
        params, stats = student.teacher(state)
        path = export_detector(
            out,
            encoder=encoder,
            head=target.head(()),
            params=params,
            stats=stats,
            classes=target.classes,
            size=target.size,
            rule={
                "score_thresh": target.least,
                "nms_thresh": target.overlap,
                "detections_per_img": target.most,
            },
            mean=view.mean,
            std=view.std,
        )
        return f"{path}, with pyramid and head"
    params, stats = method.backbone(state)
    path = exporting.export(
        encoder=experiment.method.encoder,
        params=params,
        stats=stats,
        format=args.format,
        out=out,
        image_size=view.size,
        channels=train_set.spec["image"][0][-1],
        mean=view.mean,
        std=view.std,
        **known,
    )
    return f"{path}{_with(classifier if args.format in ('timm', 'torchvision') else None)}"


def _detector(method: Any) -> tuple[Student, nets.ResNet, Boxes] | None:
    """The `Student` of boxes with its encoder and target, where torchvision has such ones."""
    if not isinstance(method, Student):
        return None
    encoder, target = method.task.encoder, method.task.target
    if isinstance(encoder, nets.ResNet) and isinstance(target, Boxes):
        return method, encoder, target
    return None


def _for_graphs(
    experiment: Experiment, method: Method, state: State, out: Path, train_set: Dataset
) -> str:
    encoder = experiment.method.encoder
    if not isinstance(encoder, nets.GraphNet):
        raise ValueError(
            f"torch_geometric has graph networks, and the encoder is a {type(encoder).__name__}"
        )
    params, stats = method.backbone(state)
    (features,) = train_set.spec["features"][0]
    more = {"encoder": encoder, "params": params, "stats": stats, "features": features}
    return f"{exporting.export_graph_net(out, **more)}"


def _with(classifier: Linear | None) -> str:
    """What the export says of a classifier."""
    return "" if classifier is None else f", with its classifier of {len(classifier.bias)} classes"


def _for_transformers(
    run: Path, experiment: Experiment, method: Method, state: State, out: Path, **known: Any
) -> Path:
    """Writes the networks of a run for transformers; see `export.export_transformers`."""
    networks = experiment.method.networks
    reader = getattr(experiment.reader, "text", experiment.reader)  # of captions: that of the texts
    params = experiment.method.arrays(state) | {"encoder": method.backbone(state)[0]}
    tokenizer, view = run / "tokenizer.json", experiment.method.plain_view
    return exporting.export_transformers(
        out,
        networks=networks,
        params=params,
        method=experiment.method.decides,
        image_size=getattr(view, "size", None),
        mean=getattr(view, "mean", None),
        std=getattr(view, "std", None),
        tokenizer=tokenizer if tokenizer.is_file() else None,
        length=getattr(reader, "length", 0),
        ends=getattr(reader, "layout", "windows") != "windows",
        **known,
    )


def bring_in(arguments: list[str]) -> None:
    """`ssljax import`."""
    parser = Parser(
        "import",
        "Reads published weights and writes them as a file that training can begin from, with "
        "ssljax train FILE --begin OUT, and that ssljax.export.load reads. No pickle is read.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="folder with config.json and model.safetensors, as transformers writes them "
        f"({', '.join(exporting.FAMILIES)}), or the safetensors file with config.json beside it; "
        "or hf://USER/NAME on the hub, also as ssljax push writes it",
    )
    parser.add_argument("--out", required=True, help="file to write, such as weights.safetensors")
    args = parser.parse_all(arguments)
    model = hub.fetched(args.model) if hub.is_hub(args.model) else Path(args.model)
    if model.is_dir() and (file := hub.pushed(model)) is not None:
        _copy(file, Path(args.out))
        return
    networks, family = exporting.import_transformers(model, Path(args.out))
    say(f"wrote {args.out}: {family} with {', '.join(networks)}")
    flags = [f"--begin {args.out}"]
    for name, network in networks.items():
        if name == "encoder" or isinstance(network, nets.Decoder | nets.TextTower):
            flags += flags_of(f"--method.{name}", network)
    if (model / "tokenizer.json").is_file():
        flags.append(f"--reader.tokenizer {model / 'tokenizer.json'}")
    say("a method with such networks begins from it by:\n  " + " ".join(flags))


def _copy(file: Path, out: Path) -> None:
    """Writes an encoder that `ssljax export` or `push` has written, as it is."""
    config = safetensors.read_config(file) or {}
    safetensors.write(out, safetensors.read(file))
    safetensors.write_config(out, config)
    fields = dict(config.get("encoder", {}))
    kind = fields.pop("type", "encoder")
    say(f"wrote {out}: a {kind} in the format {config.get('format')}, as ssljax exports it")
    shown = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    say(f"a method with the encoder {kind}({shown}) begins from it by:\n  --begin {out}")
