"""What writes on behind a prompt: GPT-2 itself, with the parameters of the encoder that read it.

There is nothing behind the encoder that could learn: a causal language model reads and writes with
the same weights, which come in as an input (`GPT2.prompt`).
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.gpt2 import GPT2
from ssljax.nets.searching import Cache, draws, likeliest, write


class GPT2Writer(nn.Module):
    """`GPT2.prompt` -> texts {"tokens": int32 [B, length], "log_p": [B]}; with "after", int [B, T],
    the true tokens, logits [B, T, V] float32 of each instead.
    """

    network: GPT2
    """The encoder, whose parameters come with the prompt."""
    length: int = 64
    """Tokens of a text at most; prompt and text fit the positions of the network."""
    eos: int | None = None
    """The token that ends a text; None: nothing does."""
    words: int | None = None
    """Tokens that may be written, the first ones of the vocabulary; None: all but 0."""
    temperature: float = 0.0
    """Above 0 tokens are drawn; 0 takes the likeliest each time."""
    top_k: int = 0
    """Draw among so many likeliest tokens; 0: all."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that have so much probability together."""
    seed: int = 0
    """Of the draws; "index" int [B] says which example each is."""

    @nn.compact
    def __call__(self, x: dict[str, Any], train: bool = False) -> Any:
        prompt = x["tokens"]
        if self.is_initializing():  # there is nothing to make
            return jnp.zeros((len(prompt), self.length, self.network.vocab or 1))
        room = prompt.shape[1] + self.length
        if room > self.network.length:
            raise ValueError(
                f"a prompt of {prompt.shape[1]} tokens and a text of {self.length} need {room} "
                f"positions, and the network has {self.network.length}: set its length"
            )
        rngs = {"dropout": self.make_rng("dropout")} if train and self.has_rng("dropout") else None
        network = self.network.clone(parent=None)
        run: Any = partial(network.apply, {"params": x["params"]}, rngs=rngs)
        if "after" not in x:
            return self._written(run, x)._asdict()
        seen = jnp.concatenate([prompt, x["after"][:, :-1]], axis=1)
        logits = run({"tokens": seen}, train, method="logits")
        return logits[:, prompt.shape[1] - 1 :]

    @nn.nowrap
    def _written(self, run: Any, x: dict[str, Any]) -> Any:
        prompt, vocab = x["tokens"], self.network.vocab

        def step(tokens: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
            logits, cache = run({"tokens": tokens}, cache=cache, method="extend")
            return logits[:, -1], cache

        cache = self.network.empty_cache(len(prompt))
        if prompt.shape[1] > 1:
            _, cache = run({"tokens": prompt[:, :-1]}, cache=cache, method="extend")
        choose = likeliest
        if self.temperature > 0:
            one = partial(jax.random.fold_in, jax.random.key(self.seed))
            kept = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
            choose = draws(jax.vmap(one)(x["index"]), **kept)
        number = jnp.arange(vocab or 0)
        return write(
            step,
            cache,
            choose,
            rows=len(prompt),
            length=self.length,
            end=-1 if self.eos is None else self.eos,
            allowed=(number > 0) & (number < (self.words or len(number))),
            first=prompt[:, -1],
        )
