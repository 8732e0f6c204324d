"""What a compiled program sends between devices and to and from HBM, read from XLA's text of it.

XLA's cost analysis counts FLOPs and bytes, and says nothing of what devices send to each other; its
bytes include those that never leave on-chip memory, and a loop's body counts once. The text of the
program names every collective with its shape and its groups, and the memory of every buffer: a
layout with S(1), say, is on the chip, and one without S is in HBM.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Collective:
    """All collectives of one kind in a step, on one device."""

    count: float = 0
    bytes: float = 0
    """Of the whole value: the result, or what goes into a reduce-scatter."""
    sent: float = 0
    """What a device sends for it: around a ring, 2 (n-1)/n of an all-reduce of n devices."""


_COLLECTIVE = re.compile(
    r"^\s*(?:ROOT )?%?(?P<name>[\w.-]+) = (?P<type>.*?) (?P<kind>all-reduce|all-gather"
    r"|reduce-scatter|all-to-all|collective-permute)(?P<half>-start|-done)?\((?P<operands>.*)"
)
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.-]+) = (.*?) ([a-z][\w-]*)\((.*)")
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}  # move nothing
_FREE |= {"while", "conditional", "call"}  # what is in them does
_ON_CHIP = re.compile(r"\w+\[[\d,]*\]\{[^}]*S\([1-9][^}]*\}")
_ARRAY = re.compile(r"\b(pred|bf16|[a-z]+?(\d+)\w*)\[([\d,]*)\]")
_LOOP = re.compile(r" while\(.*?condition=%?([\w.-]+), body=%?([\w.-]+)")
_CALLED = re.compile(
    r"(?:to_apply|calls|(?:branch|true|false)_computations?)=\{?(%?[\w.-]+(?:, %[\w.-]+)*)"
)


def collectives(hlo: str, *, devices: int) -> tuple[dict[str, Collective], list[int | None]]:
    """Collectives by kind in compiled HLO text, and how often each loop turns (None: unknown).

    A start and its done are one collective. What stands in a loop counts as often as the loop
    turns, or once where that is unknown.
    """
    groups: dict[str, int] = {}  # of the starts, by name
    found: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    loops: list[int | None] = []
    for times, _, line in _walk(hlo, loops):
        op = _COLLECTIVE.match(line)
        if op and op["half"] == "-start":
            groups[op["name"]] = _group(line, devices)
        elif op:
            start = op["operands"].split(")")[0].split()[-1].lstrip("%")
            n = groups.get(start, devices) if op["half"] else _group(line, devices)
            size = _bytes(op["type"]) * (n if op["kind"] == "reduce-scatter" else 1)
            share = {"all-reduce": 2 * (n - 1) / n, "collective-permute": 1.0}
            sent = size * share.get(op["kind"], (n - 1) / n)
            found[op["kind"]].append((times, times * size, times * sent))
    rows = {kind: [float(sum(c)) for c in zip(*ops)] for kind, ops in sorted(found.items())}
    return {k: Collective(count=n, bytes=b, sent=s) for k, (n, b, s) in rows.items()}, loops


def hbm_traffic(hlo: str) -> float:
    """Bytes that a device reads from and writes to HBM: operands and results that live there.

    An estimate: what is sliced or updated in place counts whole, the padding of tiles not at all.
    """
    held: dict[str, int] = {}
    total = 0.0
    for times, fused, line in _walk(hlo, []):
        if fused or not (found := _INSTRUCTION.match(line)):
            continue
        name, shape, op, operands = found.groups()
        held[name] = _bytes(_ON_CHIP.sub("", shape))
        if op.endswith("-done"):  # something was moved to or from the chip while others computed
            total += times * _bytes(shape)
        elif op not in _FREE and not op.endswith("-start"):
            names = re.findall(r"%([\w.-]+)", operands.split(")")[0])
            total += times * (held[name] + sum(held.get(n, 0) for n in names))
    return total


def _walk(hlo: str, loops: list[int | None]) -> Iterator[tuple[int, bool, str]]:
    """(how often it runs, whether it is part of a fusion, line) for every instruction that runs.

    Adds how often each loop turns to `loops`.
    """
    bodies: dict[str, list[str]] = defaultdict(list)
    entry = name = ""
    for line in hlo.splitlines():
        head = re.match(r"(ENTRY )?%?([\w.-]+) .*\{$", line)
        if head and not line.startswith((" ", "HloModule")):
            name = head[2]
            entry = name if head[1] else entry
        elif line.startswith("  "):
            bodies[name].append(line)

    def visit(name: str, times: int, fused: bool) -> Iterator[tuple[int, bool, str]]:
        for line in bodies[name]:
            yield times, fused, line
            if loop := _LOOP.search(line):
                turns = _turns(line, bodies[loop[1]])
                loops.append(turns)
                yield from visit(loop[2], times * (turns or 1), fused)
            # An async done names the body of its start again.
            elif not (_COLLECTIVE.match(line) or re.search(r" async-(done|update)\(", line)):
                inside = fused or not re.search(r" (call|conditional|async-start)\(", line)
                for called in _CALLED.findall(line):
                    for other in called.split(", "):
                        yield from visit(other.lstrip("%"), times, inside)

    yield from visit(entry, 1, False)


def _bytes(shape: str) -> int:
    """Bytes of an array or a tuple as HLO writes it; a layout in braces holds no array."""
    total = 0
    for dtype, bits, dims in _ARRAY.findall(shape):
        width = {"pred": 8, "bf16": 16}.get(dtype) or int(bits)
        total += -(-width * math.prod(int(d) for d in dims.split(",") if d) // 8)
    return total


def _group(line: str, devices: int) -> int:
    """How many devices take part in one collective; XLA writes the groups in three ways."""
    if found := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return found[1].count(",") + 1
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=", line):
        return int(found[1])
    if found := re.search(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}", line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", found[1]))
        axes = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", found[2])
        return math.prod(int(part or sizes[axis]) for axis, part in axes)
    return devices


def _turns(line: str, condition: list[str]) -> int | None:
    """How often a loop turns: as XLA notes it, or from a condition `i < constant`, i from 0."""
    if found := re.search(r"known_trip_count\D+(\d+)", line):
        return int(found[1])
    text = "\n".join(condition)
    limits = re.findall(r"s32\[\]\S* constant\((\d+)\)", text)
    return int(limits[0]) if len(limits) == 1 and "direction=LT" in text else None
