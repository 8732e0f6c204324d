"""Tokens per second of the whole GPT training step, beside PyTorch on the same device.

    python experiments/benchmarks/language_step.py                     # what suits this machine
    python experiments/benchmarks/language_step.py --case gpt2_124m --seconds 20 --json out.json

The step: rows of tokens that are already on the device (always the same; no loader is timed) ->
GPT-2 -> cross-entropy of each next token -> gradients -> clipping -> AdamW with weight decay on
matrices. For ssljax it is the compiled step of `train.fit`, guard against NaN included, one and
--scan steps to a dispatch; for PyTorch the same network on scaled_dot_product_attention with fused
AdamW where the device has it, in each of --torch-modes. Every measurement has a process and the
device to itself, in turn A B A B; the result is the median over blocks of steps, then over rounds.

    MFU = (6 N + 12 depth width context) x tokens / (seconds of a step x dense peak of the device)

with N all parameters but the positions, as Chowdhery et al. count (PaLM, 2022, appendix B).
Before timing, the loss must go down, and both sides must have equally many parameters.
"""

import argparse
import dataclasses
import importlib.util
import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np
from ours import CHECK_STEPS, PEAKS, checked, seconds_of, step_times

from ssljax import Optimizer
from ssljax.methods import GPT
from ssljax.nets import GPT2, gpt2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One network on rows of one more token than its context. batch: rows of a step."""

    net: GPT2
    batch: int
    learning_rate: float = 6e-4


def cases() -> dict[str, Case]:
    """All cases by name: nanoGPT's for a CPU in float32, GPT-2 small in bfloat16."""
    dry = {"dropout": 0.0, "attention_dropout": 0.0, "parent": None}
    return {
        "cpu_shakespeare": Case(
            net=GPT2(vocab=65, width=128, depth=4, heads=4, length=64, **dry), batch=12
        ),
        # nanoGPT's vocabulary, filled up to a multiple of 64
        "gpt2_124m": Case(net=gpt2("small", vocab=50304, dtype="bfloat16", **dry), batch=16),
    }


def tiny(case: Case) -> Case:
    """The same kind of case, small enough to try every line of it on a CPU."""
    net = case.net.clone(vocab=40, width=32, depth=2, heads=2, length=16)
    return Case(net=net, batch=4, learning_rate=1e-2)


def optimizer(case: Case) -> Optimizer:
    """What both sides train with, at a constant rate."""
    return Optimizer(
        name="adamw",
        learning_rate=case.learning_rate,
        per_batch=None,
        schedule="constant",
        weight_decay=0.1,
        b2=0.95,
        clip=1.0,
    )


def tokens(case: Case) -> np.ndarray:
    """Rows int32 [B, context + 1] in which some tokens are likelier than others."""
    rng = np.random.default_rng(0)
    shape = (case.batch, case.net.length + 1)
    return np.minimum(rng.geometric(20 / case.net.vocab, shape), case.net.vocab - 1).astype(
        np.int32
    )


def flops_of_a_token(case: Case, parameters: int) -> float:
    """Of forward and backward pass, without what is only looked up."""
    net = case.net
    return 6 * (parameters - net.length * net.width) + 12 * net.depth * net.width * net.length


def run_ssljax(case: Case, *, seconds: float, scan: int) -> dict[str, Any]:
    """Checks and times ssljax in this process, on its first device. scan: steps in one dispatch."""
    row = tokens(case)
    rows = {"tokens": row, "segments": np.ones_like(row)}
    return step_times(GPT(encoder=case.net), optimizer(case), rows, seconds=seconds, scan=scan)


def torch_network(net: GPT2) -> Any:
    """The same network in PyTorch; parameters have the names of transformers."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Linear(nn.Module):
        def __init__(self, inputs: int, outputs: int, std: float) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(inputs, outputs) * std)
            self.bias = nn.Parameter(torch.zeros(outputs))

        def forward(self, x: Any) -> Any:
            return functional.linear(x, self.weight.T, self.bias)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width, hidden, out = net.width, 4 * net.width, 0.02 / (2 * net.depth) ** 0.5
            self.ln_1, self.ln_2 = nn.LayerNorm(width, net.eps), nn.LayerNorm(width, net.eps)
            self.attn = nn.ModuleDict(
                {"c_attn": Linear(width, 3 * width, 0.02), "c_proj": Linear(width, width, out)}
            )
            self.mlp = nn.ModuleDict(
                {"c_fc": Linear(width, hidden, 0.02), "c_proj": Linear(hidden, width, out)}
            )

        def forward(self, x: Any) -> Any:
            b, n, d = x.shape
            parts = self.attn["c_attn"](self.ln_1(x)).view(b, n, 3, net.heads, d // net.heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.attn["c_proj"](y.transpose(1, 2).reshape(b, n, d))
            y = functional.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh")
            return x + self.mlp["c_proj"](y)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte = nn.Embedding(net.vocab, net.width)
            self.wpe = nn.Embedding(net.length, net.width)
            self.h = nn.ModuleList(Block() for _ in range(net.depth))
            self.ln_f = nn.LayerNorm(net.width, net.eps)
            for table in (self.wte, self.wpe):
                nn.init.normal_(table.weight, std=0.02)

        def forward(self, x: Any) -> Any:
            """Logits [B, L, V] of tokens [B, L]."""
            y = self.wte(x) + self.wpe.weight[: x.shape[1]]
            for block in self.h:
                y = block(y)
            return functional.linear(self.ln_f(y), self.wte.weight)

    return Network()


def run_torch(case: Case, *, seconds: float, mode: str) -> dict[str, Any]:
    """Checks and times the PyTorch peer in this process. mode: "eager" or one of torch.compile."""
    import torch
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    network = torch_network(case.net).to(device)
    settings = optimizer(case)
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in network.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=(0.9, settings.b2), fused=True
    )
    rows = torch.from_numpy(tokens(case)).long().to(device)
    x, target = rows[:, :-1].contiguous(), rows[:, 1:].reshape(-1)
    half = torch.autocast(device, torch.bfloat16, enabled=case.net.dtype == "bfloat16")

    def loss_of(x: Any, target: Any) -> Any:
        return functional.cross_entropy(network(x).flatten(0, 1).float(), target)

    if mode != "eager":
        loss_of = torch.compile(loss_of, mode=mode)

    def step() -> Any:
        with half:
            loss = loss_of(x, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        return loss.detach()

    losses = [float(step()) for _ in range(CHECK_STEPS)]
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    return {
        "hardware": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "version": f"torch {torch.__version__}",
        "parameters": sum(p.numel() for p in network.parameters()),
        **checked(losses, f"torch ({mode})"),
        "step": seconds_of(step, wait, seconds),
        "peak_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None,
    }


def main(arguments: list[str] | None = None) -> dict[str, Any] | None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=[*cases()], help="default: the one that fits")
    parser.add_argument("--batch", type=int, help="rows in a step, in place of the case's")
    parser.add_argument("--seconds", type=float, default=10, help="of timing per measurement")
    parser.add_argument("--rounds", type=int, default=2, help="turns of A B")
    parser.add_argument("--scan", type=int, default=20, help="steps in one dispatch, beside one")
    parser.add_argument("--torch-modes", nargs="*", default=["eager", "default"])
    parser.add_argument("--peak", type=float, help="dense peak of the device in TFLOP/s, for MFU")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)  # one measurement, in a child process
    args = parser.parse_args(arguments)
    if args.side == "device":  # asked in a child: a parent that looks would keep its memory
        print(json.dumps([jax.default_backend(), jax.devices()[0].device_kind]))
        return None
    if args.side:
        case = tiny(cases()[args.case]) if args.tiny else cases()[args.case]
        case = dataclasses.replace(case, batch=args.batch or case.batch)
        ours = partial(run_ssljax, scan=args.scan)
        run = ours if args.side == "ssljax" else partial(run_torch, mode=args.side)
        print(json.dumps(run(case, seconds=args.seconds)))
        return None
    return _compare(args)


def _compare(args: argparse.Namespace) -> dict[str, Any]:
    """Measures all sides in turn, prints one table, returns everything."""
    backend, hardware = machine.child(__file__, "--side", "device")
    name = args.case or ("cpu_shakespeare" if backend == "cpu" else "gpt2_124m")
    case = tiny(cases()[name]) if args.tiny else cases()[name]
    case = dataclasses.replace(case, batch=args.batch or case.batch)
    # Without PyTorch there are only our own numbers.
    modes = args.torch_modes if importlib.util.find_spec("torch") else []
    common = ["--case", name, "--seconds", str(args.seconds), "--scan", str(args.scan)]
    common += ["--batch", str(args.batch)] if args.batch else []
    common += ["--tiny"] if args.tiny else []
    sides = ("ssljax", *modes)
    rounds = machine.in_turn(__file__, common, sides, rounds=args.rounds, name=name)
    count = case.batch * case.net.length
    speeds = {
        f"{side}, {kind}": [count / r[field] for r in rounds[side]]
        for side in rounds
        for kind, field in (("one step a call", "step"), (f"{args.scan} a call", "step_scanned"))
        if field in rounds[side][0]
    }
    peak = (
        1e12 * args.peak if args.peak else next((v for k, v in PEAKS.items() if k in hardware), 0)
    )
    cost = flops_of_a_token(case, rounds["ssljax"][0]["parameters"])
    others = [side for side in speeds if not side.startswith("ssljax")]
    best = max(others, key=lambda side: max(speeds[side]), default=None)
    ratios = [
        machine.ratio(f"{name}, {side}", "tokens/s", values, speeds[best], against=f"torch {best}")
        for side, values in speeds.items()
        if side not in others and best
    ]
    rows = [["side", "tokens/s by round", "MFU"]]
    for side, values in speeds.items():
        share = f"{cost * max(values) / peak:.1%}" if peak else "-"
        rows.append([side, ", ".join(f"{v:,.0f}" for v in values), share])
    where = machine.environment() | {"device": hardware}
    print("\n".join(f"{k}: {v}" for k, v in where.items()))
    print(f"\n{name}: {case.batch} rows of {case.net.length}, {case.net.dtype}\n")
    print(machine.table(rows) + "\n")
    for r in ratios:
        print(f"{r['what']}: {r['ratio']:.2f} ({r['lowest']:.2f} to {r['highest']:.2f}) of {best}")
    report = {"environment": where, "rounds": rounds, "ratios": ratios}
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main()
