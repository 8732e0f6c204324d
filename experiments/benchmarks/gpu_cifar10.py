"""The last part of `gpu.py`: SimCLR on CIFAR-10 for so many steps, with k-NN and a linear probe."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from ssljax.runs.record import load_file
from ssljax.runs.run import run

spec, steps, folder, file = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
base = load_file(Path(__file__).resolve().parents[1] / "simclr_cifar10.py").EXPERIMENT
optimizer = replace(base.optimizer, warmup=min(base.optimizer.warmup, steps // 10))
left_out = dict.fromkeys(("few_shot", "retrieval", "clustering", "lidar"))
found = run(
    replace(
        base,
        data=spec,
        test=None,
        steps=steps,
        optimizer=optimizer,
        cadence=replace(base.cadence, evaluate=0, save=steps, monitor=0),
        evaluation=replace(base.evaluation, **left_out),
    ),
    folder,
)
file.write_text(json.dumps({"evaluation": found["evaluation"]}))
for encoder, numbers in found["evaluation"]["encoders"].items():
    print(encoder, *(f"{name} {value:.4f}" for name, value in numbers.items()))
