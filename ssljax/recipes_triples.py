"""Families of methods on knowledge graphs: what all that read triples have in common."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.knowledge import cubed_norm, filtered_ranks, self_adversarial
from ssljax.method import Batch, PyTree, Recipe, State
from ssljax.nets import Vectors


@dataclass(frozen=True, kw_only=True)
class OfTriples(Recipe):
    """A knowledge graph: each entity and each relation is a vector, and a triple has a score.

    A method says what the missing end of a triple should be like (`asks`), and how like it an
    entity is (`agree`). The encoder is the table of the entities; a feature is that of the head.
    """

    width: int = 200
    """Numbers of an entity."""
    entities: int | None = None
    """How many there are; None: as many as the data has."""
    relations: int | None = None
    """How many kinds of relations there are; None: as many as the data has."""
    reciprocal: ClassVar[bool] = False
    """Whether the question for a head is one for a tail, by a second vector of the relation."""

    def asks(self, entity: jax.Array, relation: jax.Array, *, head: bool) -> jax.Array:
        """What the other end should be like [..., width], by one end and the relation.

        head: whether the head is asked for; never where the method is `reciprocal`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it asks")

    def agree(self, asked: jax.Array, entity: jax.Array) -> jax.Array:
        """Scores [...] of entities [..., width]: the higher, the more probable."""
        raise NotImplementedError(f"{type(self).__name__} does not say what a score is")

    @property
    def encoder(self) -> Any:
        return Vectors(count=self.entities or 1, width=self.width, spread=self.start)

    @property
    def kinds(self) -> int:
        """How many relations. Raises: ValueError where that is open."""
        if self.relations is None:
            raise ValueError("relations is open: give its number, or take it from data by `filled`")
        return self.relations

    @property
    def relation_table(self) -> Any:
        """The vectors of the relations."""
        count = (self.relations or 1) * (2 if self.reciprocal else 1)
        return Vectors(count=count, width=self.relation_width, spread=self.start)

    @property
    def start(self) -> float:
        """Vectors start evenly between plus and minus this."""
        return 0.1

    @property
    def relation_width(self) -> int:
        """Numbers of a relation."""
        return self.width

    def filled(self, data: Any) -> Self:
        entities = self.entities or len(data.entities)
        return replace(self, entities=entities, relations=self.relations or len(data.relations))

    def check(self, data: Any) -> None:
        if "triple" not in data.spec:
            raise ValueError("this method learns from triples: use data triples:PATH")

    def inputs(self, batch: Batch) -> PyTree:
        return batch["triple"][:, 0]

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        one, two = jax.random.split(key)
        h, r = batch["triple"][:, 0], batch["triple"][:, 1]
        params = {
            "encoder": nets.init(self.encoder, one, h)[0],
            "relations": nets.init(self.relation_table, two, r)[0],
        }
        return params, {"stats": {"encoder": {}, "relations": {}}}

    def embed(self, state: State, batch: Batch) -> jax.Array:
        return state.params["encoder"]["rows"][self.inputs(batch)]

    def asked(self, params: PyTree, end: jax.Array, r: jax.Array, *, head: bool) -> jax.Array:
        """What the missing head or tail should be like [B, width], by the number of the other end
        and of the relation, int [B]."""
        if head and self.reciprocal:
            r, head = r + self.kinds, False
        entity, relation = params["encoder"]["rows"][end], params["relations"]["rows"][r]
        return self.asks(entity, relation, head=head)

    def all_scores(self, params: PyTree, asked: jax.Array) -> jax.Array:
        """Scores [B, entities] of all entities."""
        table = params["encoder"]["rows"]
        return jax.lax.map(lambda one: self.agree(one, table), asked)

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Filtered realistic ranks of both ends and of the relation, among all that there are.

        "tied" is the mean of worst less best rank: large where scores are constant.
        """
        h, r, t = batch["triple"].T
        params, two = state.params, jnp.full(len(h), 2.0)
        found = [
            filtered_ranks(
                self.all_scores(params, self.asked(params, end, r, head=head)), wanted, known
            )
            for end, wanted, head, known in (
                (t, h, True, batch["known"][:, 0]),
                (h, t, False, batch["known"][:, 1]),
            )
        ]
        of_head, of_tail = ((best + worst) / 2 for best, worst in found)
        numbers = {f"hits_{k}": (1.0 * (of_head <= k) + (of_tail <= k), two) for k in (1, 3, 10)}
        tied = sum((worst - best for best, worst in found), jnp.zeros(len(h)))
        best, worst = filtered_ranks(self.relation_scores(params, h, t), r, batch["related"])
        return {
            "mrr": (1 / of_head + 1 / of_tail, two),
            "mrr_head": (1 / of_head, two / 2),
            "mrr_tail": (1 / of_tail, two / 2),
            **numbers,
            "tied": (tied, two),
            "mrr_relation": (2 / (best + worst), two / 2),
        }

    def relation_scores(self, params: PyTree, h: jax.Array, t: jax.Array) -> jax.Array:
        """Scores [B, relations] of all relations between two entities."""
        table, rows = params["encoder"]["rows"], params["relations"]["rows"][: self.relations]

        def one(ends: tuple[jax.Array, jax.Array]) -> jax.Array:
            return self.agree(self.asks(table[ends[0]], rows, head=False), table[ends[1]])

        return jax.lax.map(one, (h, t))


@dataclass(frozen=True, kw_only=True)
class WithNegatives(OfTriples):
    """Learns to tell triples from wrong ones that the data draws."""

    margin: float = 9.0
    """The score of a triple that fits without any distance."""
    temperature: float = 1.0
    """How much more a wrong triple counts that scores high; 0: all count the same."""

    @property
    def start(self) -> float:
        return (self.margin + 2) / self.width

    def against_negatives(self, params: PyTree, batch: Batch) -> jax.Array:
        """Mean of the losses against wrong heads and against wrong tails, scalar."""
        h, r, t = batch["triple"].T
        table, value = params["encoder"]["rows"], jnp.zeros(())
        for end, wanted, head, wrong in (
            (t, h, True, batch["negative"][:, 0]),
            (h, t, False, batch["negative"][:, 1]),
        ):
            asked = self.asked(params, end, r, head=head)
            positive = self.agree(asked, table[wanted])
            negative = self.agree(asked[:, None], table[wrong])
            value += self_adversarial(
                positive, negative, batch["weight"], temperature=self.temperature
            )
        return value / 2


@dataclass(frozen=True, kw_only=True)
class AgainstAll(OfTriples):
    """Learns the right entity among all, in both directions of each relation; scores are products.

    A method says what the size of each factor is (`modulus`), for its decay.
    """

    decay: float = 0.01
    """Of the cubes of the factors of the triples in a batch."""
    reciprocal: ClassVar[bool] = True

    def modulus(self, vector: jax.Array) -> jax.Array:
        """Sizes [..., D] of the numbers of vectors."""
        raise NotImplementedError(f"{type(self).__name__} does not say how large a factor is")

    def agree(self, asked: jax.Array, entity: jax.Array) -> jax.Array:
        return jnp.sum(asked * entity, axis=-1)

    def all_scores(self, params: PyTree, asked: jax.Array) -> jax.Array:
        return asked @ params["encoder"]["rows"].T

    def against_all(self, params: PyTree, batch: Batch) -> jax.Array:
        """Mean cross-entropies of tails and heads, and the decay, scalar."""
        h, r, t = batch["triple"].T
        table, ways = params["encoder"]["rows"], params["relations"]["rows"]
        value = jnp.zeros(())
        for end, wanted, head in ((t, h, True), (h, t, False)):
            logits = self.all_scores(params, self.asked(params, end, r, head=head))
            entropy = optax.softmax_cross_entropy_with_integer_labels(logits, wanted)
            factors = (table[h], ways[r + head * self.kinds], table[t])
            value += jnp.mean(entropy) + self.decay * cubed_norm(*map(self.modulus, factors))
        return value
