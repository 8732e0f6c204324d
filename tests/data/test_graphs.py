"""Graphs as data: whole, in pieces, and from files."""

import itertools
import json
import pickle

import numpy as np
import pytest

from ssljax.data import GraphData, Graphs, pack_edges
from ssljax.data.planetoid import Planetoid, read_planetoid


def small(nodes=30, edges=80, **options):
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, nodes, (edges, 2))
    features = np.arange(nodes, dtype=np.float32)[:, None]
    return GraphData(features, pairs, label=np.arange(nodes) % 3 - 1, **options)


def edges_of(rows):
    pairs = rows["edges"].reshape(-1, 2)
    pairs = pairs[pairs[:, 0] >= 0]
    return rows["index"][pairs]


def test_a_large_batch_is_the_whole_graph():
    data = small()
    rows = next(data.batches(32, seed=0))
    assert {k: len(v) for k, v in rows.items()} == dict.fromkeys(rows, 32)
    assert rows["node"].sum() == rows["seed"].sum() == 30
    ours = sorted(map(tuple, edges_of(rows)))
    assert ours == sorted(map(tuple, data.edges))
    np.testing.assert_array_equal(rows["label"][30:], -1)
    assert len(data.classes or ()) == 0
    assert data.labelled


def test_pieces_hold_seeds_and_their_drawn_neighbours():
    data = small(fanout=(3, 2))
    batch = 4 * (1 + 3 + 6)
    assert data.seeds(batch) == 4
    known = set(map(tuple, data.edges))
    into = {t: [s for s, u in data.edges if u == t] for t in range(30)}
    for rows in itertools.islice(data.batches(20, seed=0), 20):
        assert len(rows["index"]) == 20
        nodes = rows["index"][rows["node"]]
        assert len(set(nodes.tolist())) == len(nodes)
        found = edges_of(rows)
        assert all(tuple(pair) in known for pair in found)
        for i in rows["index"][rows["seed"]]:
            drawn = [s for s, t in found if t == i]
            assert len(set(into[i]) & set(drawn)) == len(set(drawn))
            assert bool(drawn) == bool(into[i])
            if len(into[i]) <= 3:
                assert set(drawn) == set(into[i])
        np.testing.assert_array_equal(rows["features"][rows["node"], 0], nodes)


def test_batches_follow_from_seed_and_step_and_hosts_share_them():
    data = small(fanout=(3, 2))
    straight = list(itertools.islice(data.batches(20, seed=3), 6))
    later = list(itertools.islice(data.batches(20, seed=3, start=4), 2))
    for a, b in zip(straight[4:], later, strict=True):
        for k in a:
            np.testing.assert_array_equal(a[k], b[k])
    halves = [next(data.batches(20, seed=3, host=(h, 2))) for h in range(2)]
    for k, v in straight[0].items():
        np.testing.assert_array_equal(np.concatenate([h[k] for h in halves]), v)


@pytest.mark.parametrize("batch", [20, 40])
def test_once_gives_every_node_once_in_order(batch):
    seen = [rows["index"][rows["mask"]] for rows in small(fanout=(3, 2)).once(batch)]
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(30))


@pytest.mark.parametrize("batch", [20, 40])
def test_a_part_is_some_examples_of_the_same_graph(batch):
    data = small(fanout=(3, 2))
    some = np.array([3, 4, 11, 25, 28])
    part = data.part(some)
    assert len(part) == 5
    np.testing.assert_array_equal(part.labels(), data.labels()[some])
    rows = [rows for rows in part.once(batch)]
    found = np.concatenate([r["features"][r["mask"], 0] for r in rows])
    np.testing.assert_array_equal(found, some)
    place = np.concatenate([r["index"][r["mask"]] for r in rows])
    np.testing.assert_array_equal(place, np.arange(5))
    assert sum(len(edges_of(r)) for r in rows) > 5
    assert next(part.batches(batch, seed=0))["seed"].sum() <= 5


def test_bad_graphs_are_refused():
    features = np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match="edge 1 is 3 -> 4"):
        GraphData(features, np.array([[0, 1], [3, 4]]))
    with pytest.raises(ValueError, match="whole numbers"):
        GraphData(features, np.array([[0.0, 1.0]]))
    with pytest.raises(ValueError, match="use at least 10"):
        next(small(fanout=(3, 2)).batches(9, seed=0))
    with pytest.raises(ValueError, match="do not fit"):
        pack_edges(np.zeros((5, 2), int), 2, slots=2)


def test_tables(tmp_path):
    (tmp_path / "x_edges.csv").write_text("from,to\n0,2\n2,10\n")
    (tmp_path / "x_target.csv").write_text("id,days,partner,new_id\n77,5,True,10\n78,6,False,0\n")
    (tmp_path / "x_features.json").write_text(json.dumps({"0": [1], "10": [0, 2], "2": []}))
    with pytest.raises(ValueError, match="target"):
        Graphs().load(f"graph:{tmp_path}")
    reader = Graphs(target="partner", test_fraction=0.5, normalize=False)
    train, test = (reader.load(f"graph:{tmp_path}", split=s) for s in ("train", "test"))
    assert train.names == ["0", "2", "10"]
    assert train.classes == ("False", "True")
    np.testing.assert_array_equal(train.features, [[0, 1, 0], [0, 0, 0], [1, 0, 1]])
    np.testing.assert_array_equal(train.edges, [[0, 1], [1, 0], [1, 2], [2, 1]])
    both = np.maximum(train.labels(), test.labels())
    np.testing.assert_array_equal(both, [0, -1, 1])
    assert (train.labels() >= 0).sum() == (test.labels() >= 0).sum() == 1
    (tmp_path / "x_features.json").write_text(json.dumps({"3": [1]}))
    with pytest.raises(ValueError, match="names '3'"):
        reader.load(f"graph:{tmp_path}")


def test_links_that_are_held_out_are_in_no_split(tmp_path):
    rng = np.random.default_rng(0)
    lines = "".join(f"{a},{b}\n" for a, b in rng.integers(0, 30, (60, 2)))
    (tmp_path / "edges.csv").write_text("from,to\n" + lines)
    spec = f"graph:{tmp_path}"
    whole, part = (Graphs(links=share).load(spec) for share in (0.0, 0.3))
    held = Graphs(links=0.3).held_out_links(spec)
    links = {frozenset(e) for e in whole.edges.tolist()}
    kept = {frozenset(e) for e in part.edges.tolist()}
    found = [frozenset(e) for name in held for e in held[name][0].tolist()]
    assert len(found) == len(set(found)) == round(0.3 * sum(len(e) == 2 for e in links))
    assert kept | set(found) == links
    assert not kept & set(found)
    assert len(held["test"][0]) >= 2 * len(held["validation"][0])
    for name in held:
        pairs = [frozenset(e) for e in held[name][1].tolist()]
        assert len(pairs) == len(held[name][0])
        assert not links & set(pairs)
    for mine, theirs in zip(part.held_out, held["test"], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert part.part(np.arange(3)).held_out is None and whole.held_out is None
    with pytest.raises(ValueError, match="no links are held out"):
        Graphs().held_out_links(spec)


def test_cora(shared_data):
    found = read_planetoid(shared_data / "cora")
    assert found.features.shape == (2708, 1433)
    assert found.edges.shape == (10556, 2)
    assert found.features.sum() == 49216
    np.testing.assert_array_equal(np.bincount(found.label), [351, 217, 418, 818, 426, 298, 180])
    data = Graphs().load(f"graph:{shared_data / 'cora'}", split="train")
    assert np.bincount(data.labels()[data.labels() >= 0]).tolist() == [20] * 7
    np.testing.assert_allclose(data.features.sum(1), 1, rtol=1e-5)


def test_a_pickle_that_names_anything_else_is_refused(tmp_path):
    (tmp_path / "ind.x.x").write_bytes(pickle.dumps(print))
    for part in ("y", "tx", "ty", "allx", "ally", "graph"):
        (tmp_path / f"ind.x.{part}").write_bytes(pickle.dumps(print))
    (tmp_path / "ind.x.test.index").write_text("0\n")
    with pytest.raises(ValueError, match=r"ind\.x\.x is no file of a citation graph.*print"):
        read_planetoid(tmp_path)


def test_relations_are_numbered_and_edges_back_have_their_own(tmp_path):
    rows = ["head,tail,relation", "a,b,likes", "b,c,knows", "a,c,likes"]
    (tmp_path / "edges.csv").write_text("\n".join(rows))
    data = Graphs(relation="relation").load(f"graph:{tmp_path}")
    one_way = {(0, 1, 1), (1, 2, 0), (0, 2, 1)}  # knows 0, likes 1; back 2 and 3
    back = {(t, s, r + 2) for s, t, r in one_way}
    assert set(map(tuple, data.edges.tolist())) == one_way | back
    assert next(data.batches(4, seed=0))["edges"].shape[-1] == 3
    directed = Graphs(relation="relation", undirected=False).load(f"graph:{tmp_path}")
    assert set(map(tuple, directed.edges.tolist())) == one_way
    with pytest.raises(ValueError, match="no column 'kind' behind the two of nodes"):
        Graphs(relation="kind").load(f"graph:{tmp_path}")


def test_all_labels_outside_of_validation_and_test(tmp_path, monkeypatch):
    (tmp_path / "ind.x.x").touch()
    one, parts = np.arange(8) % 2, (np.array([0, 1]), np.array([2, 3]), np.array([6, 7]))
    found = Planetoid(np.eye(8, dtype=np.float32), np.array([[0, 1], [1, 0]]), one, *parts)
    monkeypatch.setattr("ssljax.data.graphs.read_planetoid", lambda folder: found)
    public, rest = (Graphs(train=t).load(f"graph:{tmp_path}").labels() for t in ("public", "rest"))
    assert list(np.flatnonzero(public >= 0)) == [0, 1]
    assert list(np.flatnonzero(rest >= 0)) == [0, 1, 4, 5]
    tests = [Graphs(train=t).load(f"graph:{tmp_path}", split="test") for t in ("public", "rest")]
    for test in tests:
        assert list(np.flatnonzero(test.labels() >= 0)) == [6, 7]
