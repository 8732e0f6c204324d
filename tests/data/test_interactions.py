"""Interactions from files: what is numbered, held out, counted and named."""

import gzip
import itertools
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssljax.data import Interactions

RATINGS = """user,item,rating,time
b,y,4,30
b,x,5,10
a,x,1,20
b,z,2,20
a,y,3,10
"""
USERS = "user,age,job\na,20,\nb,40,cook\nc,30,baker\n"
ITEMS = 'item,title,tags\nx,"X, the first",one|two\ny,Y,two\nz,,\n'


def folder(tmp_path, ratings=RATINGS, **more):
    (tmp_path / "interactions.csv").write_text(ratings)
    for name, text in ({"users": USERS, "items": ITEMS} | more).items():
        (tmp_path / f"{name}.csv").write_text(text)
    return f"interactions:{tmp_path}"


def all_of(spec, reader=Interactions(), splits=("train", "validation", "test")):
    parts = {s: reader.load(spec, split=s) for s in splits}
    return {s: set(part.names) for s, part in parts.items()}


def test_ids_are_kept_and_side_features_become_fields(tmp_path):
    data = Interactions(split="last").load(folder(tmp_path))
    here = data.catalogue
    assert (here.users, here.items) == (("a", "b"), ("x", "y", "z"))
    assert here.titles == ("X, the first", "Y", "z")
    assert here.sizes == (1, 1, 1, 1, 2)
    assert here.features == (
        *("user=a", "user=b", "age", "job=cook"),
        *("item=x", "item=y", "item=z", "tags=one", "tags=two"),
    )
    fields = here.fields(np.array([1, 0]), np.array([0, 2]))
    np.testing.assert_array_equal(fields["feature"], [[1, 2, 3, 4, 7, 8], [0, 2, 3, 6, 7, 7]])
    np.testing.assert_allclose(fields["amount"], [[1, 1, 1, 1, 0.5, 0.5], [1, -1, 0, 1, 0, 0]])
    rows = data.take(np.arange(len(data)))
    assert data.names == ["b\tx", "a\tx", "a\ty"]  # b's other two are held out, a has too few
    assert data.origin.tolist() == [1, 2, 4]
    np.testing.assert_array_equal(rows["rating"], [5, 1, 3])
    np.testing.assert_array_equal(rows["feature"][0], fields["feature"][0])


def test_what_is_known_without_the_number_of_the_item(tmp_path):
    spec = folder(tmp_path)
    here = Interactions(split="last", item_ids=False).load(spec).catalogue
    assert here.of_items.names == ("tags=one", "tags=two")
    with pytest.raises(ValueError, match="says nothing of any item"):
        Interactions(split="last", item_ids=False, drop=("tags",)).load(spec)


def test_columns_of_numbers_may_be_names(tmp_path):
    reader = Interactions(split="last", categories=("age",))
    assert "age=20" in reader.load(folder(tmp_path)).catalogue.features


def test_the_same_from_tsv_gzip_and_parquet(tmp_path):
    reader, kept = Interactions(split="last"), []
    words = [line.split(",") for line in RATINGS.splitlines()]
    columns = dict(zip(words[0], zip(*words[1:], strict=True), strict=True))
    table = pa.table(
        {
            k: pa.array(v).cast("int64" if k > "j" and k != "user" else "string")
            for k, v in columns.items()
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    tabs = RATINGS.replace(",", "\t").encode()
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(tabs))
    (tmp_path / "c.csv").write_text(RATINGS)
    for name in ("a.parquet", "b.tsv.gz", "c.csv"):
        data = reader.load(f"interactions:{tmp_path / name}")
        kept.append(data.take(np.arange(len(data))))
    for key, value in kept[0].items():
        for other in kept[1:]:
            np.testing.assert_array_equal(value, other[key])


def many(tmp_path, users=30, items=25):
    rng = np.random.default_rng(0)
    rows = ["user,item,rating,time"]
    for user in range(users):
        for item in rng.permutation(items)[: 2 if user == 7 else 20]:
            rows.append(f"{user},{item},{rng.integers(1, 6)},{rng.integers(1000)}")
    return folder(tmp_path, "\n".join(rows), users="user\n0\n", items="item\n0\n")


def test_a_tenth_of_each_user_is_held_out_by_the_seed(tmp_path):
    spec = many(tmp_path)
    found = all_of(spec)
    assert not set.intersection(*found.values())
    of = {
        s: np.unique([n.split("\t")[0] for n in names], return_counts=True)
        for s, names in found.items()
    }
    for part in ("validation", "test"):
        assert len(of[part][0]) == 29 and "7" not in of[part][0]  # which has but two
        assert (of[part][1] == 2).all()
    assert found == all_of(spec)
    assert found != all_of(spec, Interactions(seed=1))
    named = Interactions().load(f"{spec}:validation", split="test")
    assert set(named.names) == found["validation"]


def test_the_last_of_each_user_is_held_out(tmp_path):
    spec = many(tmp_path)
    found = all_of(spec, Interactions(split="last"))
    lines = [line.split(",") for line in (tmp_path / "interactions.csv").read_text().split()[1:]]
    for user in ("3", "9"):
        mine = sorted((int(t), i, it) for i, (u, it, _, t) in enumerate(lines) if u == user)
        assert f"{user}\t{mine[-1][2]}" in found["test"]
        assert f"{user}\t{mine[-2][2]}" in found["validation"]
    assert len(found["test"]) == 29


def test_items_are_held_out_whole(tmp_path):
    found = all_of(many(tmp_path), Interactions(split="items"))
    items = [{name.split("\t")[1] for name in names} for names in found.values()]
    assert len(set.union(*items)) == sum(map(len, items)) == 25
    assert [len(i) for i in items] == [21, 2, 2]


def test_rankings_draw_what_was_not_seen_and_ask_for_what_was_held_out(tmp_path):
    spec, reader = many(tmp_path), Interactions(learn="rank", negatives=40)
    train, test = reader.load(spec), reader.load(spec, split="test")
    seen = {u: set() for u in range(30)}
    for u, i in zip(*train.pairs, strict=True):
        seen[int(u)].add(int(i))
    batches = list(itertools.islice(train.batches(64, seed=1), 3))
    for rows in batches:
        for u, wrong in zip(rows["user"].tolist(), rows["negative"].tolist(), strict=True):
            assert not seen[u] & set(wrong)
    halves = [next(train.batches(64, seed=1, start=2, host=(h, 2))) for h in range(2)]
    for key, value in batches[2].items():  # any number of hosts, begun anywhere
        np.testing.assert_array_equal(np.concatenate([h[key] for h in halves]), value)
    held = all_of(spec, Interactions())
    rows = next(test.once(29))
    for u, wanted, known in zip(rows["user"], rows["wanted"], rows["seen"], strict=True):
        expected = [
            {int(n.split("\t")[1]) for s in splits for n in held[s] if n.split("\t")[0] == str(u)}
            for splits in (("test",), ("train", "validation"))
        ]
        assert [set(wanted) - {-1}, set(known) - {-1}] == expected


def test_what_comes_next_in_rows_of_the_last_items(tmp_path):
    """Against the lines of the file in a plain loop: rows, what they are cut to, what is asked."""
    spec, length = many(tmp_path), 12
    reader = Interactions(learn="next", split="last", length=length, negatives=2)
    lines = [line.split(",") for line in (tmp_path / "interactions.csv").read_text().split()[1:]]
    of = {u: [] for u in range(30)}
    for user, item, *_ in sorted(lines, key=lambda line: int(line[3])):  # ties as in the file
        of[int(user)].append(int(item))
    train, test = reader.load(spec), reader.load(spec, split="test")
    assert len(train) == 30 and len(train.pairs[0]) == 29 * 18 + 2
    rows = next(train.batches(30, seed=1))
    again = next(train.batches(30, seed=1, host=(1, 2)))
    np.testing.assert_array_equal(rows["negative"][15:], again["negative"])
    assert rows["negative"].shape == (30, length - 1, 2)
    for b, user in enumerate(rows["user"]):
        mine = of[user] if user == 7 else of[user][:-2]
        assert rows["sequence"][b][rows["real"][b]].tolist() == mine[-length:]
        assert rows["real"][b].sum() == min(len(mine), length) and rows["real"][b, -1]
        assert not set(mine) & set(rows["negative"][b].ravel().tolist())
    assert train.part(np.array([3, 5])).names == ["3", "5"]
    rows = next(test.once(29))
    for b, user in enumerate(rows["user"]):
        assert rows["sequence"][b].tolist() == of[user][-1 - length : -1]
        assert set(rows["wanted"][b]) - {-1} == {of[user][-1]}
        assert set(rows["seen"][b]) - {-1} == set(of[user][:-1])
    assert all(rows[k].shape[1:] == test.spec[k][0] for k in rows if k != "mask")


def test_who_is_cut_or_left_out_is_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        reader = Interactions(learn="next", split="last", length=2)
        assert len(reader.load(folder(tmp_path, RATINGS + "b,w,1,40\nb,v,1,50\nd,x,3,1\n"))) == 2
    assert "1 of 3 users have fewer than two items" in caplog.text
    assert "1 of 3 users have more than 2, of which only the last are learned" in caplog.text
    with pytest.raises(ValueError, match=r"choose --reader\.split last or given"):
        Interactions(learn="next")
    with pytest.raises(ValueError, match="no user has two items"):
        reader.load(folder(tmp_path, "user,item,rating,time\na,x,1,1\nb,x,1,2\n"))


def test_a_split_that_the_file_gives(tmp_path, caplog):
    given = ["train", "training", "test", "dev", "test"]
    lines = [f"{line},{p}" for line, p in zip(RATINGS.split()[1:], given, strict=True)]
    spec = folder(tmp_path, "\n".join(["user,item,rating,time,split", *lines, "c,x,3,1,test"]))
    reader = Interactions(split="given")
    assert reader.splits(spec) == ("train", "validation", "test")
    with caplog.at_level(logging.WARNING):
        found = all_of(spec, reader)
    assert found == {
        "train": {"b\ty", "b\tx"},
        "validation": {"b\tz"},
        "test": {"a\tx", "a\ty", "c\tx"},
    }
    assert "2 of 3 users have no row for training, such as a, c" in caplog.text
    assert "1 of 3 items have no row for training, such as z" in caplog.text
    spec = folder(tmp_path, "\n".join(["user,item,rating,split", "a,x,1,train", "a,y,1,some"]))
    with pytest.raises(ValueError, match="row 2: split 'some' is none of train, validation, test"):
        reader.load(spec)
    with pytest.raises(ValueError, match="no column 'split' that says"):
        reader.load(folder(tmp_path))


def test_users_without_a_whole_row_and_those_of_no_row_are_named(tmp_path, caplog):
    spec = folder(tmp_path, RATINGS + "e,x,9,10\n", users=USERS + "f,30,m\n")
    with caplog.at_level(logging.WARNING):
        Interactions(split="last", scale=(1.0, 5.0), broken="leave_out").load(spec)
    assert "users without a row that can be used, left out: 1, such as e" in caplog.text
    assert "users of their table without a usable interaction" in caplog.text
    assert "left out: 2, such as c, f" in caplog.text


BROKEN = RATINGS + "a,,3,1\n,x,3,1\na,z,9,1\nb,w,3,soon\na,x,2,40\n"


def test_broken_rows_are_counted_and_named_or_left_out(tmp_path, caplog):
    spec = folder(tmp_path, BROKEN)
    said = (
        r"1 with no user, such as row 7 .*1 with no item, such as row 6 of user 'a'.*"
        r"1 with a rating outside 1 to 5, such as row 8 .*1 with a time that is no number.*row 9.*"
        r"1 with an earlier row of the same user and item, such as row 3 of user 'a' and item 'x'"
    )
    with pytest.raises(ValueError, match=said):
        Interactions(scale=(1.0, 5.0)).load(spec)
    reader = Interactions(scale=(1.0, 5.0), broken="leave_out", split="last")
    with caplog.at_level(logging.WARNING):
        data = reader.load(spec)
    assert "rows that are left out" in caplog.text
    assert data.names == ["b\tx", "a\ty", "a\tx"]
    assert data.take(np.array([2]))["rating"] == 2


def test_ids_that_occur_once_are_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        Interactions(split="last").load(folder(tmp_path))
    assert "1 of 3 items occur once, such as z" in caplog.text


@pytest.mark.parametrize(
    ("ratings", "reader", "said"),
    [
        ("who,item\na,x\n", Interactions(), "no column 'user'.*--reader.user"),
        ("user,item\na,x\n", Interactions(), "no column 'rating'.*--reader.learn rank"),
        ("user,item\na,x\n", Interactions(learn="rank", split="last"), "no column 'time'"),
        ("user,item,rating\n", Interactions(), "no rows"),
        ("user,item,rating\na,x\n", Interactions(), "cannot be read"),
        ("user,user,item,rating\na,a,x,1\n", Interactions(), "two columns of one name"),
        ("user,item,rating\na,x,1\nb,x,2\n", Interactions(), "nothing is left for test"),
    ],
)
def test_files_that_lack_something_are_named(tmp_path, ratings, reader, said):
    with pytest.raises(ValueError, match=said):
        reader.load(folder(tmp_path, ratings, users=USERS, items=ITEMS), split="test")


def test_two_rows_of_a_user_are_refused(tmp_path):
    with pytest.raises(ValueError, match="several rows of a"):
        Interactions(split="last").load(folder(tmp_path, users="user,age\na,1\na,2\nb,3\n"))


def test_real_movielens(shared_data):
    data = Interactions(learn="click", split="last").load(f"interactions:{shared_data}/ml-100k")
    here = data.catalogue
    assert (len(data), len(here.users), len(here.items)) == (98_114, 943, 1682)
    assert (here.titles[0], here.users[0], here.scale) == ("Toy Story (1995)", "1", (1.0, 5.0))
    assert here.sizes == (1, 1, 1, 1, 1, 1, 6)
    reader, spec = Interactions(split="given"), f"interactions:{shared_data}/ml-100k"
    assert reader.splits(spec) == ("train", "test")
    train, test = (reader.load(spec, split=split) for split in reader.splits(spec))
    assert (len(train), len(test), np.unique(test.pairs[0], return_counts=True)[1].max()) == (
        *(90_570, 9_430, 10),
    )
    assert not set(train.names) & set(test.names)
    with pytest.raises(FileNotFoundError, match=r"no u1\.base"):
        Interactions(split="given", fold="u1").load(spec)
    assert abs(data.take(np.arange(len(data)))["clicked"].mean() - 0.5538) < 0.01
