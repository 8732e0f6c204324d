"""Text from a causal language model, token by token, with a cache of what was computed before.

Temperature T divides the logits; top-k keeps the k likeliest tokens (Fan et al. 2018,
arXiv:1805.04833); top-p keeps the likeliest ones that together have probability p or more
(Holtzman et al. 2019, arXiv:1904.09751). A text is a function of prompt, settings and seed.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssljax import nets
from ssljax.nets import filter_logits


def sample(
    encoder: nets.GPT2,
    params: Any,
    prompt: np.ndarray,
    *,
    length: int,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    vocab: int | None = None,
) -> Iterator[int]:
    """Yields `length` tokens that go on from `prompt`, each as soon as it is drawn.

    Where the text outgrows the positions of the network, its second half becomes the past.

    Args:
      encoder, params: a GPT-2 and its parameters. prompt: int [N], at least one token.
      temperature: 0 takes the likeliest token. top_k: 0 for all. top_p: 1 for all.
      vocab: tokens that there are; the network may have room for more.
    Raises: ValueError for an empty prompt or settings that make no sense.
    """
    prompt = np.asarray(prompt, np.int32)
    if not prompt.size:
        raise ValueError("the prompt is empty: give at least one character with --prompt")
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1 or length < 1:
        raise ValueError("temperature and top_k must not be negative, top_p in (0, 1], length >= 1")
    run = jax.jit(partial(nets.apply, encoder, train=False, method="extend"))

    @jax.jit
    def draw(logits: jax.Array, key: jax.Array) -> jax.Array:
        logits = jnp.where(jnp.arange(len(logits)) < (vocab or len(logits)), logits, -jnp.inf)
        if temperature == 0:
            return jnp.argmax(logits)
        kept = filter_logits(logits / temperature, top_k=top_k, top_p=top_p)
        return jax.random.categorical(key, kept)

    text, root = list(map(int, prompt)), jax.random.key(seed)
    cache, new, held = encoder.empty_cache(1), text[-encoder.length :], 0
    for i in range(length):
        if held + len(new) > encoder.length:
            cache, new, held = encoder.empty_cache(1), text[-(encoder.length // 2 or 1) :], 0
        x = {"tokens": jnp.asarray([new], jnp.int32)}
        (logits, cache), _ = run(params, {}, x, cache=cache)
        held += len(new)
        token = int(draw(logits[0, -1], jax.random.fold_in(root, i)))
        text.append(token)
        new = [token]
        yield token
