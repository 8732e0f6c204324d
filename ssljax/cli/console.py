"""What all commands share: parsers that name the nearest flag, and lines for the user. No JAX."""

import argparse
import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from ssljax.cli.values import complaint


def say(text: str) -> None:
    """One line that is seen at once, also where the output is a file or a pipe."""
    print(text, flush=True)


class Parser(argparse.ArgumentParser):
    """The parser of one command: an unknown flag is an error that names the nearest one."""

    def __init__(self, name: str, description: str, *, add_help: bool = True):
        super().__init__(
            prog=f"ssljax {name}".strip(),
            description=description,
            allow_abbrev=False,
            add_help=add_help,
        )

    def error(self, message: str) -> NoReturn:
        """Ends the command with one line."""
        self.exit(2, f"{self.prog}: error: {message.removeprefix('argument ')}\n")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """As argparse has it, with what is expected in our words."""
        if said := complaint(_called(action), action.type, [arg_string]):
            self.error(said)
        return super()._get_value(action, arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = () if action.choices is None else tuple(action.choices)
        if choices and (said := complaint(_called(action), choices, [str(value)])):
            self.error(said)

    def parse_all(self, arguments: list[str]) -> argparse.Namespace:
        """The values of all flags. Exits with one line where one of them is unknown."""
        args, rest = self.parse_known_args(arguments)
        if rest:
            self.fail(rest)
        return args

    def fail(self, rest: Sequence[str]) -> NoReturn:
        """Ends the command because of flags that it does not know."""
        self.error(unknown(rest, self.flags, f"{self.prog} --help"))

    @property
    def flags(self) -> list[str]:
        """All flags, as they are typed."""
        return [flag for action in self._actions for flag in action.option_strings]

    @property
    def own(self) -> dict[str, str]:
        """What each flag does, for commands that also take the fields of an experiment."""
        return {
            flag: action.help or "" for action in self._actions for flag in action.option_strings
        }

    def add_run(self) -> None:
        """The run folder that a command reads, and the file for classes that it may need."""
        self.add_argument("run", metavar="RUN", help="a run folder, as ssljax train writes it")
        self.add_argument(
            "--experiment",
            metavar="FILE",
            help="the experiment file, where the run uses classes that are defined in it",
        )


def _called(action: argparse.Action) -> str:
    return "/".join(action.option_strings) or str(action.metavar or action.dest)


def unknown(rest: Sequence[str], known: Iterable[str], more: str) -> str:
    """The sentence about arguments that no flag takes; more: the command that lists all flags."""
    known, wrong = list(known), [word for word in rest if word.startswith("--")]
    if not wrong:
        return f"{' '.join(rest)}: no flag takes this value ({more} lists all flags)"
    lines = []
    for word in wrong:
        flag = word.partition("=")[0].replace("_", "-")
        near = nearest(flag, known)
        hint = f"; did you mean {near}?" if near else ""
        lines.append(f"there is no flag {word.partition('=')[0]}{hint}")
    return "; ".join(lines) + f" ({more} lists all flags)"


def nearest(flag: str, known: Iterable[str]) -> str | None:
    """The flag of `known` that was probably meant, by its whole name or by its last part."""
    known, end = list(known), flag.lstrip("-").rpartition(".")[2]
    close = difflib.get_close_matches(flag, known, n=1, cutoff=0.75)
    last = {name.lstrip("-").rpartition(".")[2]: name for name in reversed(known)}
    if close and (end not in last or close[0].endswith(end)):
        return close[0]
    close = difflib.get_close_matches(end, last, n=1, cutoff=0.6)
    return last[close[0]] if close else None
