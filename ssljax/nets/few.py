"""One pass of a classifier over labelled, weak and strong views (`ssljax.views.few`)."""

from typing import Any

import jax

from ssljax.nets.chain import Chain, apply_chain, apply_crops

PyTree = Any


def apply_few(
    chain: Chain, params: PyTree, stats: PyTree, x: jax.Array, *, teacher: PyTree | None = None
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], PyTree]:
    """Runs a classifier in training mode on all views together, so that batch norm sees them all.

    Args:
      x: `[B, 1 + 2 r, H, W, C]`: a labelled view, r weak and r strong views of the pool.
      teacher: {"params", "stats"} of another network that gives the weak logits instead, in
        evaluation mode; batch norm sees the weak views all the same.
    Returns: ((labelled `[B, K]`, weak `[B r, K]`, strong `[B r, K]`), new stats); no gradient
      reaches the weak ones.
    """
    logits, stats = apply_crops(chain, params, stats, [x], train=True)
    r = x.shape[1] // 2
    weak, strong = (y.reshape(-1, y.shape[-1]) for y in (logits[:, 1 : 1 + r], logits[:, 1 + r :]))
    if teacher is not None:
        seen = x[:, 1 : 1 + r].reshape(-1, *x.shape[2:])
        weak = apply_chain(chain, teacher["params"], teacher["stats"], seen, train=False)[0]
    return (logits[:, 0], jax.lax.stop_gradient(weak), strong), stats
