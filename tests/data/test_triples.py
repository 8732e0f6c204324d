"""Knowledge graphs from files, and what is drawn for them."""

import gzip
import itertools
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssljax.data import TripleData, Triples

TRAIN = "b\tlikes\ta\na\tlikes\tc\nc\tis\ta\na\tlikes\tb\n"


def folder(tmp_path, train=TRAIN, test="b\tlikes\tc\n"):
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "test.txt").write_text(test)
    return f"triples:{tmp_path}"


def test_names_are_kept_and_numbered_in_order(tmp_path):
    spec = folder(tmp_path)
    data = Triples().load(spec)
    assert (data.entities, data.relations) == (("a", "b", "c"), ("is", "likes"))
    np.testing.assert_array_equal(
        data.take(np.arange(4))["triple"], [[1, 1, 0], [0, 1, 2], [2, 0, 0], [0, 1, 1]]
    )
    assert data.names[1] == "a\tlikes\tc"
    assert Triples().splits(spec) == ("train", "test")
    # 1 / sqrt(n(h, r) + n(t, r) + 6): a likes two, and one likes a
    np.testing.assert_allclose(data.take(np.array([1, 0]))["weight"], [1 / 3, 8**-0.5])


def test_the_same_from_gzip_and_parquet(tmp_path):
    plain = Triples().load(folder(tmp_path)).take(np.arange(4))["triple"]
    rows = [line.split("\t") for line in TRAIN.splitlines()]
    table = pa.table(dict(zip(("head", "relation", "tail"), zip(*rows, strict=True), strict=True)))
    (tmp_path / "train.txt").unlink()
    pq.write_table(table, tmp_path / "train.parquet")
    np.testing.assert_array_equal(
        Triples().load(f"triples:{tmp_path}").take(np.arange(4))["triple"], plain
    )
    (tmp_path / "train.parquet").unlink()
    (tmp_path / "train.tsv.gz").write_bytes(gzip.compress(TRAIN.encode()))
    np.testing.assert_array_equal(
        Triples().load(f"triples:{tmp_path}").take(np.arange(4))["triple"], plain
    )


def test_once_brings_all_other_right_answers(tmp_path):
    rows = next(Triples().load(folder(tmp_path), split="test").once(1))
    # b likes c: a likes c too (train), and b likes a too.
    assert [set(side) - {-1} for side in rows["known"][0].tolist()] == [{0}, {0}]
    assert set(rows["related"][0].tolist()) == {-1}


def test_negatives_are_never_true_and_follow_from_seed_and_step():
    rng = np.random.default_rng(0)
    triple = np.unique(np.stack([rng.integers(0, n, 60) for n in (9, 2, 9)], axis=1), axis=0)
    data = TripleData(triple, entities=tuple("abcdefghi"), relations=("x", "y"), negatives=200)
    right, drawn = set(map(tuple, triple.tolist())), {}
    batches = list(itertools.islice(data.batches(16, seed=1), 4))
    for rows in batches:
        for (h, r, t), (heads, tails) in zip(
            rows["triple"].tolist(), rows["negative"].tolist(), strict=True
        ):
            assert not any((e, r, t) in right for e in heads)
            assert not any((h, r, e) in right for e in tails)
            drawn[h, r, "tail"] = set(tails)
            drawn["head", r, t] = set(heads)
    for (h, r, t), found in drawn.items():  # nothing that is wrong is left out
        known = {(a if h == "head" else b) for a, k, b in right if k == r and (a == h or b == t)}
        assert found == set(range(9)) - known
    later = next(data.batches(16, seed=1, start=3))
    for k in later:
        np.testing.assert_array_equal(later[k], batches[3][k])
    halves = [next(data.batches(16, seed=1, host=(h, 2))) for h in range(2)]
    for k in later:  # any number of hosts sees the same batch
        np.testing.assert_array_equal(np.concatenate([h[k] for h in halves]), batches[0][k])


def test_an_unknown_entity_is_refused_by_name_or_said(tmp_path, caplog):
    spec = folder(tmp_path, test="b\tlikes\tc\nb\tlikes\tz\n")
    with pytest.raises(ValueError, match=r"test.txt: row 2 has the tail 'z'.*unseen"):
        Triples().load(spec, split="test")
    with caplog.at_level(logging.WARNING):
        assert len(Triples(unseen="leave_out").load(spec, split="test")) == 1
    assert "1 of 2 triples" in caplog.text


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ("a\tlikes\n", r"train.txt cannot be read as triples"),
        ("a\tlikes\tb\na\t\tb\n", r"train.txt: row 2 has no relation"),
        ("", r"train.txt"),
    ],
)
def test_damaged_files_are_named(tmp_path, train, said):
    with pytest.raises(ValueError, match=said):
        Triples().load(folder(tmp_path, train=train))


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no train part"):
        Triples().load(f"triples:{tmp_path}")
    with pytest.raises(ValueError, match="triple 0 is"):
        TripleData(np.array([[0, 0, 5]]), entities=("a",), relations=("r",))


def test_real_knowledge_graphs(shared_data):
    data = Triples().load(f"triples:{shared_data}/umls", split="test")
    assert (len(data), len(data.entities), len(data.relations)) == (661, 135, 46)
