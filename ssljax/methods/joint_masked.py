"""Joint masked model: one transformer fills in what is hidden of both an image and its text.

Geng, Liu, Lee, Schuurmans, Levine, Abbeel, "Multimodal Masked Autoencoders Learn Transferable
Representations", 2022, arXiv:2205.14204.

    L = MSE(pixels of hidden patches) + weight * CE(hidden tokens)

Three quarters of the patches and of the tokens are hidden, so that words help to draw and pixels
help to read. Differs from the paper: what is hidden is replaced by a token and not left out, and
there is no decoder, only a linear head for pixels and BERT's for tokens (see `nets/joint.py`).
Features are the class token of an image without text.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import row_sums, token_nll, weighted_mean
from ssljax.losses.masked import masked_mse, patchify, unpatchify
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, JointViT, TokenHead
from ssljax.recipes import OfImages
from ssljax.views import ImageView, crop_and_flip, hide, mask_tokens, square_masks, view_batch


@dataclass(frozen=True, kw_only=True)
class JointMasked(OfImages):
    """The joint masked model; special tokens are numbered as `ssljax.data.Text` does."""

    encoder: JointViT = JointViT()
    view: ImageView = crop_and_flip(scale=(0.2, 1.0))
    ratio: float = 0.75
    """Share of the patches that is hidden."""
    text_ratio: float = 0.75
    """Share of the tokens that is hidden, without the special ones."""
    weight: float = 0.1
    """Of the loss on tokens."""
    cls: int = 2
    sep: int = 3
    mask: int = 4

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        keys = jax.random.split(key, 3)
        x = self.view.plain(batch["image"])
        encoder, stats = nets.init(self.encoder, keys[0], self._plain(batch))
        token = jnp.zeros((1, self.encoder.width))
        pixels, _ = nets.init(self._pixels(x), keys[1], token)
        words, _ = nets.init(self._words, keys[2], token, table=self._table(encoder)[:1])
        params = {"encoder": encoder, "pixels": pixels, "words": words}
        return params, {"stats": {"encoder": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_patch, key_text = jax.random.split(key, 3)
        x = view_batch(self.view, key_view, batch["image"])
        hidden = self._hidden(key_patch, x)
        keys = jax.random.split(key_text, len(x))
        drawn, logits, target, weight = self._predict(params, x, hidden, batch, keys)
        assert drawn is not None  # images went in
        image = masked_mse(drawn, patchify(x, self.encoder.patch), hidden)
        text = weighted_mean(token_nll(logits, target), weight)
        right = weighted_mean(jnp.argmax(logits, axis=-1) == target, weight)
        metrics = {"image_loss": image, "text_loss": text, "masked_accuracy": right}
        return image + self.weight * text, (extra, metrics)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Nats and accuracy a hidden token beside the whole image, and accuracy without it; masks
        are a function of a row's index.
        """
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(batch["index"])
        x = self.view.plain(batch["image"])
        _, logits, target, weight = self._predict(state.params, x, None, batch, keys)
        _, blind, _, _ = self._predict(state.params, None, None, batch, keys)
        return {
            "loss": row_sums(token_nll(logits, target), weight),
            "masked_accuracy": row_sums(jnp.argmax(logits, axis=-1) == target, weight),
            "masked_accuracy_blind": row_sums(jnp.argmax(blind, axis=-1) == target, weight),
        }

    def _hidden(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """Which patches are hidden, bool [B, N]."""
        return square_masks(key, len(x), grid=self.encoder.grid(x), square=1, ratio=self.ratio)

    def _predict(
        self, params: Any, x: jax.Array | None, hidden: Any, batch: Batch, keys: jax.Array
    ) -> tuple[jax.Array | None, jax.Array, jax.Array, jax.Array]:
        """(pixels of all patches [B, N, D]; logits [B, P, V], targets and weights [B, P] of hidden
        tokens). x: images or None; hidden: bool [B, N] or None; keys: one a row, for its tokens.
        """
        tokens, segments = batch["tokens"], batch["segments"]
        able = (segments > 0) & (tokens != self.cls) & (tokens != self.sep)
        options = {"ratio": self.text_ratio, "split": (1.0, 0.0), "mask": self.mask}
        rows = jax.vmap(partial(mask_tokens, vocab=self.encoder.vocab, **options))(
            keys, tokens, able
        )
        inputs = {"image": x, "hidden": hidden, "tokens": rows.tokens, "segments": segments}
        inputs = {k: v for k, v in inputs.items() if v is not None}
        run = partial(nets.apply, self.encoder, train=True, method="tokens")
        states, _ = run(params["encoder"], {}, inputs)
        drawn = None
        if x is not None:
            patches = states[:, 1 : -tokens.shape[1]]
            drawn, _ = nets.apply(self._pixels(x), params["pixels"], {}, patches, train=True)
        words = states[:, -tokens.shape[1] :]
        words = jnp.take_along_axis(words, rows.positions[..., None], axis=1)
        table = self._table(params["encoder"])
        logits, _ = nets.apply(self._words, params["words"], {}, words, train=True, table=table)
        target = jnp.take_along_axis(tokens, rows.positions, axis=1)
        return drawn, logits, target, rows.weight

    def _plain(self, batch: Batch) -> dict[str, jax.Array]:
        image = {"image": self.view.plain(batch["image"])}
        return image | {k: batch[k] for k in ("tokens", "segments")}

    def _pixels(self, x: jax.Array) -> MLP:
        pixels = self.encoder.patch**2 * x.shape[-1]
        return MLP(widths=(pixels,), norm=False, dtype=self.encoder.dtype)

    @property
    def _words(self) -> TokenHead:
        net = self.encoder
        return TokenHead(vocab=net.vocab, eps=net.eps, dtype=net.dtype)

    def _table(self, encoder: Any) -> jax.Array:
        """Embeddings of the words, [V, D]."""
        return encoder["token_embed"]["embedding"]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: the image with its hidden patches, and these drawn."""
        x, patch = self.view.plain(batch["image"]), self.encoder.patch
        hidden, keys = self._hidden(key, x), jax.random.split(key, len(x))
        drawn = self._predict(state.params, x, hidden, batch, keys)[0]
        assert drawn is not None  # images went in
        mixed = jnp.where(hidden[..., None], drawn, patchify(x, patch))
        drawn = unpatchify(mixed, patch, height=x.shape[1], width=x.shape[2])
        shown = jnp.stack([hide(x, hidden, patch=patch), drawn], axis=1)
        return {"views": self.view.denormalize(shown)}
