"""What stands behind an encoder and writes a text: a T5 decoder, told its past or left alone.

In training it is told what comes before each token (teacher forcing) and gives logits; alone it
writes, with keys and values of all that is past in a cache, on the device.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.searching import Cache, Written, beam_search, draws, likeliest, write
from ssljax.nets.t5 import T5Decoder


class T5Writer(nn.Module):
    """`T5Encoder.memory` -> texts {"tokens": int32 [B, length], "log_p": [B]}; with "before", int
    [B, T], the tokens before each that is asked for, logits [B, T, V] float32 instead.
    """

    decoder: T5Decoder
    length: int = 64
    """Tokens of a text at most, its end among them."""
    eos: int = 3
    """The token that ends a text; 0 begins it and fills it up."""
    words: int | None = None
    """Tokens that may be written, the first ones of the vocabulary; None: all but 0."""
    beams: int = 4
    """Beginnings that beam search keeps; 1 takes the likeliest token each time."""
    penalty: float = 1.0
    """Exponent of the length by which log p is divided."""
    temperature: float = 0.0
    """Above 0 tokens are drawn, and there are no beams."""
    top_k: int = 0
    """Draw among so many likeliest tokens; 0: all."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that have so much probability together."""
    seed: int = 0
    """Of the draws; "index" int [B] says which example each is."""

    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> Any:
        given = {name: x[name] for name in ("table", "past", "seen")}
        if "before" in x:
            return self.decoder(x["before"], train, **given)
        if self.is_initializing():
            return self.decoder(jnp.zeros((len(x["past"]), 2), jnp.int32), train, **given)
        # JAX loops over pure functions, not over modules.
        variables = {"params": self.variables["params"]["decoder"]}
        run = partial(self.decoder.clone(parent=None).apply, variables)
        return self._written(run, x)._asdict()

    @nn.nowrap
    def _written(self, run: Any, x: dict[str, jax.Array]) -> Written:
        table, b = x["table"], len(x["past"])
        several = 1 if self.temperature > 0 else self.beams
        seen = jnp.repeat(x["seen"], several, axis=0)
        past = jnp.repeat(x["past"], several, axis=0)

        def step(tokens: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
            logits, cache = run(tokens, table=table, seen=seen, cache=cache, method="extend")
            return logits[:, -1], cache

        number = jnp.arange(len(table))
        allowed = (number > 0) & (number < (self.words or len(table)))
        cache = run(past, length=self.length, method="remember")
        options: dict[str, Any] = {"rows": b, "length": self.length, "end": self.eos}
        options["allowed"] = allowed
        if self.temperature > 0:
            one = partial(jax.random.fold_in, jax.random.key(self.seed))
            keys = jax.vmap(one)(x["index"])
            kept = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
            return write(step, cache, draws(keys, **kept), **options)
        if self.beams == 1:
            return write(step, cache, likeliest, **options)
        more: dict[str, Any] = {"beams": self.beams, "penalty": self.penalty}
        return beam_search(step, cache, _moved, **options, **more)


def _moved(cache: Cache, rows: jax.Array) -> Cache:
    """The cache whose row i was row rows[i]; what the encoder said is the same for all beams."""
    return cache | {name: cache[name][:, rows] for name in "kv"}
