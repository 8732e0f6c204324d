"""DeepCluster v2: cluster the embeddings of all images, then let every crop predict the cluster.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", 2020,
arXiv:2006.09882, appendix D; constants and order of operations as in the authors' code.

    every epoch, for each head h:   c_h, a_h = spherical k-means of the memory of crop h mod 2
    z = n(g(f(crop))),      L = mean over heads, crops of -log softmax(z c_h^T / T)[a_h(image)]
    memory of the image <- z of its two large crops

The memory holds the embedding that each image had when it was last in a batch, so clustering costs
no pass over the data; only the first one fills it. Centroids are no parameters: no gradient moves
them. `refresh` does it (cadence.refresh: the steps of an epoch); before the first one no image has
a cluster and the loss is zero. Differs from the authors' code: an empty cluster moves to the
embedding farthest from its own centroid, where theirs stays empty.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssljax import nets
from ssljax.clustering import kmeans
from ssljax.losses.clusters import assigned
from ssljax.losses.normalize import l2_normalize
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfCrops
from ssljax.views import MultiCrop, multi_crop, simclr_imagenet, view_batch

_BATCH = 512  # of the pass that fills the memory


@dataclass(frozen=True, kw_only=True)
class DeepCluster(OfCrops):
    """DeepCluster v2 with the authors' defaults for ImageNet."""

    examples: int = 1_281_167
    """Images of the training data, or more: the memory has a row for each."""
    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 128))
    crops: MultiCrop = multi_crop(simclr_imagenet(), split=0.14)
    """The two large crops are remembered; all crops predict."""
    prototypes: tuple[int, ...] = (3000, 3000, 3000)
    """Clusters of each head."""
    temperature: float = 0.1
    iterations: int = 10
    """Of k-means, from random rows."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        nets_key, *keys = jax.random.split(key, 1 + len(self.prototypes))
        params, stats = nets.init_chain(self.chain, nets_key, self.plain_view.plain(batch["image"]))
        dim = self.projector.widths[-1]
        extra = {
            "stats": stats,
            "memory": jnp.zeros((2, self.examples, dim)),
            "assignments": jnp.full((len(self.prototypes), self.examples), -1, jnp.int32),
            "centroids": {
                str(h): l2_normalize(jax.random.normal(k, (count, dim)))
                for h, (k, count) in enumerate(zip(keys, self.prototypes, strict=True))
            },
        }
        return params, extra

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        z, stats = self._embeddings(params, extra["stats"], batch["image"], key)
        index, frozen = batch["index"], jax.lax.stop_gradient
        losses, accuracies = [], []
        for h in range(len(self.prototypes)):
            centroids = frozen(extra["centroids"][str(h)])
            scores = jnp.einsum("bvd,kd->bvk", z, centroids, precision=jax.lax.Precision.HIGHEST)
            value, accuracy = assigned(
                scores, extra["assignments"][h, index], temperature=self.temperature
            )
            losses.append(value)
            accuracies.append(accuracy)
        newest = jnp.swapaxes(frozen(z[:, :2]), 0, 1)
        memory = frozen(extra["memory"]).at[:, index].set(newest)
        metrics = {"accuracy": jnp.mean(jnp.stack(accuracies))}
        return jnp.mean(jnp.stack(losses)), (extra | {"stats": stats, "memory": memory}, metrics)

    def refresh(self, state: State, data: Any) -> State:
        """Clusters the memory, a function of the state and the data alone: a resumed run repeats
        it exactly. Raises: ValueError where the data has more examples than the memory."""
        if len(data) > self.examples:
            raise ValueError(f"{len(data)} examples, but --method.examples is {self.examples}")
        step, memory = int(state.step), state.extra["memory"]
        if step == 0:
            memory = self._fill(state, data)
        assignments = np.full((len(self.prototypes), self.examples), -1, np.int32)
        centroids = {}
        for h, count in enumerate(self.prototypes):
            key = jax.random.fold_in(jax.random.key(h), step)
            found = kmeans(
                memory[h % 2, : len(data)],
                count,
                key=key,
                start="random",
                iterations=self.iterations,
                tol=0,
                spherical=True,
            )
            centroids[str(h)] = found.centroids
            assignments[h, : len(data)] = found.assignments
        found = {
            "memory": jnp.asarray(memory),
            "assignments": jnp.asarray(assignments),
            "centroids": centroids,
        }
        return State(state.step, state.params, state.opt, state.extra | found)

    def answer(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, K]` of the clusters of the first head."""
        x, stats = self.plain_view.plain(batch["image"]), state.extra["stats"]
        z = nets.apply_chain(self.chain, state.params, stats, x, train=False)[0]
        return l2_normalize(z) @ state.extra["centroids"]["0"].T / self.temperature

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    def _embeddings(self, params: Any, stats: Any, images: jax.Array, key: jax.Array) -> tuple:
        """Unit embeddings [B, V, D] of all crops in training mode, and the new stats."""
        crops = view_batch(self.crops, key, images)
        z, stats = nets.apply_crops(self.chain, params, stats, crops, train=True)
        return l2_normalize(z), stats

    def _fill(self, state: State, data: Any) -> np.ndarray:
        """The memory after one pass over the data, in training mode as the authors do it."""
        memory = np.zeros(state.extra["memory"].shape, np.float32)
        run = jax.jit(lambda *arguments: self._embeddings(*arguments)[0][:, :2])
        for i, rows in enumerate(data.once(min(_BATCH, len(data)))):
            key = jax.random.fold_in(jax.random.key(0), i)
            z = np.asarray(run(state.params, state.extra["stats"], rows["image"], key))
            index, real = rows["index"], rows["mask"]
            memory[:, index[real]] = np.swapaxes(z[real], 0, 1)
        return memory
