"""I-JEPA: predict what a slowly moving encoder says of four blocks of an image from the rest of it.

Assran et al., "Self-Supervised Learning from Images with a Joint-Embedding Predictive
Architecture", 2023, arXiv:2301.08243; blocks, loss and order of updates as in the authors' code.

    h = sg LayerNorm(target(image)) of all patches, then those of the target blocks
    L = mean smooth_l1(head(predictor(encoder(context), places of a block)), h)
    after update k:  target <- m target + (1 - m) encoder,   m = 0.996 + 0.004 k / updates

The target is what is evaluated. Differs from the authors' code: blocks may lie at the last row and
column of the grid, which theirs never reach; contexts are cut down to a fixed length in place of
the shortest in the batch, which is about as long, and shorter ones are filled up and masked; the
encoder has a class token, which the predictor does not see. What a block adds is divided at the
start by sqrt(2 l) in block l, as theirs.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.masked import masked_smooth_l1, standardize
from ssljax.method import Batch, Metrics, State, target_backbone
from ssljax.nets import MLP, Decoder, ViT, vit
from ssljax.recipes import OfImages
from ssljax.views import Blocks, ImageView, crop_and_flip, hide, jepa_blocks, view_batch


@dataclass(frozen=True, kw_only=True)
class IJEPA(OfImages):
    """I-JEPA with the paper's defaults for ViT-B on ImageNet."""

    encoder: ViT = vit("base", positions="sincos", pool="mean")
    predictor: Decoder = Decoder(width=384, depth=6, heads=12)
    view: ImageView = crop_and_flip(scale=(0.3, 1.0), flip=0.0)
    targets: int = 4
    """Target blocks of an image."""
    target_scale: tuple[float, float] = (0.15, 0.2)
    """Area of a target block, as a fraction of the image."""
    target_aspect: tuple[float, float] = (0.75, 1.5)
    """Height of a target block over its width."""
    context_scale: tuple[float, float] = (0.85, 1.0)
    """Area of the context before the targets are cut out of it."""
    context: float = 0.25
    """Patches of the context at most, as a fraction of all; the last rows are dropped first."""
    smallest: int = 10
    """A context must have more patches than this."""
    tau: float = 0.996
    """Decay of the target at update 0; it rises to 1 along a straight line."""

    backbone = staticmethod(target_backbone)

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        keys = jax.random.split(key, 3)
        encoder, stats = nets.init(self.encoder, keys[0], self.view.plain(batch["image"]))
        tokens = jnp.zeros((1, 1, self.encoder.width))
        place = jnp.zeros((1, 1, self.predictor.width))
        predictor, _ = nets.init(self.predictor, keys[1], tokens, places=place, wanted=place)
        head, _ = nets.init(self._head, keys[2], place)
        encoder, predictor = nets.by_depth(encoder), nets.by_depth(predictor)
        target = {"params": {"encoder": encoder}, "stats": {"encoder": stats}}
        params = {"encoder": encoder, "predictor": predictor, "head": head}
        return params, {"stats": {"encoder": stats}, "target": jax.tree.map(jnp.copy, target)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_blocks = jax.random.split(key)
        x = view_batch(self.view, key_view, batch["image"])
        blocks, target = self.blocks(key_blocks, x), extra["target"]
        encode = partial(nets.apply, self.encoder, train=True, method="tokens")
        h, _ = encode(target["params"]["encoder"], target["stats"]["encoder"], x)
        h = jax.lax.stop_gradient(standardize(h[:, 1:]))
        h = jnp.take_along_axis(h[:, None], blocks.targets[..., None], axis=2)
        z = self._predict(params, extra["stats"], x, blocks)
        valid = blocks.targets_valid.reshape(z.shape[:2])
        return masked_smooth_l1(z, h.reshape(z.shape), valid), (extra, {})

    def blocks(self, key: jax.Array, x: jax.Array) -> Blocks:
        """The patches of context and targets for images x [B, H, W, C]."""
        rows, columns = self.encoder.grid(x)
        return jepa_blocks(
            key,
            len(x),
            grid=(rows, columns),
            targets=self.targets,
            target_scale=self.target_scale,
            target_aspect=self.target_aspect,
            context_scale=self.context_scale,
            smallest=self.smallest,
            most=int(self.context * rows * columns),
        )

    def _predict(self, params: Any, stats: Any, x: jax.Array, blocks: Blocks) -> jax.Array:
        """Predictions for each target block of each image, [B * targets, T, D]."""
        encode = partial(nets.apply, self.encoder, train=True, method="tokens")
        context: dict[str, Any] = {"keep": blocks.context, "valid": blocks.context_valid}
        z, _ = encode(params["encoder"], stats["encoder"], x, **context)
        table = nets.sincos_positions(*self.encoder.grid(x), self.predictor.width)
        again = partial(jnp.repeat, repeats=self.targets, axis=0)
        wanted = table[blocks.targets]
        valid = blocks.targets_valid.reshape(-1, wanted.shape[2])
        y, _ = nets.apply(
            self.predictor,
            params["predictor"],
            {},
            again(z[:, 1:]),
            train=True,
            places=again(table[blocks.context]),
            wanted=wanted.reshape(-1, *wanted.shape[2:]),
            valid=jnp.concatenate([again(blocks.context_valid), valid], axis=1),
        )
        return nets.apply(self._head, params["head"], {}, y, train=True)[0]

    @property
    def _head(self) -> MLP:
        return MLP(widths=(self.encoder.width,), norm=False, dtype=self.predictor.dtype)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        tau = schedules.linear(k, updates, start=self.tau, stop=1.0)
        target, online = extra["target"], {"encoder": params["encoder"]}
        moved = optax.incremental_update(online, target["params"], 1 - tau)
        return extra | {"target": target | {"params": moved}}

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: the context, and the targets."""
        x = self.view.plain(batch["image"])
        blocks, image = self.blocks(key, x), jnp.arange(len(x))[:, None]
        rows, columns = self.encoder.grid(x)
        hidden = jnp.ones((len(x), rows * columns), bool)
        pairs = [blocks[:2], [part.reshape(len(x), -1) for part in blocks[2:]]]
        hidden = [hidden.at[image, patches].min(~valid) for patches, valid in pairs]
        shown = jnp.stack([hide(x, mask, patch=self.encoder.patch) for mask in hidden], axis=1)
        return {"views": self.view.denormalize(shown)}
