"""CLIP: an image and its text meet in one space, and every other pair of the batch is apart.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021,
arXiv:2103.00020.

    x = g(f(view(image))),  y = g'(f'(text))        L = CLIP(x, y, t) of losses/pairs.py

t, the logarithm of the scale, is learned, and clipped to [0, ln 100] after every update. The two
towers may be any networks, of any two kinds of input: `reads` and `partner_reads` say which leaves
of a batch they take. With `locked` one encoder stays as it is, and only the other learns (LiT: Zhai
et al. 2022, arXiv:2111.07991). Differs from the paper in that captions made of class names may be
equal within a batch: they repel each other all the same, so the loss does not reach zero.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses import pairs
from ssljax.method import Batch, Method, Metrics, State
from ssljax.nets import MLP, ImageTower, TextTower, Tower, two_towers
from ssljax.parts import locked
from ssljax.recipes import Encoding
from ssljax.views import ImageView, clip_crop, show_pair


@dataclass(frozen=True, kw_only=True)
class CLIP(Encoding):
    """CLIP, by default ViT-B/32 and its text tower."""

    encoder: Any = ImageTower()
    """The tower whose features are evaluated and exported."""
    partner: Any = TextTower()
    """The other tower."""
    projector: MLP | None = MLP(widths=(512,), norm=False, output_bias=False)
    """Behind the encoder, into the common space; None: nothing."""
    partner_projector: MLP | None = MLP(widths=(512,), norm=False, output_bias=False)
    view: Any = clip_crop()
    """What the encoder sees of its first leaf; None: the leaf itself."""
    partner_view: Any = None
    reads: tuple[str, ...] = ("image",)
    """Leaves of a batch that the encoder takes: one as an array, several as a dict."""
    partner_reads: tuple[str, ...] = ("tokens",)
    log_scale: float = 2.659260036932778
    """t at the start: ln(1 / 0.07)."""
    chunk: int | None = None
    """Rows that meet the others at a time, on each device, so that no device ever holds the
    similarities of the whole batch; None: it does."""
    locked: Literal["encoder", "partner"] | None = None
    """The encoder that does not learn; it comes pretrained (`ssljax.method.from_pretrained`)."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_towers(self._towers, key, batch)
        return params | {"log_scale": jnp.float32(self.log_scale)}, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        found, stats = nets.run_towers(self._towers, params, extra["stats"], batch, key)
        x, y = found.values()
        t = params["log_scale"]
        if self.chunk is None:
            value = pairs.clip(x, y, t)
        else:
            value = pairs.clip_blocks(x, y, t, chunk=self.chunk)
        group = batch.get("label")
        metrics = {
            "rank_accuracy": pairs.rank_accuracy(x, y, group),
            "rank_accuracy_back": pairs.rank_accuracy(y, x, group),
            "scale": jnp.exp(t),
        }
        return value, (extra | {"stats": stats}, metrics)

    def project(self, params: Any) -> Any:
        """Clips t, as the paper does after every update."""
        return params | {"log_scale": jnp.clip(params["log_scale"], 0.0, pairs.MAX_LOG_SCALE)}

    def pair(self, state: State, batch: Batch) -> dict[str, jax.Array]:
        """Places in the common space, of those sides that the batch holds."""
        return nets.run_towers(self._towers, state.params, state.extra["stats"], batch)[0]

    def inputs(self, batch: Batch) -> Any:
        return nets.tower_inputs(self._towers[0], batch)

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report."""
        if not isinstance(self.view, ImageView):
            return {}
        return show_pair((self.view, self.view), key, batch["image"])

    @property
    def plain_view(self) -> Any:
        """How `embed` prepares an image; an export does the same."""
        return self.view if self.reads == ("image",) else None

    @property
    def networks(self) -> dict[str, Any]:
        """All networks, by the names of their parameters."""
        first, second = self._towers
        return {**first.chain, **second.chain}

    @property
    def _towers(self) -> tuple[Tower, Tower]:
        return two_towers(self)

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        tx = locked(tx, self.locked) if self.locked else tx
        return super().build(tx, updates=updates)
