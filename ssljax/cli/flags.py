"""Fields of an experiment as flags of the command line."""

import argparse
import dataclasses
from collections.abc import Sequence

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from ssljax.runs import record
from ssljax.runs.experiment import Experiment

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
    fields = [
        StructFieldSpec(name=f.name, type=f.type, default=shown[f.name])
        for f in dataclasses.fields(info.type)
        if f.name in shown
    ]
    return StructConstructorSpec(instantiate=info.type, fields=tuple(fields))


def override(
    experiment: Experiment, flags: Sequence[str], *, prog: str = "experiment"
) -> Experiment:
    """The experiment with fields replaced by `--a.b value`; an unknown flag names the nearest."""
    with _REGISTRY:
        return tyro.cli(
            type(experiment),
            default=experiment,
            args=list(flags),
            prog=prog,
            config=(tyro.conf.AvoidSubcommands,),
        )


def load_experiment(path: str) -> Experiment:
    """EXPERIMENT of an experiment file. Raises ValueError where the file has none."""
    module = record.load_file(path)
    found = getattr(module, "EXPERIMENT", None)
    if not isinstance(found, Experiment):
        raise ValueError(f"{path} does not define EXPERIMENT = Experiment(...)")
    return found


def flags_of(prefix: str, network: object) -> list[str]:
    """The fields of a network as flags, those apart that only say how it is run."""
    fields = {
        name.replace("_", "-"): value
        for name, value in record.fields_of(network).items()
        if name not in ("dtype", "pool", "any_size", "mask_token", "causal") and value is not None
    }
    return [f"{prefix}.{name} {value}" for name, value in fields.items()]


def parser_of(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"ssljax {name}", description=description, allow_abbrev=False
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder, as ssljax train writes it")
    parser.add_argument(
        "--experiment",
        metavar="FILE",
        help="the experiment file, where the run uses classes that are defined in it",
    )
