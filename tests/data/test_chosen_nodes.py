"""Nodes that a student learns from: in the whole graph, and in pieces of it."""

import itertools

import numpy as np
import pytest

from ssljax.data import Arrays, GraphData
from ssljax.data.chosen import Chosen
from ssljax.data.chosen_nodes import ChosenNodes

TAUGHT = np.array([2, 3, 11, 20, 29])
TARGET = np.array([1, 0, 2, 1, 2], np.int32)
WEIGHT = np.array([1.0, 0.5, 1.0, 0.25, 0.75], np.float32)
GIVEN = np.array([True, True, False, False, False])


def graph(**options):
    rng = np.random.default_rng(1)
    features = np.arange(30, dtype=np.float32)[:, None]
    label = np.arange(30) % 3
    return GraphData(features, rng.integers(0, 30, (80, 2)), label=label, **options)


def taught(data=None, **options):
    data = graph(fanout=(3, 2)) if data is None else data
    return data.chosen(TAUGHT, {"target": TARGET, "weight": WEIGHT}, given=GIVEN, **options)


@pytest.mark.parametrize("share", [None, 0.5])
def test_the_mean_over_all_rows_is_one_over_the_chosen_nodes(share):
    chosen = taught(share=share)
    assert isinstance(chosen, ChosenNodes)
    rows = next(chosen.batches(40, seed=0))
    assert {k: len(v) for k, v in rows.items()} == dict.fromkeys(rows, 40)
    assert "label" not in rows
    np.testing.assert_array_equal(rows["target"][TAUGHT], TARGET)
    assert set(np.flatnonzero(rows["weight"])) == set(TAUGHT)
    loss = np.random.default_rng(2).random(40)
    each = WEIGHT * loss[TAUGHT]
    # With a share of a half, true and other nodes count as much as each other.
    halves = (each[GIVEN].mean() + each[~GIVEN].mean()) / 2
    expected = each.mean() if share is None else halves
    np.testing.assert_allclose((rows["weight"] * loss).mean(), expected, rtol=1e-6)


def test_nodes_of_a_part_are_counted_in_the_part():
    part = graph(fanout=(3, 2)).part(np.arange(0, 30, 2))
    chosen = part.chosen(np.array([1, 3]), {"weight": np.ones(2, np.float32)})
    rows = next(chosen.batches(40, seed=0))
    assert list(np.flatnonzero(rows["weight"])) == [2, 6]


def test_pieces_lie_around_chosen_nodes_and_follow_from_seed_and_step():
    chosen = taught(share=0.5)
    straight = list(itertools.islice(chosen.batches(20, seed=3), 6))
    seen = set()
    for rows in straight:
        here = rows["weight"] > 0
        nodes = rows["features"][here, 0].astype(int)
        assert set(nodes) <= set(TAUGHT)
        assert len(nodes) == len(set(nodes)) == 2  # 20 rows have room for two with neighbours
        seen |= set(nodes)
        for node, target, weight in zip(
            nodes, rows["target"][here], rows["weight"][here], strict=True
        ):
            i = list(TAUGHT).index(node)
            assert target == TARGET[i]
            np.testing.assert_allclose(weight, WEIGHT[i] * 20 / 2)
    assert seen == set(TAUGHT)
    later = list(itertools.islice(chosen.batches(20, seed=3, start=4), 2))
    halves = [next(chosen.batches(20, seed=3, host=(h, 2))) for h in range(2)]
    for k, v in straight[0].items():
        np.testing.assert_array_equal(np.concatenate([h[k] for h in halves]), v)
        np.testing.assert_array_equal(straight[4][k], later[0][k])


def test_hidden_labels_and_links():
    data = graph()
    hidden = data.without({"label"}, classes=("a", "b", "c"))
    assert hidden.labels() is None
    assert not hidden.labelled
    assert data.labelled
    assert hidden.classes == ("a", "b", "c")
    assert "label" not in next(hidden.once(40))
    few = np.arange(0, 30, 3)
    links = data.part(few).links
    place = {node: i for i, node in enumerate(few)}
    pairs = [(place[a], place[b]) for a, b in data.edges if a in place and b in place and a != b]
    assert sorted(map(tuple, links.tolist())) == sorted(pairs)


def test_labels_that_are_renewed_are_refused():
    with pytest.raises(ValueError, match="renew is for examples on their own"):
        graph().chosen(TAUGHT, {"target": TARGET, "weight": WEIGHT, "given": GIVEN})


def test_arrays_are_taught_as_before():
    data = Arrays({"x": np.arange(30.0), "label": np.arange(30) % 3})
    assert type(taught(data)) is Chosen
    assert data.without({"label"}, classes=None).labels() is None
