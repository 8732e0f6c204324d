"""SimGCL: vectors that the graph of users and items has smoothed stay themselves under noise.

Yu et al., "Are Graph Augmentations Necessary? Simple Graph Contrastive Learning for
Recommendation", SIGIR 2022 (arXiv:2112.08679).

    E_l = D^-1/2 A D^-1/2 E_(l-1) (+ sign(E_l) * eps * n / |n|, n uniform, in the two noisy views)
    E = mean of E_1 to E_L
    L = BPR(E) + weight [ NCE(users) + NCE(items) ] + decay |E_0|^2

NCE is between the two views of the users of a batch, and of its items, each the mean over those
that differ. It is the graph of the training data alone, which `refresh` puts into the state:
cadence.refresh must not be 0. Without `weight` this is LightGCN (He et al. 2020, arXiv:2002.02126)
whose first layer is left out.

The weight depends on how dense the graph is. Smoothing over many neighbours makes vectors short,
and what looks at their directions alone then has the larger gradient by the square of that length.
The paper has .5 for Yelp2018, a sparse graph; RecBole's best for MovieLens-1M, a dense one, is 1e-5
for a sum over all users or items of a batch of 4,096, at a temperature of .05: of the order of .02
for a mean. On MovieLens 100K that still outweighs BPR for the first 200 steps, and .001 does not;
with that it has not been run to its end (experiments/rankings_movielens.py).
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import jax
import jax.numpy as jnp

from ssljax.losses.ranking import same_of_two
from ssljax.method import Batch, Metrics, PyTree, State
from ssljax.recipes_interactions import OfRankings


@dataclass(frozen=True, kw_only=True)
class SimGCL(OfRankings):
    """SimGCL, with two layers."""

    layers: int = 2
    """How often vectors are smoothed."""
    noise: float = 0.1
    """Length of the noise that each layer adds in the noisy views."""
    weight: float = 0.001
    """Of the contrastive losses; 0: none, and no noisy views."""
    temperature: float = 0.2
    """Of the contrastive losses."""
    edges: int | None = None
    """Interactions of the training data; None: as many as it has."""

    def filled(self, data: Any) -> Self:
        return replace(super().filled(data), edges=self.edges or len(data))

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        params, extra = super().init(key, batch)
        count = self.edges or 1
        ends = {name: jnp.zeros(count, jnp.int32) for name in ("user", "item")}
        return params, extra | {"graph": ends | {"weight": jnp.zeros(count)}}

    def refresh(self, state: State, data: Any) -> State:
        """The graph of the data, sorted by user, at the start."""
        if int(state.step):
            return state
        user, item = (jnp.asarray(x) for x in data.pairs)
        order = jnp.argsort(user)
        user, item = user[order], item[order]
        degrees = (jnp.bincount(x)[x] for x in (user, item))
        weight = jnp.prod(jnp.stack([d.astype(jnp.float32) ** -0.5 for d in degrees]), axis=0)
        graph = {"user": user, "item": item, "weight": weight}
        return replace(state, extra=state.extra | {"graph": graph})

    def tables(
        self, params: PyTree, extra: PyTree, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Smoothed vectors of all users and items; with a key, noisy ones."""
        of_users, of_items = params["encoder"]["rows"], params["items"]["rows"]
        user, item, weight = (extra["graph"][k] for k in ("user", "item", "weight"))
        weight, kept = jax.lax.stop_gradient(weight)[:, None], []
        for layer in range(self.layers):
            of_users, of_items = (
                jax.ops.segment_sum(
                    weight * of_items[item], user, len(of_users), indices_are_sorted=True
                ),
                jax.ops.segment_sum(weight * of_users[user], item, len(of_items)),
            )
            if key is not None:
                keys = jax.random.split(jax.random.fold_in(key, layer))
                of_users, of_items = (
                    self.noisy(k, x) for k, x in zip(keys, (of_users, of_items), strict=True)
                )
            kept.append((of_users, of_items))
        users, items = (jnp.mean(jnp.stack(x), axis=0) for x in zip(*kept, strict=True))
        return users, items

    def noisy(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """Vectors [N, D] with noise that leaves the signs of their numbers alone."""
        drawn = jax.random.uniform(key, x.shape)
        length = jnp.linalg.norm(drawn, axis=1, keepdims=True)
        return x + jnp.sign(x) * self.noise * drawn / length

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        preferred = self.preferred(params, extra, batch)
        if not self.weight:
            return preferred, (extra, {"preferred": preferred})
        views = [self.tables(params, extra, k) for k in jax.random.split(key)]
        same = jnp.zeros(())
        for side, name in enumerate(("user", "item")):
            one, two = (view[side][batch[name]] for view in views)
            same += same_of_two(one, two, batch[name], temperature=self.temperature)
        return preferred + self.weight * same, (extra, {"preferred": preferred, "same": same})
