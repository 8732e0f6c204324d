"""SigLIP: each pair of an image and a text is judged by itself, partners or not.

Zhai, Mustafa, Kolesnikov, Beyer, "Sigmoid Loss for Language Image Pre-Training", 2023,
arXiv:2303.15343.

    x = f(view(image)),  y = g'(f'(text))           L = SigLIP(x, y, t, b) of losses/pairs.py

t and b, logarithm of the scale and bias, are learned; b starts at -10, so that the many pairs that
are none cost little at first. Towers, what they read, and `locked` (LiT) are those of CLIP; equal
captions within a batch count as no partners, as in the paper.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses import pairs
from ssljax.method import Batch, Method, Metrics, State
from ssljax.nets import MLP, Tower, siglip_image, siglip_text, two_towers
from ssljax.parts import locked
from ssljax.recipes import Encoding
from ssljax.views import ImageView, plain_only, show_pair


@dataclass(frozen=True, kw_only=True)
class SigLIP(Encoding):
    """SigLIP, by default ViT-B/16 and its text tower."""

    encoder: Any = siglip_image()
    """The tower whose features are evaluated and exported."""
    partner: Any = siglip_text()
    """The other tower."""
    projector: MLP | None = None
    """Behind the encoder, into the common space; None: nothing."""
    partner_projector: MLP | None = MLP(widths=(768,), norm=False)
    view: Any = plain_only(size=224, mean=(0.5,), std=(0.5,))
    """What the encoder sees of its first leaf; None: the leaf itself."""
    partner_view: Any = None
    reads: tuple[str, ...] = ("image",)
    """Leaves of a batch that the encoder takes: one as an array, several as a dict."""
    partner_reads: tuple[str, ...] = ("tokens",)
    log_scale: float = 2.302585092994046
    """t at the start: ln 10."""
    bias: float = -10.0
    """b at the start."""
    chunk: int | None = None
    """Rows that meet the others at a time, on each device, so that no device ever holds the
    similarities of the whole batch; None: it does."""
    locked: Literal["encoder", "partner"] | None = None
    """The encoder that does not learn; it comes pretrained (`ssljax.method.from_pretrained`)."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_towers(self._towers, key, batch)
        scalars = {"log_scale": jnp.float32(self.log_scale), "bias": jnp.float32(self.bias)}
        return params | scalars, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        found, stats = nets.run_towers(self._towers, params, extra["stats"], batch, key)
        x, y = found.values()
        t, b = params["log_scale"], params["bias"]
        if self.chunk is None:
            value = pairs.siglip(x, y, t, b)
        else:
            value = pairs.siglip_blocks(x, y, t, b, chunk=self.chunk)
        group = batch.get("label")
        metrics = {
            "rank_accuracy": pairs.rank_accuracy(x, y, group),
            "rank_accuracy_back": pairs.rank_accuracy(y, x, group),
            "scale": jnp.exp(t),
            "bias": b,
        }
        return value, (extra | {"stats": stats}, metrics)

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
