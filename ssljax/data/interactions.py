"""Interactions from files: `interactions:PATH`, who dealt with what, how they liked it and when.

PATH is a table, a folder with tables of users and items beside it, or the folder of MovieLens 100K
(`ssljax.data.interaction_files`). `interactions:PATH:validation` names one split of it.

Users and items are those of the whole file, numbered in the order of their ids. What is known of
them (age, genres, year) becomes fields of features, without looking at any rating.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ssljax.data.dataset import Rows, Spec
from ssljax.data.histories import Histories
from ssljax.data.interaction_data import Answered, Asked, Catalogue, Seen, Sequences
from ssljax.data.interaction_files import Log, Names, read_log
from ssljax.data.interaction_splits import (
    earlier,
    given_splits,
    places,
    say_who_is_left_out,
    times,
)
from ssljax.data.side_features import aligned, side_features
from ssljax.data.split_names import SPLITS, normal

log = logging.getLogger("ssljax")


@dataclass(frozen=True, kw_only=True)
class Interactions:
    """How a table of interactions becomes data."""

    plain_name: ClassVar[str] = "numbers"
    learn: Literal["rating", "click", "rank", "next"] = "rating"
    """What is asked: which rating, whether it is a liked one, what a user should see first, or what
    she will see next, after her last ones."""
    split: Literal["random", "last", "items", "given"] = "random"
    """What is held out twice, for validation and for the test: a random tenth of each user's
    interactions, the last one of each user, or all interactions of a tenth of the items; or "given"
    by the data: a column `part`, or `fold` of MovieLens 100K."""
    seed: int = 0
    """Decides the random splits."""
    liked: float = 4.0
    """The rating from which on something was liked."""
    scale: tuple[float, float] | None = None
    """Lowest and highest rating; None: those of the format or of the data."""
    broken: Literal["refuse", "leave_out"] = "refuse"
    """What to do with rows without a user or an item, with a rating outside the scale, with a time
    that is no number, and with all but the latest of several of one user and item; they are counted
    either way."""
    item_ids: bool = True
    """Whether an item is a feature itself; without, it is what else is known of it, which a new one
    has too."""
    negatives: int = 1
    """For rankings: items that are drawn for each interaction, of those the user has not seen."""
    length: int = 51
    """For "next": how many of her last items the row of a user holds, of which a network sees one
    fewer, as each is told from those before it. Of users with more, nothing older is learned."""
    user: str = "user"
    """The column of the users."""
    item: str = "item"
    """The column of the items."""
    rating: str = "rating"
    """The column of the ratings, if there is one."""
    time: str = "time"
    """The column of the times, in seconds, if there is one."""
    part: str = "split"
    """The column that holds train, validation or test, for the split "given"."""
    fold: str = "ua"
    """Which of the splits that MovieLens 100K comes with, for "given": ua, ub, or u1 to u5."""
    title: str = "title"
    """The column of the items that says what a person calls them; it is no feature."""
    drop: tuple[str, ...] = ()
    """Columns of users and items that are left out."""
    categories: tuple[str, ...] = ()
    """Columns of users and items that hold numbers but are names, such as postal codes."""

    def __post_init__(self) -> None:
        if self.learn not in ("rating", "click", "rank", "next"):
            raise ValueError(f"learn {self.learn!r}: choose rating, click, rank or next")
        if self.split not in ("random", "last", "items", "given"):
            raise ValueError(f"split {self.split!r}: choose random, last, items or given")
        if self.learn == "next" and self.split not in ("last", "given"):
            raise ValueError(
                f"learn next, and split {self.split}: what comes next is not told from what came "
                "later, choose --reader.split last or given"
            )
        if self.length < 2:
            raise ValueError(f"length {self.length} must be at least 2: one item, and the next")
        if self.negatives < 1:
            raise ValueError(f"negatives {self.negatives} must be at least 1")
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise ValueError(f"scale {self.scale} must go from the lowest to the highest rating")

    def prepared(self, spec: str, folder: Path | None = None) -> "Interactions":
        """Itself: nothing is learnt but ids and spreads, which follow from the file."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """All three, those that the data gives, or the one that `spec` names."""
        place, part = _place(spec)
        if part is not None:
            return (part,)
        return given_splits(self._read(place)) if self.split == "given" else SPLITS

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Answered | Seen | Sequences | Asked:
        """A split. Raises: ValueError that counts what is broken, FileNotFoundError."""
        del in_memory_bytes, workers
        place, part = _place(spec)
        split = part or normal(split)
        if split not in SPLITS:
            raise ValueError(f"{spec} has no split {split!r}, only {', '.join(SPLITS)}")
        found, say = self._read(place), split == "train"
        if self.learn in ("rating", "click") and found.rating is None:
            raise ValueError(
                f"{found.file} has no column {self.rating!r}: name the one of the ratings with "
                "--reader.rating, or learn a ranking with --reader.learn rank"
            )
        kept = np.flatnonzero(self._usable(found, say=say))
        catalogue, user, item = self._catalogue(found, kept, say=say)
        which = places(self.split, found, kept, user, item, seed=self.seed)
        here = which == SPLITS.index(split)
        if not here.any():
            raise ValueError(
                f"{found.file}: nothing is left for {split}: there are too few interactions"
            )
        if say:
            say_who_is_left_out(found, kept, kept[here], items=self.split == "items")
        if self.learn in ("rating", "click"):
            assert found.rating is not None
            rating = found.rating[kept][here].astype(np.float32)
            answer = {"rating": rating}
            if self.learn == "click":
                answer = {"clicked": (rating >= self.liked).astype(np.float32)}
            rows = {"user": user[here], "item": item[here]} | answer
            return Answered(rows, catalogue=catalogue, origin=kept[here])
        if self.learn == "next":  # in the order of time; of one time, as in the file
            order = np.argsort(times(found)[kept], kind="stable")
            user, item, which, here = user[order], item[order], which[order], here[order]
            if say:
                return self._sequences(found, catalogue, user[here], item[here])
        elif say:
            options = {"origin": kept[here], "negatives": self.negatives}
            return Seen(user[here], item[here], catalogue=catalogue, **options)
        before = which < SPLITS.index(split)
        seen, history = (user[before], item[before]), None
        if self.learn == "next":
            history = Histories(*seen, users=len(catalogue.users), length=self.length)
        return Asked(user[here], item[here], catalogue=catalogue, seen=seen, history=history)

    def _read(self, place: Path) -> Log:
        names = Names(self.user, self.item, self.rating, self.time, self.part)
        return read_log(place, names, fold=self.fold if self.split == "given" else None)

    def _sequences(
        self, found: Log, catalogue: Catalogue, user: np.ndarray, item: np.ndarray
    ) -> Sequences:
        """Rows of pairs in the order of time. Says who has too few for one, or more than one."""
        count = np.bincount(user, minlength=len(catalogue.users))
        for some, what in (
            (count < 2, "fewer than two items to learn from, and are left out of training"),
            (count > self.length, f"more than {self.length}, of which only the last are learned"),
        ):
            if some.any():
                log.warning("%s: %d of %d users have %s", found.file, some.sum(), len(some), what)
        if not (count > 1).any():
            raise ValueError(f"{found.file}: no user has two items to learn from")
        options = {"length": self.length, "negatives": self.negatives}
        return Sequences(user, item, catalogue=catalogue, **options)

    def shapes(self) -> Spec | None:
        """None: how many features there are is in the data."""
        return None

    def plain(self, rows: Rows) -> np.ndarray:
        """The numbers [B, 1 or 2] of user and item, which say nothing of them."""
        there = [rows[name] for name in ("user", "item") if name in rows]
        return np.stack(there, axis=1).astype(np.float32)

    def _usable(self, found: Log, *, say: bool) -> np.ndarray:
        """Which rows are whole, bool [N]. Raises: ValueError where others are refused."""
        wrong = {"no user": found.user == "", "no item": found.item == ""}
        if found.rating is not None:
            low, high = self._scale(found)
            outside = ~((found.rating >= low) & (found.rating <= high))
            wrong[f"a rating outside {low:g} to {high:g}"] = outside
        if found.time is not None:
            wrong["a time that is no number of seconds"] = np.isnan(found.time)
        whole = ~np.any(list(wrong.values()), axis=0)
        wrong["an earlier row of the same user and item"] = earlier(found, whole)
        bad = {what: rows for what, rows in wrong.items() if rows.any()}
        if bad:
            listed = "; ".join(
                f"{rows.sum()} with {what}, such as row {np.flatnonzero(rows)[0] + 1} of user "
                f"{str(found.user[rows][0])!r} and item {str(found.item[rows][0])!r}"
                for what, rows in bad.items()
            )
            if self.broken == "refuse":
                raise ValueError(
                    f"{found.file}: rows that cannot be used: {listed}. Mend them, or leave them "
                    'out with broken="leave_out", on the command line --reader.broken leave_out'
                )
            if say:
                log.warning("%s: rows that are left out: %s", found.file, listed)
        usable = ~np.any(list(wrong.values()), axis=0)
        if not usable.any():
            raise ValueError(f"{found.file}: no row is whole")
        return usable

    def _scale(self, found: Log) -> tuple[float, float]:
        if self.scale is not None or found.scale is not None:
            return self.scale or found.scale or (0.0, 1.0)
        assert found.rating is not None
        there = found.rating[np.isfinite(found.rating)]
        return (float(there.min()), float(there.max())) if len(there) else (0.0, 1.0)

    def _catalogue(
        self, found: Log, kept: np.ndarray, *, say: bool
    ) -> tuple[Catalogue, np.ndarray, np.ndarray]:
        """(who and what there is, user and item of each kept row by number int32 [N])."""
        columns = []
        for what, words in (("user", found.user[kept]), ("item", found.item[kept])):
            ids, number, count = np.unique(words, return_inverse=True, return_counts=True)
            if all(one.isdecimal() for one in ids):
                order = np.argsort([int(one) for one in ids], kind="stable")
                ids, count, number = ids[order], count[order], np.argsort(order)[number]
            if say and (once := ids[count == 1]).size:
                log.warning(
                    "%s: %d of %d %ss occur once, such as %s: such a one is never both learned and "
                    "tested",
                    *(found.file, len(once), len(ids), what, ", ".join(once[:3])),
                )
            columns.append((ids, number.astype(np.int32)))
        (users, user), (items, item) = columns
        options = {"categories": self.categories, "place": str(found.file)}
        drop = {*self.drop, self.title}
        of_users = side_features(
            self.user, users, found.users, numbered=True, drop=self.drop, **options
        )
        of_items = side_features(
            self.item, items, found.items, numbered=self.item_ids, drop=drop, **options
        )
        titles = items
        if found.items is not None and self.title in found.items:
            called = aligned(self.item, items, found.items, self.title)
            titles = np.where(called == "", items, called)
        scale = (0.0, 1.0) if found.rating is None else self._scale(found)
        catalogue = Catalogue(
            users=tuple(users.tolist()),
            items=tuple(items.tolist()),
            titles=tuple(titles.tolist()),
            of_users=of_users,
            of_items=of_items,
            scale=scale,
            liked=self.liked,
        )
        return catalogue, user, item


def _place(spec: str) -> tuple[Path, str | None]:
    """(file or folder, the split that is named or None)."""
    kind, _, rest = spec.partition(":")
    if kind != "interactions" or not rest:
        raise ValueError(f"data {spec!r}: interactions are interactions:PATH")
    head, colon, last = rest.rpartition(":")
    place, part = (
        (Path(head), normal(last)) if colon and normal(last) in SPLITS else (Path(rest), None)
    )
    if not place.exists():
        raise FileNotFoundError(f"{spec}: there is no {place}")
    return place, part
