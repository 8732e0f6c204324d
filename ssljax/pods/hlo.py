"""What a compiled program sends between devices and to and from HBM, read from XLA's text of it.

XLA's cost analysis counts FLOPs and bytes, and says nothing of what devices send to each other; its
bytes include those that never leave on-chip memory, and a loop's body counts once. The text of the
program names every collective with its shape and its groups, and the memory of every buffer: a
layout with S(1), say, is on the chip, and one without S is in HBM.
"""

import math
import re
from collections import defaultdict
from dataclasses import dataclass

from ssljax.pods.program import COLLECTIVE, Op, Program, parse, size


@dataclass(frozen=True, kw_only=True)
class Collective:
    """All collectives of one kind in a step, on one device."""

    count: float = 0
    bytes: float = 0
    """Of the whole value: the result, or what goes into a reduce-scatter."""
    sent: float = 0
    """What a device sends for it: around a ring, 2 (n-1)/n of an all-reduce of n devices."""


_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}  # move nothing
_FREE |= {"while", "conditional", "call"}  # what is in them does
_ON_CHIP = re.compile(r"\w+\[[\d,]*\]\{[^}]*S\([1-9][^}]*\}")
_LAID_OUT = re.compile(r"\w+\[[\d,]*\](?:\{[^}]*\})?")


def collectives(hlo: str, *, devices: int) -> tuple[dict[str, Collective], list[int | None]]:
    """Collectives by kind in compiled HLO text, and how often each loop turns (None: unknown).

    A start and its done are one collective. What stands in a loop counts as often as the loop
    turns, or once where that is unknown.
    """
    groups: dict[str, int] = {}  # of the starts, by name
    found: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    loops: list[int | None] = []
    for times, _, _, line in Program(hlo).walk(loops):
        op = COLLECTIVE.match(line)
        if op and op["half"] == "-start":
            groups[op["name"]] = _group(line, devices)
        elif op:
            start = op["operands"].split(")")[0].split()[-1].lstrip("%")
            n = groups.get(start, devices) if op["half"] else _group(line, devices)
            whole = size(op["type"]) * (n if op["kind"] == "reduce-scatter" else 1)
            share = {"all-reduce": 2 * (n - 1) / n, "collective-permute": 1.0}
            sent = whole * share.get(op["kind"], (n - 1) / n)
            found[op["kind"]].append((times, times * whole, times * sent))
    rows = {kind: [float(sum(c)) for c in zip(*ops)] for kind, ops in sorted(found.items())}
    return {k: Collective(count=n, bytes=b, sent=s) for k, (n, b, s) in rows.items()}, loops


def hbm_traffic(hlo: str) -> float:
    """Bytes that a device reads from and writes to HBM: operands and results that live there.

    Of what is gathered or sliced the rows that are read count, and of what is updated in place the
    rows that are written. An estimate: the padding of tiles does not count.
    """
    program = Program(hlo)
    held: dict[str, int] = {}
    total = 0.0
    for times, fused, _, line in program.walk():
        if fused or not (op := parse(line)):
            continue
        held[op.name] = _in_hbm(op.shape)
        if op.kind.endswith("-done"):  # moved to or from the chip while others computed
            total += times * size(op.shape)
        elif op.kind not in _FREE and not op.kind.endswith("-start"):
            # An operand that is used twice is read once.
            parts = dict(zip(op.operands, _reads(program, op)))
            total += times * sum(min(held.get(n, 0), most) for n, most in parts.items())
            total += times * _written(program, op, op.shape)
    return total


def _in_hbm(shape: str) -> int:
    return size(_ON_CHIP.sub("", shape))


def _reads(program: Program, op: Op, sizes: dict[str, str] | None = None) -> list[float]:
    """Bytes that `op` reads at most of each of its operands.

    sizes: shapes of the arrays in the computation of `op`, if it is in a fusion.
    """
    whole = [math.inf] * len(op.operands)
    if op.kind in ("gather", "dynamic-slice"):
        return [size(op.shape), *whole[1:]]
    if op.kind == "dynamic-update-slice":
        return [0, *whole[1:]]
    if op.kind == "scatter" and sizes:  # what is added to is read where it is
        return [size(sizes[op.operands[2]]), *whole[1:]]
    if op.called is None:
        return whole
    inside = program.ops(op.called)
    shapes = {o.name: o.shape for o in inside}
    found = []
    for i in range(len(op.operands)):
        names = {o.name for o in inside if o.kind == "parameter" and f"parameter({i})" in o.line}
        read = 0.0
        for o in inside:
            if names.isdisjoint(o.operands):
                continue
            if o.kind == "bitcast":
                names.add(o.name)
            else:
                parts = zip(o.operands, _reads(program, o, shapes))
                read += sum(part for name, part in parts if name in names)
        found.append(read)
    return found


def _written(program: Program, op: Op, shape: str) -> float:
    """Bytes that `op` writes to HBM, where its result is kept as `shape` says."""
    if op.called is None or not _in_hbm(shape):
        return _in_hbm(shape)
    ops = {o.name: o for o in program.ops(op.called)}
    *_, last = ops.values()
    results = [ops[name] for name in last.operands] if last.kind == "tuple" else [last]
    total = 0.0
    for result, kept in zip(results, _LAID_OUT.findall(shape)):
        while result.kind == "bitcast" and result.operands[0] in ops:
            result = ops[result.operands[0]]
        total += min(_in_hbm(kept), _updates(ops, result))
    return total


def _updates(ops: dict[str, Op], op: Op) -> float:
    """Bytes that an update in place writes; infinite for what is written whole."""
    at = {"dynamic-update-slice": 1, "scatter": 2}.get(op.kind)
    return math.inf if at is None else size(ops[op.operands[at]].shape)


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
