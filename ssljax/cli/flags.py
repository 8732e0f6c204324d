"""Fields of an experiment as flags of the command line."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from ssljax.cli.console import unknown
from ssljax.cli.fields import fields, help_of, misfit
from ssljax.cli.values import complaint
from ssljax.runs import record
from ssljax.runs.experiment import Experiment

T = TypeVar("T")
_COMMANDS = {"EXPERIMENT": "train", "SELFTRAIN": "selftrain", "SWEEP": "sweep"}
_REGISTRY = ConstructorRegistry()


@_REGISTRY.struct_rule
def _networks(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Shows the hyperparameters of a Flax module as flags, not the two fields Flax adds."""
    names = (
        {f.name for f in dataclasses.fields(info.type)}
        if dataclasses.is_dataclass(info.type)
        else set()
    )
    if not {"parent", "name"} <= names or not isinstance(info.default, info.type):
        return None
    shown = record.fields_of(info.default)
    found = [_spec(f, shown[f.name]) for f in dataclasses.fields(info.type) if f.name in shown]
    return StructConstructorSpec(instantiate=info.type, fields=tuple(found))


def _spec(field: dataclasses.Field, default: Any) -> StructFieldSpec:
    kind: Any = field.type  # a type and no string: annotations are not postponed in this package
    return StructFieldSpec(name=field.name, type=kind, default=default)


@_REGISTRY.struct_rule
def _protocols(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A field that holds a dataclass and is typed by a protocol has the flags of the dataclass."""
    held = info.default
    if not getattr(info.type, "_is_protocol", False) or not dataclasses.is_dataclass(held):
        return None
    found = [_spec(f, getattr(held, f.name)) for f in dataclasses.fields(held) if f.init]
    return StructConstructorSpec(instantiate=type(held), fields=tuple(found))


def override(
    experiment: T,
    flags: Sequence[str],
    *,
    prog: str = "experiment",
    own: Mapping[str, str] | None = None,
) -> T:
    """The experiment (or any dataclass) with fields replaced by `--a.b value`.

    own: flags of the command itself with what they do, for --help and for names that are misspelt.
    Raises: ValueError for an unknown flag, with the nearest one, and for a value that a field does
    not take, with what it takes. Exits for --help.
    """
    own = dict(own or {})
    for word in ("--help-all", "--help", "-h"):
        if word in flags:
            usage = f"usage: {prog} [--FIELD VALUE ...]"
            if own:
                usage += "\n\n" + "\n".join(f"  {flag}  {text}" for flag, text in own.items())
            print(help_of(experiment, usage, all_fields=word == "--help-all"))
            raise SystemExit(0)
    _check_values(experiment, flags)
    flags, left_out = _left_out(experiment, flags)
    for path in left_out:
        experiment = _without(experiment, path)
    drawn = io.StringIO()
    try:
        with _REGISTRY, contextlib.redirect_stderr(drawn):
            found, rest = tyro.cli(
                type(experiment),
                default=experiment,
                args=flags,
                prog=prog,
                config=(tyro.conf.AvoidSubcommands,),
                return_unknown_args=True,
            )
    except SystemExit as stopped:
        raise ValueError(_reason(stopped, drawn.getvalue())) from None
    if rest:
        known = [field.flag for field in fields(experiment)]
        known += [flag.split()[0] for flag in own]
        raise ValueError(unknown(rest, known, f"{prog} --help-all"))
    return found


def _check_values(experiment: Any, flags: Sequence[str]) -> None:
    """Raises ValueError for the first flag whose value its field does not take."""
    kinds = {field.flag: field.kind for field in fields(experiment)} if flags else {}
    given: list[tuple[str, list[str]]] = []
    for word in flags:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            given.append((flag, [value] if equals else []))
        elif given:
            given[-1][1].append(word)
    for flag, words in given:
        kind = kinds.get(flag.replace("_", "-"))
        if said := complaint(flag, kind, words):
            raise ValueError(said)


def _reason(stopped: BaseException | None, drawn: str) -> str:
    """Why the parser exits, in one line: what a class has said against its fields, or else what the
    parser has drawn in a box.
    """
    text = " ".join(re.sub(r"[^\x20-\x7e]", " ", drawn).split())
    if found := re.search(r"Error parsing (--.*?) Argument helptext", text):
        return found[1]
    while stopped is not None and not isinstance(stopped, ValueError):
        stopped = stopped.__cause__ or stopped.__context__
    return text if stopped is None else str(stopped)


def _left_out(experiment: Any, flags: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """(the other flags, paths of the parts that flags such as --evaluation.no-knn leave out)."""
    known = {field.flag: field.path for field in fields(experiment) if field.leaves_out}
    found = [known[flag] for flag in flags if flag in known]
    paths = [[*(n.replace("-", "_") for n in path[:-1]), _name(path[-1])] for path in found]
    return [flag for flag in flags if flag not in known], paths


def _name(switch: str) -> str:
    return switch.removeprefix("no-").replace("-", "_")


def _without(value: Any, path: list[str]) -> Any:
    """`value` with None in place of the part at `path`."""
    name, *deeper = path
    if isinstance(value, tuple):  # of parts, by number: only what a part holds is left out
        at = int(name)
        return (*value[:at], _without(value[at], deeper), *value[at + 1 :])
    inner = None if not deeper else _without(getattr(value, name), deeper)
    return dataclasses.replace(value, **{name: inner})


def load_experiment(path: str) -> Experiment:
    """EXPERIMENT of an experiment file. Raises ValueError where the file has none."""
    return load_named(path, "EXPERIMENT", Experiment)


def load_named(path: str, name: str, kind: type) -> Any:
    """What an experiment file defines under `name`. Raises ValueError where it does not."""
    module = record.load_file(path)
    found = getattr(module, name, None)
    if isinstance(found, kind):
        if said := misfit(found):
            raise ValueError(f"{path}: {said}")
        return found
    others = [other for other in _COMMANDS if other != name and hasattr(module, other)]
    hint = f"; it defines {others[0]}: use ssljax {_COMMANDS[others[0]]}" if others else ""
    raise ValueError(f"{path} does not define {name} = {kind.__name__}(...){hint}")


def flags_of(prefix: str, network: object) -> list[str]:
    """The fields of a network as flags, those apart that only say how it is run."""
    fields = {
        name.replace("_", "-"): value
        for name, value in record.fields_of(network).items()
        if name not in ("dtype", "pool", "any_size", "mask_token", "causal") and value is not None
    }
    return [f"{prefix}.{name} {value}" for name, value in fields.items()]
