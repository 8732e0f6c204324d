"""R3D's convolution in two ways: over time, height and width, or frames as channels of one picture.

    python experiments/benchmarks/clip_conv.py

One step of an R3D of 10 layers and 16 channels, forward and backward, on 64 clips of 8 frames of
32 pixels, each way in turn, the fastest of so many rounds. CPUs take the second way by themselves.
"""

import argparse
import time
from unittest import mock

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.nets import R3D, r3d


def step_of(way):
    """A compiled gradient of a step whose convolutions all go one way."""
    module = R3D(depth=10, width=16)
    clips = jax.random.normal(jax.random.key(0), (64, 8, 32, 32, 3))
    params, stats = nets.init(module, jax.random.key(1), clips)

    def loss(params):
        features, _ = nets.apply(module, params, stats, clips, train=True)
        return jnp.sum(jnp.square(features))

    with mock.patch.object(r3d, "conv_flat", way), mock.patch.object(r3d, "conv_whole", way):
        return jax.jit(jax.grad(loss)).lower(params).compile(), params


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    steps = {"whole": step_of(r3d.conv_whole), "flat": step_of(r3d.conv_flat)}
    seconds = dict.fromkeys(steps, float("inf"))
    for _ in range(options.rounds):
        for name, (run, params) in steps.items():
            start = time.perf_counter()
            jax.block_until_ready(run(params))
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    for name, value in seconds.items():
        print(f"{name:<6} {value:.2f} s a step")
    print(f"flat is {seconds['whole'] / seconds['flat']:.1f} times as fast")
    return seconds


if __name__ == "__main__":
    main()
