"""The text of a compiled program: its computations, instructions, loops and the sizes of arrays."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

COLLECTIVE = re.compile(
    r"^\s*(?:ROOT )?%?(?P<name>[\w.-]+) = (?P<type>.*?) (?P<kind>all-reduce|all-gather"
    r"|reduce-scatter|all-to-all|collective-permute)(?P<half>-start|-done)?\((?P<operands>.*)"
)
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.-]+) = (.*?) ([a-z][\w-]*)\((.*)")
_ARRAY = re.compile(r"\b(pred|bf16|[a-z]+?(\d+)\w*)\[([\d,]*)\]")
_LOOP = re.compile(r" while\(.*?condition=%?([\w.-]+), body=%?([\w.-]+)")
_CALLED = re.compile(
    r"(?:to_apply|calls|(?:branch|true|false)_computations?)=\{?(%?[\w.-]+(?:, %[\w.-]+)*)"
)


class Op(NamedTuple):
    """One instruction."""

    name: str
    shape: str
    """Of the result, with its layout: an array, or a tuple of them."""
    kind: str
    operands: tuple[str, ...]
    line: str

    @property
    def called(self) -> str | None:
        """The computation of a fusion."""
        found = _CALLED.search(self.line) if self.kind == "fusion" else None
        return found and found[1].lstrip("%")


@cache
def parse(line: str) -> Op | None:
    """The instruction of a line, if it holds one."""
    if not (found := _INSTRUCTION.match(line)):
        return None
    name, shape, kind, rest = found.groups()
    return Op(name, shape, kind, tuple(re.findall(r"%([\w.-]+)", rest.split(")")[0])), line)


class Program:
    """The computations of a compiled program by name, each a list of lines."""

    def __init__(self, hlo: str) -> None:
        self.bodies: dict[str, list[str]] = defaultdict(list)
        self.entry = name = ""
        for line in hlo.splitlines():
            head = re.match(r"(ENTRY )?%?([\w.-]+) .*\{$", line)
            if head and not line.startswith((" ", "HloModule")):
                name = head[2]
                self.entry = name if head[1] else self.entry
            elif line.startswith("  "):
                self.bodies[name].append(line)

    def ops(self, name: str) -> list[Op]:
        """The instructions of a computation; the last is its result."""
        return [op for op in map(parse, self.bodies[name]) if op]

    def walk(self, loops: list[int | None] | None = None) -> Iterator[tuple[int, bool, str, str]]:
        """(how often it runs, whether it is part of a fusion, computation, line) for every
        instruction that runs.

        Adds how often each loop turns to `loops`, None where that is unknown; its body then counts
        once.
        """
        loops = [] if loops is None else loops

        def visit(name: str, times: int, fused: bool) -> Iterator[tuple[int, bool, str, str]]:
            for line in self.bodies[name]:
                yield times, fused, name, line
                if loop := _LOOP.search(line):
                    turns = _turns(line, self.bodies[loop[1]])
                    loops.append(turns)
                    yield from visit(loop[2], times * (turns or 1), fused)
                # An async done names the body of its start again.
                elif not (COLLECTIVE.match(line) or re.search(r" async-(done|update)\(", line)):
                    inside = fused or not re.search(r" (call|conditional|async-start)\(", line)
                    for called in _CALLED.findall(line):
                        for other in called.split(", "):
                            yield from visit(other.lstrip("%"), times, inside)

        yield from visit(self.entry, 1, False)


def dimensions(shape: str) -> list[int]:
    """Sizes of the axes of an array as HLO writes it."""
    found = _ARRAY.search(shape)
    if found is None:
        raise ValueError(f"{shape!r} is no array of a compiled program")
    return [int(d) for d in found[3].split(",") if d]


def size(shape: str) -> int:
    """Bytes of an array or a tuple as HLO writes it; a layout in braces holds no array."""
    total = 0
    for dtype, bits, dims in _ARRAY.findall(shape):
        width = {"pred": 8, "bf16": 16}.get(dtype) or int(bits)
        total += -(-width * math.prod(int(d) for d in dims.split(",") if d) // 8)
    return total


def _turns(line: str, condition: list[str]) -> int | None:
    """How often a loop turns: as XLA notes it, or from a condition `i < constant`, i from 0."""
    if found := re.search(r"known_trip_count\D+(\d+)", line):
        return int(found[1])
    text = "\n".join(condition)
    limits = re.findall(r"s32\[\]\S* constant\((\d+)\)", text)
    return int(limits[0]) if len(limits) == 1 and "direction=LT" in text else None
