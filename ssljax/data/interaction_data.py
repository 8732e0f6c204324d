"""Interactions as data: an example is one of them, or a user who is asked about.

`Answered`, what someone thought of something:

    user, item  int32 [B]
    feature     int32 [B, S], amount float32 [B, S]: what is known of both, see `side_features`
    rating      float32 [B]; or clicked float32 [B], 0 or 1
    index       int32 [B]

`Seen`, for rankings: user, item, and in training negative int32 [B, K], things that the user has
nothing to do with. `Sequences`, for what comes next, a user each: sequence int32 [B, L], her last L
items, the newest in the last column, real bool [B, L], which of them there are, and in training
negative int32 [B, L - 1, K], such things for each item but the first.

`Asked`, to score rankings, a user each: wanted int32 [B, W], what was held out, and seen int32
[B, A], what counts for nothing; -1 where there are no more. Both are as wide as the user with most
needs, which is at most the number of items: less than the scores of all of them take. For what
comes next, sequence and real are beside them.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ssljax.data.answers import Answers, with_negatives
from ssljax.data.dataset import Arrays, Rows
from ssljax.data.histories import Histories
from ssljax.data.side_features import Side


class Catalogue(NamedTuple):
    """Who and what there is: the same for all splits."""

    users: tuple[str, ...]
    """Their ids in the file, by number."""
    items: tuple[str, ...]
    titles: tuple[str, ...]
    """What a person calls the items."""
    of_users: Side
    of_items: Side
    """Their features count from where those of the users end."""
    scale: tuple[float, float]
    """Lowest and highest rating."""
    liked: float
    """The rating from which on someone liked something."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Slots of each field."""
        return (*self.of_users.sizes, *self.of_items.sizes)

    @property
    def features(self) -> tuple[str, ...]:
        """What a person calls each feature, by number."""
        return (*self.of_users.names, *self.of_items.names)

    def fields(self, user: np.ndarray, item: np.ndarray) -> Rows:
        """feature and amount [B, S] of pairs, int [B] each."""
        first = len(self.of_users.names)
        pairs = (
            (self.of_users.feature[user], first + self.of_items.feature[item]),
            (self.of_users.amount[user], self.of_items.amount[item]),
        )
        feature, amount = (np.concatenate(pair, axis=1) for pair in pairs)
        return {"feature": feature.astype(np.int32), "amount": amount}


class _OfCatalogue(Arrays):
    """Examples with the catalogue that they are numbered by."""

    catalogue: Catalogue

    @property
    def history(self) -> Histories | None:
        """What came after what, where a method reads it."""
        return None

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """User and item of all, int32 [N] each."""
        return self._rows["user"], self._rows["item"]

    def liked(self, index: np.ndarray) -> np.ndarray:
        """Which of these examples were liked, bool [n]: all, where nobody said how much."""
        return np.ones(len(index), bool)

    def _called(self, catalogue: Catalogue, rows: Rows, origin: np.ndarray) -> None:
        names = [catalogue.users[u] for u in rows["user"]]
        if "item" in rows:
            pairs = zip(names, rows["item"], strict=True)
            names = [f"{user}\t{catalogue.items[i]}" for user, i in pairs]
        super().__init__(rows, names=names, origin=origin)
        self.catalogue = catalogue


class Answered(_OfCatalogue):
    """What users thought of items."""

    def __init__(self, rows: Rows, *, catalogue: Catalogue, origin: np.ndarray) -> None:
        """rows: user, item, and rating or clicked, [N] each."""
        self._called(catalogue, rows, origin)
        fields = catalogue.fields(rows["user"][:1], rows["item"][:1])
        self.spec = self.spec | {k: (v.shape[1:], v.dtype) for k, v in fields.items()}

    def take(self, index: np.ndarray) -> Rows:
        """As in `Arrays`, with what is known of both."""
        rows = super().take(index)
        return rows | self.catalogue.fields(rows["user"], rows["item"])

    def liked(self, index: np.ndarray) -> np.ndarray:
        """As they were rated, or clicked."""
        if "clicked" in self._rows:
            return self._rows["clicked"][index] > 0
        return self._rows["rating"][index] >= self.catalogue.liked

    def part(self, index: np.ndarray) -> "Answered":
        """The examples at these positions, called and numbered as here."""
        rows = {k: v[index] for k, v in self._rows.items() if k != "index"}
        return Answered(rows, catalogue=self.catalogue, origin=self.origin[index])


class _Drawn(_OfCatalogue):
    """Examples that come in training with items that their user did not deal with."""

    answers: Answers
    """What each user dealt with."""
    drawn: tuple[int, ...]
    """The shape of the items that are drawn for an example."""

    def _draws(self, shape: tuple[int, ...]) -> None:
        self.answers = Answers(*self.pairs, choices=len(self.catalogue.items))
        self.drawn = shape
        self.spec = self.spec | {"negative": (shape, np.dtype(np.int32))}

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As in `Arrays`, with negatives that follow from seed and step."""
        plain = super().batches(batch, seed=seed, start=start)

        def draw(rows: Rows, rng: np.random.Generator) -> np.ndarray:
            wrong = self.answers.wrong(rows["user"], math.prod(self.drawn), rng)
            return wrong.reshape(-1, *self.drawn)

        return with_negatives(plain, draw, seed=(seed, 67), start=start, host=host)


class Seen(_Drawn):
    """What users dealt with."""

    def __init__(
        self,
        user: np.ndarray,
        item: np.ndarray,
        *,
        catalogue: Catalogue,
        origin: np.ndarray,
        negatives: int,
    ) -> None:
        self._called(catalogue, {"user": user, "item": item}, origin)
        self._draws((negatives,))

    def part(self, index: np.ndarray) -> "Seen":
        """These interactions, as if there were no others."""
        return Seen(
            *(column[index] for column in self.pairs),
            catalogue=self.catalogue,
            origin=self.origin[index],
            negatives=self.drawn[-1],
        )


class Sequences(_Drawn):
    """What users dealt with, one thing after another: an example is a user of two or more."""

    def __init__(
        self,
        user: np.ndarray,
        item: np.ndarray,
        *,
        catalogue: Catalogue,
        length: int,
        negatives: int,
    ) -> None:
        """user, item: the interactions in the order of time [N]. length: of a row."""
        self._pairs = user, item
        self._history = Histories(user, item, users=len(catalogue.users), length=length)
        users = np.flatnonzero(self.history.count > 1).astype(np.int32)
        self._called(catalogue, {"user": users}, users)
        rows = self.history.rows(users[:1])
        self.spec = self.spec | {k: (v.shape[1:], v.dtype) for k, v in rows.items()}
        self._draws((length - 1, negatives))

    @property
    def history(self) -> Histories:
        """What came after what."""
        return self._history

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """User and item of all interactions, int32 [N] each, those that no row holds too."""
        return self._pairs

    def take(self, index: np.ndarray) -> Rows:
        """As in `Arrays`, with what came after what."""
        rows = super().take(index)
        return rows | self.history.rows(rows["user"])

    def part(self, index: np.ndarray) -> "Sequences":
        """These users, as if there were no others."""
        mine = np.isin(self._pairs[0], self._rows["user"][index])
        return Sequences(
            *(column[mine] for column in self._pairs),
            catalogue=self.catalogue,
            length=self.history.length,
            negatives=self.drawn[-1],
        )


class Asked(_OfCatalogue):
    """Users, with the items that a ranking should bring first."""

    def __init__(
        self,
        user: np.ndarray,
        item: np.ndarray,
        *,
        catalogue: Catalogue,
        seen: tuple[np.ndarray, np.ndarray],
        history: Histories | None = None,
    ) -> None:
        """user, item: the pairs that were held out [N]. seen: those that count for nothing.
        history: what came before, where the order of it matters."""
        count = len(catalogue.items)
        self._wanted, self._seen = Answers(user, item, choices=count), Answers(*seen, choices=count)
        self._widths = {
            "wanted": int(self._wanted.count.max()),
            "seen": int(self._seen.count.max()),
        }
        users = np.unique(user).astype(np.int32)
        self._called(catalogue, {"user": users}, users)
        self._history = history
        narrow = {k: ((width,), np.dtype(np.int32)) for k, width in self._widths.items()}
        if history is not None:
            rows = history.rows(users[:1])
            narrow |= {k: (v.shape[1:], v.dtype) for k, v in rows.items()}
        self.spec = self.spec | narrow

    def take(self, index: np.ndarray) -> Rows:
        """As in `Arrays`, with what is wanted and what was seen."""
        rows = super().take(index)
        none = np.full(len(index), -1)
        for name, answers in (("wanted", self._wanted), ("seen", self._seen)):
            rows[name] = answers.others(rows["user"], none, self._widths[name])
        return rows | ({} if self._history is None else self._history.rows(rows["user"]))
