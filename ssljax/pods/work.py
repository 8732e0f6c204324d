"""What a compiled program computes: the FLOPs that XLA's own count leaves out, read from its text.

XLA counts a loop's body once, a matmul of float32 at HIGHEST precision like one of bfloat16, though
it takes six passes of the matrix unit (three at HIGH), and a kernel written in Pallas not at all.
"""

import math
import re
from typing import NamedTuple

import numpy as np

from ssljax.pods.program import Op, Program, dimensions, parse

# Matmuls [T, d] x [d, S] in each kernel of splash attention; the backward ones compute the weights
# again.
_SPLASH = {"fwd": 2, "dkv": 4, "dq": 3}


class Work(NamedTuple):
    """FLOPs of a program on one device, beyond what XLA counts."""

    turns: float
    """Of matmuls in the turns of loops after the first."""
    kernels: float
    """Of attention kernels, as if nothing were masked."""
    passes: float
    """Of the further passes of matmuls at high precision: time, not work."""


def uncounted(hlo: str, *, calls: int = 1) -> Work:
    """What XLA does not count in one of the `calls` steps of a program."""
    program = Program(hlo)
    shapes: dict[str, dict[str, str]] = {}
    turns = kernels = passes = 0.0
    for times, _, name, line in program.walk():
        if not (op := parse(line)):
            continue
        if op.kind == "custom-call":
            kernels += times / calls * _kernel(op)
        elif op.kind in ("convolution", "dot"):
            if name not in shapes:
                shapes[name] = {o.name: o.shape for o in program.ops(name)}
            operands = [shapes[name][n] for n in op.operands]
            flops = matmul_flops(op, *operands)
            turns += max(times / calls - 1, 0) * flops
            passes += times / calls * (_passes(line, operands) - 1) * flops
    return Work(turns, kernels, passes)


def _read(pattern: str, line: str) -> tuple[str, ...]:
    """What a line of a compiled program says."""
    found = re.search(pattern, line)
    if found is None:
        raise ValueError(f"a line of the compiled program without {pattern}: {line}")
    return found.groups()


def matmul_flops(op: Op, left_shape: str, right_shape: str) -> float:
    """FLOPs of a convolution or dot of two arrays of these shapes; padding costs nothing."""
    result, left, right = dimensions(op.shape), dimensions(left_shape), dimensions(right_shape)
    if op.kind == "dot":
        (axes,) = _read(r"lhs_contracting_dims=\{([\d,]*)\}", op.line)
        return 2.0 * math.prod(result) * math.prod(left[int(a)] for a in axes.split(",") if a)
    inputs, kernel, outputs = _read(r"dim_labels=(\w+)_(\w+)->(\w+)", op.line)
    pairs = 1.0
    for axis in (c for c in outputs if c.isdigit()):
        sizes = (left[inputs.index(axis)], right[kernel.index(axis)], result[outputs.index(axis)])
        pairs *= _meetings(*sizes, *_window(op.line, int(axis)))
    channels = result[outputs.index("b")] * result[outputs.index("f")] * right[kernel.index("i")]
    return 2.0 * pairs * channels


def _window(line: str, axis: int) -> tuple[int, int, int, int]:
    """(stride, padding before, dilation of the input, of the kernel) along a window's axis."""
    window = (re.search(r"window=\{(.*?)\}", line) or ["", ""])[1]
    fields = dict(part.split("=") for part in window.split() if "=" in part)

    def field(name: str, otherwise: int) -> int:
        return int(fields[name].split("x")[axis].split("_")[0]) if name in fields else otherwise

    return field("stride", 1), field("pad", 0), field("lhs_dilate", 1), field("rhs_dilate", 1)


def _meetings(
    inputs: int, kernel: int, outputs: int, stride: int, pad: int, spread: int, wide: int
) -> int:
    """Pairs of output and kernel positions along an axis that meet an input."""
    at = np.arange(outputs)[:, None] * stride - pad + np.arange(kernel) * wide
    return int(np.sum((at >= 0) & (at <= (inputs - 1) * spread) & (at % spread == 0)))


def _passes(line: str, operands: list[str]) -> int:
    """How often a matmul goes through the matrix unit of a TPU."""
    found = re.search(r"operand_precision=\{(\w+),(\w+)\}", line)
    if not found or not all(shape.startswith("f32") for shape in operands):
        return 1
    return max({"high": 3, "highest": 6}.get(said, 1) for said in found.groups())


def _kernel(op: Op) -> float:
    """FLOPs of a splash attention kernel; 0 of another call."""
    named = re.match(r"splash_mha_(fwd|dkv|dq)", op.name)
    taken = re.search(r"operand_layout_constraints=\{(.*?\})\}", op.line)
    if not named or not taken:
        return 0.0
    # After the tables of the mask come queries and keys, [B, heads, T, d] and [B, heads, S, d].
    q, k = re.findall(r"(?:bf16|f32)\[[\d,]+\]", taken[1])[:2]
    return 2.0 * _SPLASH[named[1]] * math.prod(dimensions(q)) * dimensions(k)[-2]
