"""One process of a run on several hosts: what tests/training/test_distributed.py starts.

`python distributed_worker.py '{"folder": ..., "process": 0, ...}'` trains the small method of
test_train.py and prints one JSON line: the step it came to and its weight.
"""

import json
import logging
import os
import socket
import sys
import time
from pathlib import Path

import jax

OPTIONS = {
    "process": 0,  # of how many, at which port
    "processes": 1,
    "port": 0,
    "devices": 2,
    "steps": 12,
    "fsdp": False,
    "per_call": 1,
    "save": 4,
    "pause": 0.0,  # seconds that a batch takes
    "fail": None,  # the batch at which the data of this process fails
    "how": None,  # dry, disk or nan
    "silence": 5.0,
    "join": 60,
} | json.loads(sys.argv[1])
jax.config.update("jax_num_cpu_devices", OPTIONS["devices"])
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from ssljax.method import from_loss  # noqa: E402
from ssljax.training import distributed  # noqa: E402
from ssljax.training.sharding import Parallel  # noqa: E402
from ssljax.training.train import Cadence, fit  # noqa: E402

distributed.SILENCE, distributed.JOIN = OPTIONS["silence"], OPTIONS["join"]
socket.gethostname = lambda: f"worker-{OPTIONS['process']}"  # as on machines of their own


class Lines:
    """64 examples of 4 numbers; batch i is a permutation drawn from (seed, i)."""

    spec = {"x": ((4,), np.dtype(np.float32)), "index": ((), np.dtype(np.int32))}  # noqa: RUF012
    rows = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)

    def batches(self, batch, *, seed, start=0, host=(0, 1)):
        which, count = host
        step = start
        while True:
            if step == OPTIONS["fail"]:
                if OPTIONS["how"] == "dry":
                    return
                if OPTIONS["how"] == "disk":
                    raise OSError("disk gone")
            time.sleep(OPTIONS["pause"])
            index = np.random.default_rng([seed, step]).permutation(64)[:batch]
            mine = np.array_split(index, count)[which]
            x = self.rows[mine] * (np.nan if step == OPTIONS["fail"] else 1)
            yield {"x": x, "index": mine.astype(np.int32)}
            step += 1


def method():
    """A contrastive-like loss of the whole batch, so that hosts must exchange features; the
    weights are large enough to be split under fsdp.
    """

    def init(key, batch):
        return {"encoder": {"w": jax.random.normal(key, (4, 4096)) / 64}}, {}

    def loss(params, extra, batch, key):
        z = (batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)) @ params["encoder"]["w"]
        value = jnp.mean((z @ z.T - jnp.eye(len(z))) ** 2)
        return value, (extra, {"norm": jnp.linalg.norm(z)})

    def embed(state, batch):
        return batch["x"] @ state.params["encoder"]["w"][:, :8]

    return from_loss(optax.adam(1e-2), init=init, loss=loss, embed=embed)


def train():
    state = fit(
        method(),
        Lines(),
        steps=OPTIONS["steps"],
        batch=16,
        seed=3,
        parallel=Parallel(fsdp=OPTIONS["fsdp"]),
        folder=Path(OPTIONS["folder"]),
        cadence=Cadence(
            log=OPTIONS["per_call"],
            save=OPTIONS["save"],
            monitor=4,
            evaluate=4,
            steps_per_call=OPTIONS["per_call"],
        ),
        evaluate=lambda state: {"norm": float(jnp.linalg.norm(state.params["encoder"]["w"]))},
    )
    total = jax.jit(lambda w: jnp.sum(jnp.abs(w)))(state.params["encoder"]["w"])
    print(json.dumps({"step": int(state.step), "weight": float(total)}), flush=True)


logging.basicConfig(level=logging.WARNING)
if OPTIONS["processes"] > 1:
    distributed.initialize(
        coordinator=f"127.0.0.1:{OPTIONS['port']}",
        processes=OPTIONS["processes"],
        process=OPTIONS["process"],
    )
with distributed.guard():
    train()
