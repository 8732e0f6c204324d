"""A table of vectors, one for each thing that has a number: of entities, of relations."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Vectors(nn.Module):
    """The rows of a table: int [...] -> float32 [..., width]."""

    count: int
    """Rows."""
    width: int
    """Numbers in a row."""
    spread: float = 0.1
    """Rows start evenly between plus and minus this."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        del train

        def even(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
            return jax.random.uniform(key, shape, jnp.float32, -self.spread, self.spread)

        return self.param("rows", even, (self.count, self.width))[x]
