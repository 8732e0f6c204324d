"""Vectors of fields, such as the user, her age and the genres of a film, and what pairs of them
have in common.
"""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.mlp import MLP


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
        table = self.param("rows", start, (self.count, self.width))
        # A feature that the table lacks is no number, where a plain index would read the last row.
        rows = jnp.take(table, feature, axis=0, mode="fill", fill_value=jnp.nan)
        rows = rows * amount[..., None]
        ends = list(itertools.accumulate(self.sizes))
        return jnp.stack([part.sum(1) for part in jnp.split(rows, ends[:-1], axis=1)], axis=1)


class DeepFields(nn.Module):
    """What DeepFM makes of the fields of an example, float32 [B, 2 + H].

    The sum of the first numbers of all fields, the sum over pairs of them of the products of their
    vectors (the other numbers), and what a network makes of those. A linear layer behind it gives
    DeepFM, with a weight for each part, and with several outputs where a target has several. The
    input is that of `FieldVectors`.
    """

    table: FieldVectors
    """The vectors, of which the first number stands for itself."""
    deep: MLP
    """The network; its last width is H."""

    @nn.compact
    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        fields = self.table(x)
        vectors = fields[..., 1:]
        deep = nn.relu(self.deep(vectors.reshape(len(vectors), -1), train))
        parts = [fields[..., 0].sum(1, keepdims=True), pair_sum(vectors)[:, None], deep]
        return jnp.concatenate(parts, axis=1)


def pair_sum(vectors: jax.Array) -> jax.Array:
    """The sum over all pairs of fields of their inner products, [B] of [B, fields, K].

    sum_{i<j} <v_i, v_j> = 1/2 sum_k [ (sum_i v_ik)^2 - sum_i v_ik^2 ]
    """
    return jnp.sum(vectors.sum(1) ** 2 - (vectors**2).sum(1), axis=-1) / 2
