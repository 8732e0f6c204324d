"""A knowledge graph as data: an example is a triple of head, relation and tail, by number.

    triple    int32 [B, 3]
    weight    float32 [B], 1 / sqrt(n(h, r) + n(t, r) + 6): what is asked often counts less
    negative  int32 [B, 2, K], in training: wrong heads and wrong tails, never a triple of training
    known     int32 [B, 2, A], once: other right heads and tails, -1 where there are no more
    related   int32 [B, C], once: other right relations      index  int32 [B]

`known` are of all parts of the graph: a rank does not count what is right elsewhere. The weight is
that of Sun et al. 2019 (arXiv:1902.10197), whose counts start at 4.
"""

from collections.abc import Iterator

import numpy as np

from ssljax.data.answers import Answers, with_negatives
from ssljax.data.dataset import Arrays, Rows


class TripleData(Arrays):
    """Triples in memory. `entities` and `relations` are their names, by number."""

    smallest_batch = 1
    prompts = None

    def __init__(
        self,
        triple: np.ndarray,
        *,
        entities: tuple[str, ...],
        relations: tuple[str, ...],
        known: np.ndarray | None = None,
        negatives: int = 64,
    ) -> None:
        """triple: int [T, 3]. known: of all parts of the graph [T', 3]; None: these.

        Raises: ValueError where a number has no name.
        """
        triple = np.asarray(triple)
        if triple.ndim != 2 or triple.shape[1] != 3 or triple.dtype.kind not in "iu":
            raise ValueError(f"triples must be whole numbers [T, 3], not {triple.shape}")
        limits = np.array([len(entities), len(relations), len(entities)])
        wrong = np.flatnonzero(((triple < 0) | (triple >= limits)).any(axis=1))
        if len(wrong):
            raise ValueError(
                f"triple {wrong[0]} is {triple[wrong[0]].tolist()}, and there are "
                f"{len(entities)} entities and {len(relations)} relations"
            )
        self.entities, self.relations, self.negatives = entities, relations, negatives
        self._known_triples = triple if known is None else np.concatenate([triple, known])
        self._right = self._answers(triple)
        self._every = every = self._answers(self._known_triples)
        self._pairs = Answers(
            self._pair(self._known_triples), self._known_triples[:, 1], choices=len(relations)
        )
        asked = self._questions(triple)
        self._width = max(int(e.count[e.place(q)].max()) for e, q in zip(every, asked, strict=True))
        self._related = int(self._pairs.count[self._pairs.place(self._pair(triple))].max())
        n = [_times(q) for q in asked]
        weight = (1 / np.sqrt(n[0] + n[1] + 6)).astype(np.float32)
        super().__init__(
            {"triple": triple.astype(np.int32), "weight": weight},
            names=[f"{entities[h]}\t{relations[r]}\t{entities[t]}" for h, r, t in triple],
        )
        self.spec = self.spec | {"negative": ((2, negatives), np.dtype(np.int32))}

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As in `Arrays`, with negatives that follow from seed and step."""
        plain = super().batches(batch, seed=seed, start=start)

        def draw(rows: Rows, rng: np.random.Generator) -> np.ndarray:
            asked = zip(self._right, self._questions(rows["triple"]), strict=True)
            return np.stack([right.wrong(q, self.negatives, rng) for right, q in asked], axis=1)

        return with_negatives(plain, draw, seed=(seed, 61), start=start, host=host)

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """As in `Arrays`, with the other right answers of the whole graph."""
        for rows in super().once(batch, host=host):
            triple = rows["triple"]
            known = [
                every.others(question, triple[:, side], self._width)
                for every, question, side in zip(
                    self._every, self._questions(triple), (0, 2), strict=True
                )
            ]
            related = self._pairs.others(self._pair(triple), triple[:, 1], self._related)
            yield rows | {"known": np.stack(known, axis=1), "related": related}

    def part(self, index: np.ndarray) -> "TripleData":
        """These triples of the same graph."""
        found = TripleData(
            self.take(np.asarray(index))["triple"],
            entities=self.entities,
            relations=self.relations,
            known=self._known_triples,
            negatives=self.negatives,
        )
        found.origin = self.origin[np.asarray(index)]
        return found

    def _questions(self, triple: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which head has this relation and tail, and which tail this head and relation."""
        h, r, t = triple.astype(np.int64).T
        return t * len(self.relations) + r, h * len(self.relations) + r

    def _pair(self, triple: np.ndarray) -> np.ndarray:
        h, _, t = triple.astype(np.int64).T
        return h * len(self.entities) + t

    def _answers(self, triple: np.ndarray) -> tuple[Answers, Answers]:
        head, tail = self._questions(triple)
        many = len(self.entities)
        return (
            Answers(head, triple[:, 0], choices=many),
            Answers(tail, triple[:, 2], choices=many),
        )


def _times(question: np.ndarray) -> np.ndarray:
    """How often each question is asked, [T]."""
    _, which, count = np.unique(question, return_inverse=True, return_counts=True)
    return count[which]
