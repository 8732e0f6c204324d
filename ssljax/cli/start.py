"""list and new: what there is, and a first file of one's own. Nothing here imports JAX.

The sentences of methods and the export formats are read from the source, which takes a tenth of a
second where importing them takes several.
"""

import ast
import difflib
import functools
import json
import re
from pathlib import Path

import ssljax
from ssljax.cli.console import Parser, say
from ssljax.cli.templates import METHODS
from ssljax.cli.whole_files import WHOLE
from ssljax.methods import FILES

_PACKAGE = Path(ssljax.__file__).parent
_HOMES = {
    "data": (
        "Audio",
        "Captions",
        "Dialogues",
        "FewLabels",
        "Graphs",
        "Images",
        "Interactions",
        "Midi",
        "Text",
        "TimeSeries",
        "Transcripts",
        "Triples",
        "Video",
    ),
    "views": (
        *("ClipView", "Duotone", "Grey", "ImageView", "LogMel", "MelFrames", "MultiCrop"),
        *("RandAugment", "ShiftFlip", "WaveView", "crop_and_flip", "plain_only"),
    ),
}


def show(arguments: list[str]) -> None:
    """`ssljax list`."""
    parser = Parser("list", "Lists methods, export formats, and the experiment files of a folder.")
    parser.add_argument("folder", nargs="?", help="folder of experiments (default: experiments)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    args = parser.parse_all(arguments)
    folder = Path(args.folder or "experiments")
    if args.folder and not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    found = {
        "methods": methods(),
        "experiments": {str(path): _first_line(path) for path in sorted(folder.glob("**/*.py"))},
        "export formats": _formats(),
    }
    if args.json:
        print(json.dumps(found, indent=2))
        return
    for title, entries in found.items():
        if entries:
            print(title)
        width = max(map(len, entries), default=0)
        for name, text in entries.items():
            print(f"  {name:{width}}  {text}")
    print("\nssljax new METHOD FILE writes an experiment file for any of the methods.")


def new(arguments: list[str]) -> None:
    """`ssljax new`."""
    parser = Parser(
        "new",
        "Writes an experiment file for a method: small enough for a laptop, to be changed. Those "
        "for images run at once on the digits that come with scikit-learn.",
    )
    parser.add_argument("method", metavar="METHOD", help="one of ssljax list, such as simclr")
    parser.add_argument("file", metavar="FILE", help="Python file to write; it must not exist yet")
    args = parser.parse_all(arguments)
    name, file = method_named(args.method), Path(args.file)
    if file.suffix != ".py":
        raise ValueError(f"{file}: an experiment file is a Python file, such as {file.stem}.py")
    if file.exists():
        raise ValueError(f"{file} is there already, and is left as it is: choose another name")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(starting_file(name, file), encoding="utf-8")
    command = "selftrain" if name in ("Student", "UniMatch") else "train"
    say(f"wrote {file}; now: ssljax {command} {file}   (--help says what can be changed)")


@functools.cache
def methods() -> dict[str, str]:
    """All methods with the first line of their files, by name."""
    folder = _PACKAGE / "methods"
    found = {name: _first_line(folder / f"{file}.py") for name, file in FILES.items()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def method_named(name: str) -> str:
    """The method that was meant, whatever its case. Raises: ValueError with the nearest."""
    known = {method.lower(): method for method in methods()}
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in known:
        return known[plain]
    near = difflib.get_close_matches(plain, known, n=1)
    hint = f"did you mean {known[near[0]]}?" if near else "ssljax list names them"
    raise ValueError(f"there is no method {name!r}: {hint}")


def starting_file(name: str, file: Path) -> str:
    """The text of an experiment file for the method `name`."""
    summary = methods()[name]
    if name in WHOLE:
        return WHOLE[name].replace("{file}", str(file))
    family, call = METHODS[name]
    fields = "".join(f"        {part},\n" for part in re.split(r", (?=\w+=)(?![^(]*\))", call))
    body = (
        f"{family.setup}\nEXPERIMENT = Experiment(\n    method={name}(\n{fields}    ),\n"
        f'    data="{family.data}",\n{family.fields})\n'
    )
    uses = {
        home: [n for n in names if re.search(rf"\b{n}\(", body)] for home, names in _HOMES.items()
    }
    imports = ["from dataclasses import replace\n"] if "replace(" in body else []
    own = ("Cadence", "Experiment", "Optimizer", *(["nets"] if "nets." in body else []))
    imports.append(f"from ssljax import {', '.join(own)}")
    imports.append(f"from ssljax.data import {', '.join(uses['data'])}")
    imports.append(f"from ssljax.methods import {name}")
    if uses["views"]:
        imports.append(f"from ssljax.views import {', '.join(uses['views'])}")
    command = f"ssljax train {file}"
    uses_own = f"    {command} --data {family.other}\n"
    first = f"    {command}\n" if family.data != family.other else ""
    more = f"Every field is a flag: {command} --help says which."
    says = f'"""{summary}\n\n{first}{uses_own}\n{more}\n"""'
    return "\n".join([says, "", *imports, "", body])


def _first_line(path: Path) -> str:
    """The first line of what a Python file says about itself."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.strip().split("\n")[0]


def _formats() -> dict[str, str]:
    """FORMATS of ssljax.export."""
    tree = ast.parse((_PACKAGE / "export" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FORMATS":
            return ast.literal_eval(node.value)
    raise AssertionError("ssljax/export/__init__.py has no FORMATS")
