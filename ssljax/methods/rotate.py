"""RotatE: a relation turns each complex number of the head, and the tail lies where it ends.

Sun et al., "RotatE: Knowledge Graph Embedding by Relational Rotation in Complex Space", ICLR 2019,
arXiv:1902.10197; constants of the authors' code.

    s(h, r, t) = margin - sum_d |h_d e^(i theta_rd) - t_d|
    L = (L_heads + L_tails) / 2, each `losses.knowledge.self_adversarial` with wrong heads or tails

An entity is `width` / 2 real parts, then as many imaginary ones. The angle is pi r / spread, so
that it starts anywhere; here both ends are replaced in every step, where the code takes turns.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.method import Batch, Metrics
from ssljax.recipes_triples import WithNegatives


@dataclass(frozen=True, kw_only=True)
class RotatE(WithNegatives):
    """RotatE with the paper's margin."""

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ValueError(f"width {self.width} must be even: real and imaginary parts")

    @property
    def relation_width(self) -> int:
        return self.width // 2

    @property
    def start(self) -> float:
        return (self.margin + 2) / self.relation_width

    def asks(self, entity: jax.Array, relation: jax.Array, *, head: bool) -> jax.Array:
        angle = relation * jnp.pi / self.start
        cos, sin = jnp.cos(angle), jnp.sin(angle) * (-1 if head else 1)
        real, imaginary = jnp.split(entity, 2, axis=-1)
        turned = (real * cos - imaginary * sin, real * sin + imaginary * cos)
        return jnp.concatenate(turned, axis=-1)

    def agree(self, asked: jax.Array, entity: jax.Array) -> jax.Array:
        real, imaginary = jnp.split(asked - entity, 2, axis=-1)
        # The root has no slope at 0.
        return self.margin - jnp.sum(jnp.sqrt(real**2 + imaginary**2 + 1e-12), axis=-1)

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        del key
        return self.against_negatives(params, batch), (extra, {})
