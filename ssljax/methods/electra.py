"""ELECTRA: a small masked language model fills the gaps, and the encoder tells which are fakes.

Clark, Luong, Le, Manning, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than
Generators", 2020, arXiv:2003.10555; shares and weights as in the authors' code.

    L = L_MLM(generator) + 50 sum_t BCE(D(x')_t, [x'_t is not x_t]) / number of real tokens
    x'_t ~ softmax(generator logits_t) at chosen tokens, without a gradient, and x_t elsewhere

A token that the generator guesses right counts as real. 15% of the tokens are chosen, 85% of those
are hidden from the generator. Both networks share the embeddings of tokens, places and types.
Differs from the authors' code: tokens are chosen without replacement. Features are the mean of the
discriminator's tokens.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import replaced_bce, row_sums, token_nll, weighted_mean
from ssljax.method import Batch, Metrics, State
from ssljax.nets import Bert, RealHead, TokenHead, bert, text_inputs, word_table
from ssljax.recipes import OfTexts
from ssljax.views import Masked, mask_tokens


@dataclass(frozen=True, kw_only=True)
class ELECTRA(OfTexts):
    """ELECTRA with the paper's settings for the base size."""

    encoder: Bert = bert("base")
    """The discriminator."""
    generator: float = 1 / 3
    """Width, heads and feedforward of the generator, as shares of the discriminator's; it is as
    deep."""
    ratio: float = 0.15
    """Share of the tokens that is chosen."""
    hidden: float = 0.85
    """Share of the chosen tokens that is hidden; the rest stays as it is."""
    weight: float = 50.0
    """Of the discriminator's loss."""
    cls: int = 2
    sep: int = 3
    mask: int = 4

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        keys, x = jax.random.split(key, 4), text_inputs(batch)
        encoder, stats = nets.init(self.encoder, keys[0], x)
        small, _ = nets.init(self._generator, keys[1], x)
        del small["embeddings"]  # those of the encoder
        states = jnp.zeros((1, 1, self._generator.width))
        guess, _ = nets.init(self._guess, keys[2], states, table=word_table(encoder)[:1])
        real, _ = nets.init(RealHead(), keys[3], jnp.zeros((1, 1, self.encoder.width)))
        params = {"encoder": encoder, "generator": small, "guess": guess, "real": real}
        return params, {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_mask, key_sample, key_g, key_d = jax.random.split(key, 4)
        keys = jax.random.split(key_mask, len(batch["tokens"]))
        hidden, logits, target = self._generate(params, batch, keys, key_g)
        masked = weighted_mean(token_nll(logits, target), hidden.weight)
        fake = self._fake(key_sample, hidden, logits, batch["tokens"])
        replaced, real = fake != batch["tokens"], batch["segments"] > 0
        guess = self._discriminate(params, text_inputs(batch) | {"tokens": fake}, key_d)
        told = replaced_bce(guess, replaced, real.astype(jnp.float32))
        metrics = {
            "masked_loss": masked,
            "real_loss": told,
            "real_accuracy": weighted_mean((guess > 0) == replaced, real),
            "always_real_accuracy": weighted_mean(~replaced, real),  # the floor under it
            "masked_accuracy": weighted_mean(jnp.argmax(logits, -1) == target, hidden.weight),
        }
        return masked + self.weight * told, (extra, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """How well fakes are told; a row's masks and fakes are a function of its index."""
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(batch["index"])
        hidden, logits, _ = self._generate(state.params, batch, keys, None)
        fake = jax.vmap(self._fake)(keys, hidden, logits, batch["tokens"])
        guess = self._discriminate(state.params, text_inputs(batch) | {"tokens": fake}, None)
        replaced, real = fake != batch["tokens"], batch["segments"] > 0
        right = (guess > 0) == replaced
        return {
            "real_accuracy": row_sums(right, real),
            "always_real_accuracy": row_sums(~replaced, real),
        }

    def _generate(
        self, params: Any, batch: Batch, keys: jax.Array, key: jax.Array | None
    ) -> tuple[Masked, jax.Array, jax.Array]:
        """(masked rows, logits [B, P, V], what is hidden [B, P])."""
        tokens = batch["tokens"]
        able = (batch["segments"] > 0) & (tokens != self.cls) & (tokens != self.sep)
        fields = {"ratio": self.ratio, "split": (self.hidden, 0.0), "mask": self.mask}
        hide = partial(mask_tokens, vocab=self.encoder.vocab, **fields)
        hidden = jax.vmap(hide)(keys, tokens, able)
        x, embeddings = text_inputs(batch) | {"tokens": hidden.tokens}, params["encoder"]
        whole = params["generator"] | {"embeddings": embeddings["embeddings"]}
        states = self._run(self._generator, whole, x, key)
        chosen = jnp.take_along_axis(states, hidden.positions[..., None], axis=1)
        table = word_table(embeddings)
        logits, _ = nets.apply(self._guess, params["guess"], {}, chosen, train=True, table=table)
        return hidden, logits, jnp.take_along_axis(tokens, hidden.positions, axis=1)

    def _fake(
        self, key: jax.Array, hidden: Masked, logits: jax.Array, tokens: jax.Array
    ) -> jax.Array:
        """Rows [..., L] whose chosen tokens are drawn by the generator; no gradient."""
        drawn = jax.random.categorical(key, jax.lax.stop_gradient(logits)).astype(tokens.dtype)
        old = jnp.take_along_axis(tokens, hidden.positions, axis=-1)
        drawn = jnp.where(hidden.weight > 0, drawn, old)
        return jnp.put_along_axis(tokens, hidden.positions, drawn, axis=-1, inplace=False)

    def _discriminate(self, params: Any, x: Batch, key: jax.Array | None) -> jax.Array:
        """Logits [B, L], above 0 for fakes."""
        states = self._run(self.encoder, params["encoder"], x, key)
        head = RealHead(dtype=self.encoder.dtype)
        return nets.apply(head, params["real"], {}, states, train=True)[0]

    def _run(self, net: Bert, params: Any, x: Batch, key: jax.Array | None) -> jax.Array:
        training = key is not None
        rngs = {"dropout": key} if training else None
        return nets.apply(net, params, {}, x, train=training, rngs=rngs, method="tokens")[0]

    @property
    def networks(self) -> dict[str, Any]:
        """All networks, by the names of their parameters; the generator lacks its embeddings."""
        real = RealHead(dtype=self.encoder.dtype)
        guess = {"generator": self._generator, "guess": self._guess}
        return {"encoder": self.encoder, **guess, "real": real}

    @property
    def _generator(self) -> Bert:
        net, share = self.encoder, self.generator
        heads = max(1, round(net.heads * share))
        width = round(net.width * share / heads) * heads
        narrow = net.embedding_width or net.width
        hidden = round(net.hidden * share)
        return net.clone(embedding_width=narrow, width=width, heads=heads, hidden=hidden)

    @property
    def _guess(self) -> TokenHead:
        return TokenHead(vocab=self.encoder.vocab, eps=self.encoder.eps, dtype=self.encoder.dtype)
