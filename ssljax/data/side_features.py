"""What is known of people and things as features: numbers, categories and sets, a field each.

A feature has a number and an amount. A category is one feature of amount 1, a set of n words has n
of amount 1/n, a number is one feature whose amount is the standardised number; where a cell is
empty, the amount is 0, and the field says nothing.
"""

import logging
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ssljax.data.interaction_files import Columns, numbers

log = logging.getLogger("ssljax")
_MOST = 1000  # values of a column beyond which it is no category but a text


class Side(NamedTuple):
    """The fields of one side, of users or of items: a row for each of them."""

    feature: np.ndarray
    """int32 [N, S], numbers of features, from 0."""
    amount: np.ndarray
    """float32 [N, S]"""
    sizes: tuple[int, ...]
    """Slots of each field; they add up to S."""
    names: tuple[str, ...]
    """What a person calls each feature: COLUMN, or COLUMN=VALUE."""


def side_features(
    key: str,
    ids: np.ndarray,
    table: Columns | None,
    *,
    numbered: bool,
    drop: Collection[str],
    categories: Collection[str],
    place: str,
) -> Side:
    """The fields of `ids` [N], in their order.

    Args:
      key: the column of `table` that holds the ids. numbered: whether the id is a field itself.
      drop: columns that are left out. categories: columns of numbers that are names.
    Raises: ValueError where an id has two rows, or there would be no feature.
    """
    fields, names = [], []
    if numbered:
        fields.append((np.arange(len(ids))[:, None], np.ones((len(ids), 1))))
        names += [f"{key}={one}" for one in ids]
    for column, cells in {} if table is None else _aligned(key, ids, table, place).items():
        if column in drop:
            continue
        found = _field(column, cells, as_category=column in categories)
        if found is None:
            log.info(
                "%s: column %r holds too many texts to be a category, and is not used",
                place,
                column,
            )
            continue
        feature, amount, called = found
        fields.append((feature + len(names), amount))
        names += called
    if not fields:
        raise ValueError(
            f"{place} says nothing of any {key} but who it is: leave --reader.item-ids on, or give "
            f"it a table of {key}s"
        )
    feature, amount = (np.concatenate(parts, axis=1) for parts in zip(*fields, strict=True))
    sizes = tuple(part.shape[1] for part, _ in fields)
    return Side(feature.astype(np.int32), amount.astype(np.float32), sizes, tuple(names))


def aligned(key: str, ids: np.ndarray, table: Columns, column: str) -> np.ndarray:
    """The cells of a column in the order of `ids`, "" where the table has no row."""
    at = {one: i for i, one in enumerate(table[key])}
    return np.array([table[column][at[one]] if one in at else "" for one in ids], str)


def _aligned(key: str, ids: np.ndarray, table: Columns, place: str) -> Columns:
    listed, count = np.unique(table[key], return_counts=True)
    if (count > 1).any():
        raise ValueError(f"{place}: the table of {key}s has several rows of {listed[count > 1][0]}")
    if lost := int((~np.isin(ids, listed)).sum()):
        log.warning("%s: the table of %ss says nothing of %d of %d", place, key, lost, len(ids))
    if (more := listed[~np.isin(listed, ids)]).size:
        text = "%s: %ss of their table without a usable interaction, left out: %d, such as %s"
        log.warning(text, place, key, len(more), ", ".join(more[:3]))
    return {column: aligned(key, ids, table, column) for column in table if column != key}


def _field(
    column: str, cells: np.ndarray, *, as_category: bool
) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """(features [N, slots], amounts [N, slots], their names); None for a column of texts."""
    there = cells != ""
    number = numbers(cells)
    if not as_category and there.any() and np.isfinite(number[there]).all():
        mean, spread = number[there].mean(), max(number[there].std(), 1e-8)
        amount = np.where(there, (number - mean) / spread, 0.0)[:, None]
        return np.zeros((len(cells), 1), int), amount, [column]
    words = [cell.split("|") if cell else [] for cell in cells]
    known = sorted({word for row in words for word in row})
    if len(known) > _MOST or not known:
        return None
    at = {word: i for i, word in enumerate(known)}
    slots = max(map(len, words))
    feature, amount = np.zeros((len(cells), slots), int), np.zeros((len(cells), slots))
    for i, row in enumerate(words):
        feature[i, : len(row)] = [at[word] for word in row]
        amount[i, : len(row)] = 1 / max(len(row), 1)
    return feature, amount, [f"{column}={word}" for word in known]
