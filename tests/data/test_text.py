"""Text on disk, tokenizers, and rows: what is cut, packed, padded and covered."""

import gzip

import numpy as np
import pytest

from ssljax.data import Text
from ssljax.data.documents import document_splits, read_documents
from ssljax.data.tokens import load_tokenizer, save_tokenizer, token_bytes, train_tokenizer

pytest.importorskip("tokenizers")

PLAY = (
    "\n\n".join(f"Speaker {i}:\nWords of number {i}, and more of them." for i in range(40)) + "\n"
)
CHARACTERS = {"tokenizer": "characters", "specials": (), "layout": "windows", "vocab": 60}


@pytest.fixture
def play(tmp_path):
    (tmp_path / "play.txt").write_text(PLAY)
    return f"text:{tmp_path}/play.txt"


@pytest.fixture
def table(tmp_path):
    rows = [f"the film number {i} is {'good' if i % 2 else 'bad'}\t{i % 2}" for i in range(30)]
    (tmp_path / "train.tsv").write_text("\n".join(rows[:20]) + "\n")
    (tmp_path / "dev.tsv").write_text("\n".join(rows[20:]))
    return f"tsv:{tmp_path}"


def test_plain_text_is_cut_at_ninety_percent(play):
    assert document_splits(play) == ("train", "validation")
    train, validation = (read_documents(play, split=s).texts for s in ("train", "val"))
    assert train == [PLAY[: int(0.9 * len(PLAY))]]
    assert train[0] + validation[0] == PLAY
    assert len(read_documents(play, split="train", unit="block").texts) in (36, 37)
    assert document_splits(play + ":train") == ("train",)


def test_files_named_after_a_split_are_all_of_it(tmp_path):
    (tmp_path / "train.en.gz").write_bytes(gzip.compress(b"One line.\nAnother line.\n"))
    (tmp_path / "dev.txt").write_text("x\n\ny")
    spec = f"text:{tmp_path}/train.en.gz"
    assert document_splits(spec) == ("train",)
    assert read_documents(spec, split="train", unit="line").texts == ["One line.", "Another line."]
    assert document_splits(f"text:{tmp_path}") == ("validation",)  # only .txt is text in a folder
    (tmp_path / "dev.en").write_text("z")
    pattern = f"text:{tmp_path}/*.en*"
    assert document_splits(pattern) == ("train", "validation")
    assert read_documents(pattern, split="validation").texts == ["z"]
    with pytest.raises(FileNotFoundError, match="there is no"):
        document_splits(f"text:{tmp_path}/*.fr")


def test_tables(table, tmp_path):
    assert document_splits(table) == ("train", "validation")
    found = read_documents(table, split="dev")
    assert found.texts[0] == "the film number 20 is bad"
    assert found.labels.tolist() == [i % 2 for i in range(20, 30)]
    assert found.classes == ("0", "1")
    csv = tmp_path / "named.csv"
    csv.write_text('category,text\ncards,"a card, ""lost"""\nmoney,"two\nlines"\ncards,x\n')
    found = read_documents(f"csv:{csv}", split="train")
    assert found.texts == ['a card, "lost"', "two\nlines", "x"]
    assert found.names == ["named.csv:2", "named.csv:4", "named.csv:5"]
    assert found.classes == ("cards", "money") and found.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\t0\nb\n", "line 2 has 1 cells"),
        ("label\twrong\n0\tx\n", "text or sentence"),
        ("Satz\tArt\n" + "so ein Satz\tgut\nein anderer Satz\tgut\n" * 2, "Satz | Art, the names"),
    ],
)
def test_bad_tables(tmp_path, content, message):
    (tmp_path / "a.tsv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_documents(f"tsv:{tmp_path}/a.tsv", split="train")


def test_tables_of_one_split_call_their_classes_alike(tmp_path):
    (tmp_path / "train-1.csv").write_text("text,label\na b,1\nc d,0\n")
    (tmp_path / "train-2.csv").write_text("text,topic\na b,sport\nc d,news\n")
    with pytest.raises(ValueError, match=r"column label of .*train-1\.csv and in topic of .*-2"):
        read_documents(f"csv:{tmp_path}", split="train")


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path):
    (tmp_path / "a.txt.GZ").write_bytes(gzip.compress(b"two words\n"))
    assert read_documents(f"text:{tmp_path}/a.txt.GZ:train", split="train").texts == ["two words"]
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(bytes(2**25)))
    with pytest.raises(ValueError, match="more than 200 times as much"):
        read_documents(f"text:{tmp_path}/b.txt.gz", split="train")


def test_bad_names(tmp_path, play):
    with pytest.raises(ValueError, match="did you mean text"):
        read_documents("txt:x", split="train")
    with pytest.raises(FileNotFoundError, match="there is no"):
        read_documents(f"text:{tmp_path}/none", split="train")
    with pytest.raises(ValueError, match="no split 'test'"):
        read_documents(play, split="test")
    (tmp_path / "latin.txt").write_bytes(b"\xe9\xe8")
    with pytest.raises(ValueError, match="UTF-8"):
        read_documents(f"text:{tmp_path}/latin.txt", split="train")


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "characters"])
def test_tokenizers(kind, tmp_path):
    make = lambda: train_tokenizer(kind, [PLAY], vocab=320)  # noqa: E731
    tokenizer = make()
    assert [tokenizer.token_to_id(t) for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [
        *range(5)
    ]
    assert tokenizer.get_vocab_size() <= 320
    assert make().to_str() == tokenizer.to_str()
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    ids = tokenizer.encode(PLAY).ids
    assert again.encode(PLAY).ids == ids
    again.enable_padding(length=3 * len(ids))  # as published files ask for it
    again.enable_truncation(5)
    save_tokenizer(again, tmp_path / "published.json")
    again = load_tokenizer(tmp_path / "published.json")
    assert again.encode(PLAY).ids == ids
    text = again.decode(ids)
    sizes = token_bytes(again)
    if kind == "wordpiece":
        assert sizes is None and text.split()[:2] == ["speaker", "0"]
    else:
        assert text == PLAY
        assert sum(sizes[i] for i in ids) == len(PLAY.encode())


def test_a_vocabulary_of_characters_alone():
    names = sorted(set(PLAY))
    tokenizer = train_tokenizer("characters", [PLAY], vocab=len(names), specials=())
    assert tokenizer.encode(PLAY).ids == [names.index(c) for c in PLAY]
    with pytest.raises(ValueError, match=f"raise --reader.vocab to {len(names)}"):
        train_tokenizer("characters", [PLAY], vocab=5, specials=())
    with pytest.raises(ValueError, match="256 bytes"):
        train_tokenizer("bpe", [PLAY], vocab=100)
    with pytest.raises(ValueError, match="no tokenizer"):
        train_tokenizer("words", [PLAY], vocab=100)


def test_one_document_a_row(table):
    reader = Text(length=8, vocab=400).prepared(table)
    data = reader.load(table, split="validation")
    rows = next(data.once(4))
    assert len(data) == 10 and data.classes == ("0", "1")
    assert rows["label"].tolist() == [0, 1, 0, 1]
    for tokens, segments, text in zip(
        rows["tokens"], rows["segments"], read_documents(table, split="dev").texts
    ):
        n = segments.sum()
        assert (tokens[0], tokens[n - 1]) == (2, 3) and (tokens[n:] == 0).all()
        assert tokens[1 : n - 1].tolist() == reader.encode(text)[:6].tolist()
    counts = reader.plain(rows)
    assert counts.shape == (4, 400) and counts.sum() == (rows["segments"] > 0).sum()
    assert counts[0, 2] == 1 and counts[:, 0].sum() == 0


def test_cut_texts_are_said(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("text\none two three four\none\n")
    Text(length=4, vocab=100).load(f"csv:{tmp_path}/a.csv")
    assert "1 of 2 texts are longer than 4 tokens and are cut (the longest has 6)" in caplog.text


def test_packed_rows_hold_every_document_once(play):
    reader = Text(length=48, vocab=400, layout="packed", words=True).prepared(play)
    data = reader.load(play)
    documents = []
    for rows in data.once(5):
        for tokens, segments, words, real in zip(
            rows["tokens"], rows["segments"], rows["words"], rows["mask"]
        ):
            if not real:
                continue
            assert (np.diff(segments[segments > 0]) >= 0).all()
            for s in range(1, segments.max() + 1):
                (at,) = np.nonzero(segments == s)
                assert (np.diff(at) == 1).all()
                assert (tokens[at[0]], tokens[at[-1]]) == (2, 3)
                documents.append(tuple(tokens[at[1:-1]]))
                assert (words[at[1:-1]] > 0).all() and not words[[at[0], at[-1]]].any()
            inner = words[words > 0]  # numbers of words never come back in another document
            assert (np.diff(inner) >= 0).all()
    want = []
    for text in read_documents(play, split="train", unit="block").texts:
        ids = reader.encode(text)
        want += [tuple(ids[i : i + 46]) for i in range(0, len(ids), 46)]
    assert sorted(documents) == sorted(want)
    share = np.mean([(r["segments"] > 0).mean() for r in data.once(1)])
    assert share > 0.8  # packing beats one document a row by far


def test_windows_cover_a_text_once_and_start_anywhere(play):
    reader = Text(length=17, **CHARACTERS).prepared(play)
    data = reader.load(play, split="train")
    text = read_documents(play, split="train").texts[0]
    stream = reader.encode(text)
    predicted, size = [], 0
    for rows in data.once(7):
        for tokens, segments, count, real in zip(
            rows["tokens"], rows["segments"], rows["bytes"], rows["mask"]
        ):
            if real:
                predicted += tokens[1:][segments[1:] > 0].tolist()
                size += count
    assert predicted == stream[1:].tolist()
    assert size == len(text.encode()) - 1
    epoch = (len(stream) - 16) // 4
    steps = [rows for _, rows in zip(range(epoch), data.batches(4, seed=1))]
    starts = np.concatenate([rows["index"] for rows in steps])
    assert len(set(starts)) == len(starts) == 4 * epoch and starts.max() > len(stream) - 40
    np.testing.assert_array_equal(steps[0]["tokens"][0], stream[starts[0] :][:17])
    resumed = next(data.batches(4, seed=1, start=5))
    np.testing.assert_array_equal(resumed["tokens"], steps[5]["tokens"])
    halves = [next(data.batches(4, seed=1, host=(h, 2)))["tokens"] for h in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(halves), steps[0]["tokens"])


def test_the_tokenizer_of_a_run_is_kept(play, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    text = Text(length=17, **CHARACTERS)
    first = text.prepared(play, run)
    assert (run / "tokenizer.json").is_file()
    (tmp_path / "play.txt").write_text("abc" * 100)  # the data change, the numbers of tokens do not
    again = text.prepared(play, run)
    assert again.encode("Words").tolist() == first.encode("Words").tolist()
    named = Text(length=17, **CHARACTERS | {"tokenizer": str(run / "tokenizer.json")})
    assert named.prepared(play).encode("Words").tolist() == first.encode("Words").tolist()
    assert "".join(first.stream(iter(first.encode(PLAY[:200])))) == PLAY[:200]


def test_bad_readers(play):
    with pytest.raises(ValueError, match="choose documents"):
        Text(layout="rows")
    with pytest.raises(ValueError, match="special tokens"):
        Text(specials=())
    with pytest.raises(ValueError, match="smaller"):
        Text(length=10_000, **CHARACTERS).load(play)
    reader = Text(length=17, **CHARACTERS).prepared(play)
    with pytest.raises(ValueError, match="characters that the training data has not"):
        reader.encode("é")
