"""BERT and its relatives: transformers in which every token sees every other of its document.

Devlin, Chang, Lee, Toutanova 2018, arXiv:1810.04805: learned positions, a norm behind each
shortcut (post-LN), the exact GELU. RoBERTa (Liu et al. 2019, arXiv:1907.11692) is the same network
whose positions start at 2, with one token type; ELECTRA (Clark et al. 2020, arXiv:2003.10555) has
embeddings narrower than the network. Parameters have the names of Hugging Face transformers.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import known_vocab
from ssljax.nets.bert_layers import Embeddings, Layers, dense, norm
from ssljax.nets.blocks import ACTIVATIONS, Activation, check_activation

_SIZES = {
    "tiny": (128, 2, 2),
    "mini": (256, 4, 4),
    "small": (512, 4, 8),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}


def text_inputs(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What networks of text read of a batch: tokens and segments, and token types if there are."""
    return {k: batch[k] for k in ("tokens", "segments", "types") if k in batch}


def segments_of(x: dict[str, jax.Array]) -> jax.Array:
    """Segments of an input, int32 [B, L]: one without padding where it names none."""
    return x["segments"] if "segments" in x else jnp.ones_like(x["tokens"])


def places_of(segments: jax.Array) -> jax.Array:
    """Places of tokens in their own document, int32 [B, L], counted from 0 in each segment."""
    at = jnp.arange(segments.shape[1])
    first = jnp.concatenate(
        [jnp.ones_like(segments[:, :1], bool), segments[:, 1:] != segments[:, :-1]], axis=1
    )
    return at - jax.lax.cummax(jnp.where(first, at, 0), axis=1)


def mean_tokens(tokens: jax.Array, segments: jax.Array) -> jax.Array:
    """Mean of the tokens [B, L, D] that are not padding: [B, D] float32."""
    real = (segments > 0).astype(jnp.float32)[..., None]
    return jnp.sum(tokens.astype(jnp.float32) * real, 1) / jnp.maximum(jnp.sum(real, 1), 1.0)


def check_tokens(x: Any, *, length: int, network: str) -> None:
    """Raises ValueError unless x is {"tokens": int [B, L]} with L up to `length`."""
    if not isinstance(x, dict) or "tokens" not in x:
        raise ValueError(f'{network} takes {{"tokens": int [B, L], "segments": int [B, L]}}')
    tokens = x["tokens"]
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise ValueError(
            f"{network} takes integer tokens [B, L], got {tokens.dtype} {tokens.shape}"
        )
    if tokens.shape[1] > length:
        raise ValueError(
            f"rows of {tokens.shape[1]} tokens, but this {network} has positions for {length}: "
            "shorten --reader.length or lengthen --method.encoder.length"
        )


class Bert(nn.Module):
    """{"tokens": int [B, L], "segments": int [B, L], "types": int [B, L]} -> [B, width] float32.

    `segments` numbers the documents of a row from 1, 0 is padding; without it a row is one
    document. `types` tells the two parts of a pair apart, 0 without it. Training needs
    rngs={"dropout": key} where a rate is above 0. Raises: ValueError for other input.
    """

    vocab: int | None = 30522
    """Size of the vocabulary; None: that of the reader (`Experiment.filled`)."""
    width: int = 768
    """Width of a token."""
    depth: int = 12
    """Number of layers."""
    heads: int = 12
    """Attention heads; the width must be divisible by it."""
    hidden: int = 3072
    """Hidden width of the feedforward parts."""
    length: int = 512
    """Positions: the longest row."""
    types: int = 2
    """Token types: 2 in BERT, 1 in RoBERTa."""
    first_position: int = 0
    """Number of the first position: 0 in BERT, 2 in RoBERTa."""
    embedding_width: int | None = None
    """Width of the embeddings, if not that of a token: 128 in ELECTRA-Small."""
    eps: float = 1e-12
    """Of the norms: 1e-12 in BERT, 1e-5 in RoBERTa."""
    activation: Activation = "gelu"
    """Of the feedforward parts; "gelu" is the exact one."""
    dropout: float = 0.1
    """Rate behind embeddings and linear layers."""
    attention_dropout: float = 0.1
    """Rate on attention weights; above 0 attention cannot use a fused kernel."""
    pool: Literal["mean", "cls"] = "mean"
    """The features: the mean of the tokens without padding, or the first token."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        if self.pool not in ("mean", "cls"):
            raise ValueError(f"Bert has no pool {self.pool!r}: choose 'mean' or 'cls'")
        tokens = self._run(x, train)[-1]
        if self.pool == "cls":
            return tokens[:, 0].astype(jnp.float32)
        return mean_tokens(tokens, segments_of(x))

    def tokens(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """All tokens after the last layer: [B, L, width] float32."""
        return self._run(x, train)[-1].astype(jnp.float32)

    def layers(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """Embeddings and the outputs of all layers: [1 + depth, B, L, width] float32."""
        return jnp.stack(self._run(x, train)).astype(jnp.float32)

    @nn.compact
    def _run(self, x: dict[str, jax.Array], train: bool) -> list[jax.Array]:
        check_tokens(x, length=self.length, network="Bert")
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
        check_activation(self.activation)
        segments = segments_of(x)
        narrow = self.embedding_width or self.width
        h = Embeddings(
            vocab=known_vocab(self.vocab, "Bert"),
            width=narrow,
            positions=self.length + self.first_position,
            types=self.types,
            eps=self.eps,
            dropout=self.dropout,
            dtype=self.dtype,
            name="embeddings",
        )(
            x["tokens"],
            places_of(segments) + self.first_position,
            x.get("types", jnp.zeros_like(segments)),
            train,
        )
        if narrow != self.width:
            h = dense(self.width, self.dtype, "embeddings_project")(h)
        layer = {
            "heads": self.heads,
            "hidden": self.hidden,
            "activation": self.activation,
            "eps": self.eps,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "dtype": self.dtype,
        }
        return Layers(self.depth, layer, name="encoder")(h, segments, train)


class TokenHead(nn.Module):
    """Predicts tokens: [..., width] -> logits [..., V] float32, by the embeddings of the words.

    A linear layer, GELU and a norm, then products with the `table` of the encoder [V, E], which is
    where its rows are learned too, plus a bias (BERT, Devlin et al. 2018).
    """

    vocab: int | None = 30522
    """Size of the vocabulary, V; None while that of the encoder is open."""
    eps: float = 1e-12
    """Of the norm."""
    activation: Activation = "gelu"
    """Before the norm."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, *, table: jax.Array) -> jax.Array:
        del train
        y = ACTIVATIONS[self.activation](dense(table.shape[1], self.dtype, "dense")(x))
        y = norm(self.eps, self.dtype)(y)
        bias = self.param("bias", nn.initializers.zeros, (self.vocab,))
        return tied_logits(y, table, self.dtype) + bias


class Pooler(nn.Module):
    """The first token through a linear layer and tanh: tokens [B, L, width] -> [B, width]."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        del train
        y = dense(x.shape[-1], self.dtype, "dense")(x[:, 0])
        return jnp.tanh(y).astype(jnp.float32)


class RealHead(nn.Module):
    """ELECTRA's question to each token, whether it was replaced: [..., width] -> logits [...]."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        del train
        y = jax.nn.gelu(dense(x.shape[-1], self.dtype, "dense")(x), approximate=False)
        return dense(1, self.dtype, "dense_prediction")(y)[..., 0].astype(jnp.float32)


def _tied_logits(x: jax.Array, table: jax.Array, dtype: str) -> jax.Array:
    """Products of states [..., D] with the embeddings of all words [V, D]: [..., V] float32.

    The gradient of the logits is rounded to `dtype` too, and what is made of it is summed in
    float32: as float32 it is the largest array of a language model.
    """
    x, table = x.astype(dtype), table.astype(dtype)
    return jnp.einsum("...d,vd->...v", x, table, preferred_element_type=jnp.float32)


def _logits_forward(x: jax.Array, table: jax.Array, dtype: str) -> tuple[jax.Array, tuple]:
    return _tied_logits(x, table, dtype), (x, table)


def _logits_backward(dtype: str, kept: tuple, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, table = kept
    grad, flat = grad.astype(dtype), x.astype(dtype)
    dx = jnp.einsum("...v,vd->...d", grad, table.astype(dtype), preferred_element_type=jnp.float32)
    dtable = jnp.einsum("...v,...d->vd", grad, flat, preferred_element_type=jnp.float32)
    return dx.astype(x.dtype), dtable.astype(table.dtype)


tied_logits = jax.custom_vjp(_tied_logits, nondiff_argnums=(2,))
tied_logits.defvjp(_logits_forward, _logits_backward)


def word_table(params: Any) -> jax.Array:
    """Embeddings of the words [V, E] in the parameters of a `Bert` or a `GPT2`."""
    words = params["wte"] if "wte" in params else params["embeddings"]["word_embeddings"]
    return words["embedding"]


def bert(size: Literal["tiny", "mini", "small", "base", "large"], **fields: Any) -> Bert:
    """A BERT of a usual size (Turc et al. 2019, arXiv:1908.08962, for the small ones).

    `fields` are further fields of it. Raises: ValueError for another size.
    """
    if size not in _SIZES:
        raise ValueError(f"there is no BERT size {size!r}: choose one of {', '.join(_SIZES)}")
    width, depth, heads = _SIZES[size]
    usual: dict[str, Any] = {"width": width, "depth": depth, "heads": heads, "hidden": 4 * width}
    return Bert(**usual | fields)


def roberta(size: Literal["base", "large"], **fields: Any) -> Bert:
    """A RoBERTa: a BERT with its vocabulary, positions from 2 and one token type."""
    usual = {"vocab": 50265, "types": 1, "first_position": 2, "eps": 1e-5}
    return bert(size, **usual | fields)
