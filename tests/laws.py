"""What the laws of tests/methods/test_laws.py need: small cases, one file of them a family.

`tests/methods/cases_FAMILY.py` defines CASES = {name: Case(method, batch)}; the laws find them all.
"""

import functools
import importlib
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.nets import SmallConv

NET = SmallConv(widths=(4, 8))


@dataclass(frozen=True)
class Jitter:
    """The cheapest random view, with the interface of `ImageView`: random flip and noise, cut to
    `size`. Real views have tests of their own, and take long to compile.
    """

    size: int = 8
    noise: float = 0.3
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)

    def __call__(self, key, image):
        flip, noise = jax.random.split(key)
        x = self.plain(image)
        x = jnp.where(jax.random.bernoulli(flip), x[:, ::-1], x)
        return x + self.noise * jax.random.normal(noise, x.shape)

    def plain(self, image):
        x = image[..., : self.size, : self.size, :].astype(jnp.float32) / 255
        return (x - self.mean[0]) / self.std[0]

    @property
    def weak(self):
        return self

    def denormalize(self, images):
        return jnp.clip(images * self.std[0] + self.mean[0], 0.0, 1.0)


VIEW = Jitter()


class Case(NamedTuple):
    """A tiny configuration of a method, and what feeds it."""

    method: Any
    batch: Callable[[int], dict[str, np.ndarray]]
    data: Callable[[dict[str, np.ndarray]], Any] | None = None
    """rows -> data set, where rows are no examples by themselves, such as the nodes of a graph."""
    draws: bool = True
    """Whether a step draws anything by its key; else its batch brings all that is random."""


def images(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (size, 8, 8, 3), dtype=np.uint8),
        "label": np.arange(size, dtype=np.int32) % 4,
        "index": np.arange(size, dtype=np.int32),
    }


def all_cases() -> dict[str, Case]:
    """The cases of all families, by name."""
    folder = Path(__file__).parent / "methods"
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    files = sorted(folder.glob("cases_*.py"))
    return {n: c for file in files for n, c in importlib.import_module(file.stem).CASES.items()}


TURNS = 4


@functools.cache
def turn() -> int | None:
    """Whose turn it is: a number below TURNS, which follows from the commit, or None where all
    have it. SSLJAX_TURN says otherwise: a number, or "all".
    """
    said = os.environ.get("SSLJAX_TURN")
    if said is None:
        git = ["git", "rev-parse", "HEAD"]
        try:
            found = subprocess.run(git, cwd=Path(__file__).parent, capture_output=True, text=True)
        except OSError:  # no git here
            return 0
        said = str(int(found.stdout.strip() or "0", 16))
    if said != "all" and not said.isdecimal():
        raise ValueError(f"SSLJAX_TURN is a number or all, got {said!r}")
    return None if said == "all" else int(said) % TURNS


NOT_NOW = pytest.mark.skip(
    reason="has its turn at another commit (name its file, or SSLJAX_TURN=all)"
)


def has_its_turn(name: str) -> bool:
    """Whether `name`, of a method or of a test, is due at this commit, as it is at one in TURNS.

    Where they are not, mark them `NOT_NOW`.
    """
    return turn() in (None, zlib.crc32(name.encode()) % TURNS)
