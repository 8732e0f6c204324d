"""ComplEx: DistMult with complex numbers, so that a relation may lead one way and not back.

Trouillon et al., "Complex Embeddings for Simple Link Prediction", ICML 2016, arXiv:1606.06357;
trained as by Lacroix et al., "Canonical Tensor Decomposition for Knowledge Base Completion", ICML
2018, arXiv:1806.07297: against all entities (1-N), with the nuclear 3-norm (N3) and reciprocals.

    s(h, r, t) = Re sum_d h_d r_d conj(t_d),     s(h, r^-1, t) for the way back
    L = mean [ CE(s(h, r, .), t) + decay n(h, r, t) + CE(s(t, r^-1, .), h) + decay n(t, r^-1, h) ]
    n = sum_d |h_d|^3 + |r_d|^3 + |t_d|^3

A vector is `width` / 2 real parts, then as many imaginary ones.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.method import Batch, Metrics
from ssljax.recipes_triples import AgainstAll


@dataclass(frozen=True, kw_only=True)
class ComplEx(AgainstAll):
    """ComplEx-N3."""

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ValueError(f"width {self.width} must be even: real and imaginary parts")

    def asks(self, entity: jax.Array, relation: jax.Array, *, head: bool) -> jax.Array:
        del head
        (a, b), (c, d) = jnp.split(entity, 2, axis=-1), jnp.split(relation, 2, axis=-1)
        return jnp.concatenate([a * c - b * d, a * d + b * c], axis=-1)

    def modulus(self, vector: jax.Array) -> jax.Array:
        real, imaginary = jnp.split(vector, 2, axis=-1)
        # The root has no slope at 0.
        return jnp.sqrt(real**2 + imaginary**2 + 1e-12)

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        del key
        return self.against_all(params, batch), (extra, {})
