"""Families of methods on interactions: what all that learn what users think of items share, or
what they should see first."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.ranking import bpr, first_k
from ssljax.method import Batch, Metrics, PyTree, Recipe, State
from ssljax.nets import FieldVectors, Vectors

_MULTIPLE = 128


@dataclass(frozen=True, kw_only=True)
class OfFields(Recipe):
    """A rating, or the logit of a click, from the fields of a user and an item.

    A method says how fields make a logit; here it is the sum of a number for each. The encoder is
    the table of all features, the first column of which is that number. It is dense: an optimizer
    such as Adam moves all rows in every step, also those that a batch lacks. At the size of
    MovieLens 100K (2,669 rows of 17) that is less than what a small network beside it costs; large
    tables are split over devices by `Parallel(fsdp=True)`, and so is what the optimizer keeps.
    """

    features: int | None = None
    """How many features there are; None: as many as the data has."""
    sizes: tuple[int, ...] | None = None
    """Slots of each field; None: those of the data."""
    scale: tuple[float, float] | None = None
    """Lowest and highest rating; None: those of the data."""
    decay: float = 0.0
    """Of the squares of the vectors of fields: for each example their sum times this is added."""

    @property
    def factors(self) -> int:
        """Numbers of a feature beside the first."""
        return 0

    @property
    def encoder(self) -> Any:
        # A multiple of 128, so that many devices can share the rows evenly; the last are not used.
        count = -(-(self.features or 1) // _MULTIPLE) * _MULTIPLE
        return FieldVectors(count=count, width=1 + self.factors, sizes=self.sizes or (1,))

    def filled(self, data: Any) -> Self:
        if (here := getattr(data, "catalogue", None)) is None:  # `check` says what data is right
            return self
        return replace(
            self,
            features=self.features or len(here.features),
            sizes=self.sizes or here.sizes,
            scale=self.scale or here.scale,
        )

    def check(self, data: Any) -> None:
        if "feature" not in data.spec or not {"rating", "clicked"} & set(data.spec):
            raise ValueError(
                "this method learns ratings or clicks: use data interactions:PATH, read by "
                'Interactions(learn="rating") or "click"'
            )

    def inputs(self, batch: Batch) -> PyTree:
        return {name: batch[name] for name in ("feature", "amount")}

    def fields(self, params: PyTree, batch: Batch) -> jax.Array:
        """[B, fields, 1 + factors]"""
        return nets.apply(self.encoder, params["encoder"], {}, self.inputs(batch), train=False)[0]

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        params, _ = nets.init(self.encoder, key, self.inputs(batch))
        params = {"encoder": params, "bias": {"logit": jnp.zeros(())}}
        return params, {"stats": {"encoder": {}}}

    def embed(self, state: State, batch: Batch) -> jax.Array:
        fields = self.fields(state.params, batch)
        return fields.reshape(len(fields), -1)

    def logits(
        self, params: PyTree, stats: PyTree, fields: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, PyTree]:
        """(logits [B], new statistics) of fields [B, fields, 1 + factors]; key: in training."""
        del key
        return params["bias"]["logit"] + fields[..., 0].sum(1), stats

    def rating(self, logit: jax.Array) -> jax.Array:
        """Logits as ratings: 0 is the middle of the scale, -1 and 1 are its ends."""
        low, high = self.scale or (-1.0, 1.0)
        return (low + high) / 2 + (high - low) / 2 * logit

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        fields = self.fields(params, batch)
        logit, stats = self.logits(params, extra["stats"], fields, key)
        if "clicked" in batch:
            values = optax.sigmoid_binary_cross_entropy(logit, batch["clicked"])
        else:
            values = (self.rating(logit) - batch["rating"]) ** 2
        penalty = self.decay * jnp.sum(fields**2, axis=(1, 2))
        return jnp.mean(values + penalty), (extra | {"stats": stats}, {"answers": values.mean()})

    def predict(self, state: State, batch: Batch) -> jax.Array:
        """Ratings within the scale, or logits of clicks, [B, 1]."""
        fields = self.fields(state.params, batch)
        logit, _ = self.logits(state.params, state.extra["stats"], fields, None)
        if "clicked" not in batch:
            logit = jnp.clip(self.rating(logit), *(self.scale or (None, None)))
        return logit[:, None]

    def offer(self, state: State, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """(answers [B], vectors [B, D] of the items) of a user with items, for recommendations.

        The vectors are those of the fields that differ within the batch, as it has but one user.
        """
        fields = self.fields(state.params, batch)[..., 1 if self.factors else 0 :]
        moved = fields - fields[:1]
        differs = jnp.any(moved != 0, axis=(0, 2), keepdims=True)
        return self.predict(state, batch)[:, 0], jnp.where(differs, fields, 0).reshape(
            len(fields), -1
        )


@dataclass(frozen=True, kw_only=True)
class Ranks(Recipe):
    """Scores of all items for a user, of which the first are looked at."""

    items: int | None = None
    """How many there are; None: as many as the data has."""
    first: ClassVar[int] = 10
    """How many of a ranking are scored."""

    @abstractmethod
    def scores(self, state: State, batch: Batch) -> jax.Array:
        """[B, items], for the users of a batch."""

    @abstractmethod
    def item_vectors(self, state: State) -> jax.Array:
        """Vectors of all items as scores read them [items, D]."""

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """The first ten among all items but those that were seen before."""
        found = first_k(self.scores(state, batch), batch["wanted"], batch["seen"], k=self.first)
        return {name: (values, jnp.ones(len(values))) for name, values in found.items()}

    def offer(self, state: State, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """(scores [items], vectors [items, D]) of all items for the one user of a batch."""
        one = {name: leaf[:1] for name, leaf in batch.items()}
        return self.scores(state, one)[0], self.item_vectors(state)


@dataclass(frozen=True, kw_only=True)
class OfRankings(Ranks):
    """What a user should see first: users and items have vectors, and a score is their product.

    The encoder is the table of the users; a feature is the vector of a user as scores read it.
    """

    width: int = 64
    """Numbers of a vector."""
    users: int | None = None
    """How many there are; None: as many as the data has."""
    decay: float = 0.0
    """Of the squares of the vectors of a batch: for each interaction their sum times this."""

    @property
    def encoder(self) -> Any:
        return Vectors(count=self.users or 1, width=self.width)

    @property
    def item_table(self) -> Any:
        """The vectors of the items."""
        return Vectors(count=self.items or 1, width=self.width)

    def filled(self, data: Any) -> Self:
        if (here := getattr(data, "catalogue", None)) is None:
            return self
        users, items = self.users or len(here.users), self.items or len(here.items)
        return replace(self, users=users, items=items)

    def check(self, data: Any) -> None:
        if "item" not in data.spec or "negative" not in data.spec:
            raise ValueError(
                "this method learns rankings: use data interactions:PATH, read by "
                'Interactions(learn="rank")'
            )

    def inputs(self, batch: Batch) -> PyTree:
        return batch["user"]

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        one, two = jax.random.split(key)
        params = {
            "encoder": nets.init(self.encoder, one, batch["user"])[0],
            "items": nets.init(self.item_table, two, batch["user"])[0],
        }
        return params, {"stats": {"encoder": {}, "items": {}}}

    def tables(self, params: PyTree, extra: PyTree) -> tuple[jax.Array, jax.Array]:
        """Vectors of all users [users, width] and of all items [items, width], as scores read
        them."""
        del extra
        return params["encoder"]["rows"], params["items"]["rows"]

    def embed(self, state: State, batch: Batch) -> jax.Array:
        return self.tables(state.params, state.extra)[0][batch["user"]]

    def scores(self, state: State, batch: Batch) -> jax.Array:
        of_users, of_items = self.tables(state.params, state.extra)
        return of_users[batch["user"]] @ of_items.T

    def item_vectors(self, state: State) -> jax.Array:
        return self.tables(state.params, state.extra)[1]

    def preferred(self, params: PyTree, extra: PyTree, batch: Batch) -> jax.Array:
        """The loss of BPR with the decay of the vectors in a batch, scalar."""
        of_users, of_items = self.tables(params, extra)
        user, liked = of_users[batch["user"]], of_items[batch["item"]]
        other = of_items[batch["negative"]]
        value = bpr(jnp.sum(user * liked, axis=1), jnp.einsum("bd,bkd->bk", user, other))
        tables = params["encoder"]["rows"], params["items"]["rows"]
        rows = tables[0][batch["user"]], tables[1][batch["item"]], tables[1][batch["negative"]]
        return value + self.decay * sum(jnp.sum(x**2) for x in rows) / len(user)
