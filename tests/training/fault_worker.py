"""Processes that test_faults.py kills: a nursery that imports once and forks for each order.

Each line on stdin is an order in JSON, {"do": a function of this file, "log": PATH, ...}; the rest
are that function's arguments. The nursery prints the id of the new process, and once it has ended
what it ended with: minus the signal, or the exit code. Importing jax takes seconds and starts no
device, so that the forked process is from there on what a fresh one would be.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tensorboardX  # noqa: F401  slow to import, and fit does so
from test_train import ROWS, quadratic

from ssljax.data import Arrays
from ssljax.method import from_loss
from ssljax.runs.folder import lock
from ssljax.training.sharding import Parallel
from ssljax.training.train import Cadence, fit


class Slow(Arrays):
    """The data at the pace of a real run."""

    pause = 0.0

    def batches(self, *args, **kwargs):
        for number, rows in enumerate(super().batches(*args, **kwargs)):
            if number == 0:
                print("training", flush=True)
            time.sleep(self.pause)
            yield rows


def wide():
    """A contrastive-like loss whose weights are large enough to be split under fsdp."""

    def init(key, batch):
        return {"encoder": {"w": jax.random.normal(key, (1, 2**14)) / 128}}, {}

    def loss(params, extra, batch, key):
        x = batch["image"].reshape(-1, 1) + 0.1 * jax.random.normal(key, (len(batch["image"]), 1))
        z = x @ params["encoder"]["w"]
        return jnp.mean((z @ z.T - jnp.eye(len(z))) ** 2), (extra, {"norm": jnp.linalg.norm(z)})

    def embed(state, batch):
        return batch["image"].reshape(-1, 1) @ state.params["encoder"]["w"][:, :8]

    return from_loss(optax.adam(1e-2), init=init, loss=loss, embed=embed)


METHODS = {"quadratic": quadratic, "wide": wide}


def train(*, folder, steps, method="quadratic", pause=0.0, devices=1, fsdp=False, **cadence):
    """Prints "training" when the first batch is read and the bits of the final state at the end."""
    jax.config.update("jax_num_cpu_devices", devices)
    data = Slow(ROWS)
    data.pause = pause
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder):
        state = fit(
            METHODS[method](),
            data,
            steps=steps,
            batch=16,
            folder=folder,
            parallel=Parallel(fsdp=fsdp),
            cadence=Cadence(**{"log": 1, "save": 3, "monitor": 6} | cadence),
        )
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(jax.device_get(state))]
    print("state", b"".join(leaves).hex(), flush=True)


def cli(*, arguments):
    """The command line in a process of its own."""
    from ssljax.cli.commands import main

    main(arguments)


def export(*, path):
    """Dies in the middle of writing the file; nothing but the file system tells the tale."""
    from ssljax.export import safetensors

    whole = safetensors.save_file

    def half(tensors, path, **kwargs):
        whole(tensors, path, **kwargs)
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    safetensors.save_file = half
    safetensors.write(Path(path), {"encoder/w": np.ones(100, np.float32)})


def child(order):
    """Does one order; its output goes into the log. Returns the exit code."""
    with open(order.pop("log"), "wb", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        {"train": train, "cli": cli, "export": export}[order.pop("do")](**order)
    except SystemExit as error:
        return error.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(child(json.loads(line)))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
