"""Vectors of fields, such as the user, her age and the genres of a film, and what pairs of them
have in common.
"""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp


class FieldVectors(nn.Module):
    """A vector for each field of an example: the sum of the rows of its features, times their
    amounts.

    The input is {"feature": int [B, S], "amount": float [B, S]}; the output [B, fields, width].
    """

    count: int
    """Features, over all fields: the rows of the table."""
    width: int
    """Numbers in a row."""
    sizes: tuple[int, ...]
    """Slots of each field; they add up to S."""
    spread: float = 0.01
    """Deviation of the normal numbers that rows start as."""

    @nn.compact
    def __call__(self, x: dict[str, jax.Array], *, train: bool = False) -> jax.Array:
        del train
        feature, amount = x["feature"], x["amount"]
        if feature.shape[-1] != sum(self.sizes):
            raise ValueError(f"fields of {self.sizes} slots, but {feature.shape[-1]} features")
        start = nn.initializers.normal(self.spread)
        rows = self.param("rows", start, (self.count, self.width))[feature] * amount[..., None]
        ends = list(itertools.accumulate(self.sizes))
        return jnp.stack([part.sum(1) for part in jnp.split(rows, ends[:-1], axis=1)], axis=1)


def pair_sum(vectors: jax.Array) -> jax.Array:
    """The sum over all pairs of fields of their inner products, [B] of [B, fields, K].

    sum_{i<j} <v_i, v_j> = 1/2 sum_k [ (sum_i v_ik)^2 - sum_i v_ik^2 ]
    """
    return jnp.sum(vectors.sum(1) ** 2 - (vectors**2).sum(1), axis=-1) / 2
