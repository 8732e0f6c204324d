"""Seconds of the whole training step of BERT, MAE and DINO, beside PyTorch on the same device.

    python experiments/benchmarks/method_step.py --case bert_base --seconds 10 --json out.json

The batch lies on the device and is always the same. BERT and MAE stand beside the networks of
Hugging Face transformers, with attention by scaled_dot_product_attention, under torch.compile and
autocast, with fused AdamW; heads see the hidden tokens alone on both sides. DINO has no peer here.
Sides of a ratio must learn before they are timed, and have equally many parameters.

    MFU = FLOPs of loss and gradient / (seconds of a step x dense peak of the device)

FLOPs are those of matrix products and convolutions in the program of ssljax without its views.
"""

import argparse
import dataclasses
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
from ours import CHECK_STEPS, PEAKS, checked, flops_of, seconds_of, step_times

from ssljax import Optimizer
from ssljax.methods import BERT, DINO, MAE
from ssljax.nets import Decoder, bert, vit
from ssljax.views import dino_crops, view_batch

ADAMW = Optimizer(
    name="adamw", learning_rate=1e-4, per_batch=None, schedule="constant", weight_decay=0.05
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A method on a batch. source: side of stored images, in pixels; length: tokens of a row."""

    method: Any
    batch: int
    unit: str
    source: int = 0
    length: int = 0
    falls: bool = True
    """Whether the loss must go down: that of DINO is against targets that move."""

    @property
    def each(self) -> int:
        """Units of an example: tokens of a row, or the image."""
        return self.length or 1


def cases() -> dict[str, Case]:
    """All cases by name, in bfloat16."""
    dry = {"dropout": 0.0, "attention_dropout": 0.0}
    half: dict[str, Any] = {"dtype": "bfloat16", "parent": None}
    mae = MAE(
        encoder=vit("base", positions="sincos", **half),
        decoder=Decoder(width=512, depth=8, heads=16, **half),
    )
    dino = DINO(encoder=vit("small", any_size=True, **half), freeze=0)
    text = BERT(encoder=bert("base", vocab=30592, length=128, **dry, **half))
    return {
        "bert_base": Case(method=text, batch=256, unit="tokens/s", length=128),
        "mae_vit_b16": Case(method=mae, batch=256, unit="images/s", source=256),
        "dino_vit_s16": Case(method=dino, batch=64, unit="images/s", source=256, falls=False),
    }


def tiny(case: Case) -> Case:
    """The same kind of case, small enough to try every line of it on a CPU."""
    method, small = case.method, {"width": 32, "depth": 2, "heads": 2}
    if isinstance(method, BERT):
        net = method.encoder.clone(**small, hidden=64, vocab=64, length=16, dtype="float32")
        return dataclasses.replace(
            case, method=dataclasses.replace(method, encoder=net), batch=4, length=16
        )
    net = method.encoder.clone(**small, patch=8, dtype="float32")
    if isinstance(method, MAE):
        view = dataclasses.replace(method.view, size=32)
        method = dataclasses.replace(
            method, encoder=net, decoder=method.decoder.clone(**small, dtype="float32"), view=view
        )
    else:
        crops = dino_crops(size=32, local_size=16, local_crops=2)
        head = method.head.clone(hidden=32, bottleneck=16, prototypes=32)
        method = dataclasses.replace(method, encoder=net, crops=crops, head=head)
    return dataclasses.replace(case, method=method, batch=4, source=32)


def batch_of(case: Case) -> dict[str, np.ndarray]:
    """Random rows; some tokens are likelier than others, and images can be told apart."""
    rng = np.random.default_rng(0)
    if case.length:
        shape = (case.batch, case.length)
        words = 5 + np.minimum(rng.geometric(0.1, shape), case.method.encoder.vocab - 6)
        words[:, 0], words[:, -1] = case.method.cls, case.method.sep
        ones = np.ones(shape, np.int32)
        return {"tokens": words.astype(np.int32), "segments": ones, "index": ones[:, 0]}
    coarse = rng.uniform(0, 200, (case.batch, 4, 4, 3))
    images = coarse.repeat(case.source // 4, 1).repeat(case.source // 4, 2)
    return {"image": (images + rng.uniform(0, 55, images.shape)).astype(np.uint8)}


def flops_of_step(case: Case) -> float:
    """Of loss and gradient on a batch, without the views."""
    rows = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, batch_of(case)))
    method, key = case.method, jax.random.key(0)
    params, extra = jax.eval_shape(method.init, key, rows)

    def gradient(params: Any, extra: Any, rows: Any) -> Any:
        return jax.grad(lambda p: method.loss(p, extra, rows, key)[0])(params)

    total = flops_of(gradient, params, extra, rows)
    if not case.length:
        view = method.crops if isinstance(method, DINO) else method.view
        total -= flops_of(lambda x: view_batch(view, key, x), rows["image"])
    return total


def network_of(case: Case) -> Any:
    """The network of transformers, for BERT and MAE, head and decoder included."""
    import transformers

    method = case.method
    net = method.encoder
    common = {
        "hidden_size": net.width,
        "num_hidden_layers": net.depth,
        "num_attention_heads": net.heads,
        "attn_implementation": "sdpa",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    if isinstance(method, BERT):
        config = transformers.BertConfig(
            **common,
            vocab_size=net.vocab,
            intermediate_size=net.hidden,
            max_position_embeddings=net.length,
        )
        return transformers.BertForMaskedLM(config)
    decoder = method.decoder
    config = transformers.ViTMAEConfig(
        **common,
        intermediate_size=4 * net.width,
        image_size=method.view.size,
        patch_size=net.patch,
        decoder_hidden_size=decoder.width,
        decoder_num_hidden_layers=decoder.depth,
        decoder_num_attention_heads=decoder.heads,
        decoder_intermediate_size=4 * decoder.width,
        mask_ratio=method.ratio,
        norm_pix_loss=True,
    )
    return transformers.ViTMAEForPreTraining(config)


def torch_peer(case: Case, device: str) -> tuple[Any, Callable[[Any], Any], Any]:
    """(network, batch -> loss, batch), for BERT and MAE."""
    import torch
    from torch.nn import functional

    method, rows = case.method, batch_of(case)
    model = network_of(case).to(device)
    if not isinstance(method, BERT):
        from torch_peer import views

        images = torch.from_numpy(rows["image"]).to(device)
        return model, lambda images: model(views(method.view, images)).loss, images
    tokens = torch.from_numpy(rows["tokens"]).long().to(device)
    width, vocab = method.encoder.width, method.encoder.vocab
    count = max(1, round(method.ratio * (case.length - 2)))

    def language(tokens: Any) -> Any:
        noise = torch.rand(tokens.shape, device=device)
        noise[:, [0, -1]] = 2.0
        at = noise.argsort(1)[:, :count]
        kind = torch.rand(at.shape, device=device)
        truth = tokens.gather(1, at)
        other = torch.randint_like(truth, vocab)
        hidden = torch.where(kind < 0.8, method.mask, torch.where(kind < 0.9, other, truth))
        states = model.bert(tokens.scatter(1, at, hidden))[0]
        chosen = states.gather(1, at[..., None].expand(-1, -1, width))
        logits = model.cls(chosen).flatten(0, 1).float()
        return functional.cross_entropy(logits, truth.flatten())

    return model, language, tokens


def run_torch(case: Case, *, seconds: float, mode: str) -> dict[str, Any]:
    """Checks and times the peer in this process. mode: "eager" or one of torch.compile."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    network, loss_of, batch = torch_peer(case, device)
    learnt = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learnt if p.ndim > 1], "weight_decay": ADAMW.weight_decay},
        {"params": [p for p in learnt if p.ndim == 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=ADAMW.learning_rate, fused=True)
    half = torch.autocast(device, torch.bfloat16, enabled=case.method.encoder.dtype == "bfloat16")
    run = loss_of if mode == "eager" else torch.compile(loss_of, mode=mode)

    def step() -> Any:
        with half:
            loss = run(batch)
        loss.backward()
        adam.step()
        adam.zero_grad(set_to_none=True)
        return loss.detach()

    losses = [float(step()) for _ in range(CHECK_STEPS)]
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    return {
        "hardware": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "version": f"torch {torch.__version__}",
        "parameters": sum(p.numel() for p in learnt),
        **checked(losses, f"torch ({mode})"),
        "step": seconds_of(step, wait, seconds),
        "peak_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None,
    }


def main(arguments: list[str] | None = None) -> dict[str, Any] | None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=[*cases()], required=True)
    parser.add_argument("--batch", type=int, help="examples in a step, in place of the case's")
    parser.add_argument("--seconds", type=float, default=10, help="of timing per measurement")
    parser.add_argument("--rounds", type=int, default=2, help="turns of A B")
    parser.add_argument("--torch-modes", nargs="*", default=["default"])
    parser.add_argument("--peak", type=float, help="dense peak of the device in TFLOP/s, for MFU")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)  # one measurement, in a child process
    args = parser.parse_args(arguments)
    case = tiny(cases()[args.case]) if args.tiny else cases()[args.case]
    case = dataclasses.replace(case, batch=args.batch or case.batch)
    if args.side:
        if args.side == "ssljax":
            options = {"seconds": args.seconds, "falls": case.falls}
            found = step_times(case.method, ADAMW, batch_of(case), **options)
        else:
            found = run_torch(case, seconds=args.seconds, mode=args.side)
        print(json.dumps(found))
        return None
    return _compare(args, case)


def _compare(args: argparse.Namespace, case: Case) -> dict[str, Any]:
    """Measures all sides in turn, prints one table, returns everything."""
    peers = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
    modes = args.torch_modes if peers and not isinstance(case.method, DINO) else []
    common = ["--case", args.case, "--seconds", str(args.seconds), "--batch", str(case.batch)]
    common += ["--tiny"] if args.tiny else []
    sides = ("ssljax", *modes)
    rounds = machine.in_turn(__file__, common, sides, rounds=args.rounds, name=args.case)
    hardware = rounds["ssljax"][0]["hardware"]
    peak = next((v for k, v in PEAKS.items() if k in hardware), 0)
    peak = 1e12 * args.peak if args.peak else peak
    cost, count = flops_of_step(case), case.batch * case.each
    speeds = {side: [count / r["step"] for r in found] for side, found in rounds.items()}
    others = [side for side in speeds if side != "ssljax"]
    best = max(others, key=lambda side: max(speeds[side]), default=None)
    ratios = []
    if best:
        options = {"against": f"torch {best}"}
        ratios = [machine.ratio(args.case, case.unit, speeds["ssljax"], speeds[best], **options)]
    lines = [["side", case.unit, "MFU", "peak GiB"]]
    for side, values in speeds.items():
        share = f"{cost * max(values) / count / peak:.1%}" if peak else "-"
        held = rounds[side][0]["peak_bytes"]
        lines.append([side, f"{max(values):,.0f}", share, f"{held / 2**30:.2f}" if held else "-"])
    where = machine.environment() | {"device": hardware}
    print("\n".join(f"{k}: {v}" for k, v in where.items()))
    print(f"\n{args.case}: batch {case.batch}, {cost / 1e9:,.1f} GFLOP a step\n")
    print(machine.table(lines))
    report = {"environment": where, "rounds": rounds, "ratios": ratios, "flops": cost}
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main()
