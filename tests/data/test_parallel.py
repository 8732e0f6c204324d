"""Pairs of sentences: files and tables, what is unknown, what was translated back, refusals."""

import gzip

import numpy as np
import pytest

from ssljax.data import Parallel, Text

pytest.importorskip("tokenizers")
TEXT = Text(tokenizer="bpe", vocab=300, length=24, lowercase=False)
READER = Parallel(text=TEXT)
DE, EN = ("Ein Hund.", "Zwei Männer"), ("A dog.", "Two men")


def folder(place, **files):
    for name, lines in files.items():
        data = ("\n".join(lines) + "\n").encode()
        name = name.replace("__", ".")
        (place / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return f"parallel:{place}"


def test_files_tables_and_sentences_without_translation(tmp_path):
    spec = folder(
        tmp_path,
        train__de=DE,
        train__en=EN,
        train__mono__de=["Nur Deutsch"],
        dev__de__gz=DE,
        dev__en__gz=EN,
        test__tsv=["en\tde\tnote", "A dog.\tEin Hund.\tx", "\tLeer\ty"],
    )
    assert READER.splits(spec) == ("train", "validation", "test")
    reader = READER.prepared(spec, None)
    train = reader.load(spec)
    assert train.names == ["train.de:1", "train.de:2", "train.mono.de:1"]
    assert train.readable(train.take(np.arange(3))) == [*DE, "Nur Deutsch"]
    rows = train.take(np.arange(3))
    assert train.spec["translation"] == ((24,), np.dtype(np.int32))
    assert [reader.decode(row[row > 0]) for row in rows["translation"]] == [*EN, ""]
    assert (rows["translation"] == 3).sum(1).tolist() == [1, 1, 0]
    assert train.vocabulary.decode(train.vocabulary.encode(DE[1])) == DE[1]
    test = reader.load(spec, split="test")
    assert [bool(row.any()) for row in test.take(np.arange(2))["translation"]] == [True, False]
    turned = Parallel(text=TEXT, source="en", target="de").load(spec, split="dev")
    assert turned.readable(turned.take(np.arange(2))) == list(EN)
    assert READER.shapes() == {k: v for k, v in train.spec.items() if k != "index"}


def test_back_translations_are_marked_and_no_truth(tmp_path, caplog):
    spec = folder(tmp_path, train__de=DE, train__en=EN, test__de=DE, test__en=EN)
    table = tmp_path / "made" / "back.tsv"
    table.parent.mkdir()
    table.write_text("text\ttranslation\tconfidence\nA cat.\tEine Katze\t0.25\nNo.\t\t0\n")
    reader = Parallel(text=TEXT, back=str(table)).prepared(spec)
    train = reader.load(spec)
    rows = train.take(np.arange(3))
    assert len(train) == 3 and train.names[2] == "back.tsv:2"
    assert rows["tokens"][:, 1].tolist()[2] == 4 and train.readable(rows)[2] == "Eine Katze"
    n = rows["segments"][2].sum()
    assert rows["tokens"][2, n - 1] == 3 and rows["tokens"][2, 0] == 2
    assert not rows["translation"][2].any() and not rows["brought"][:2].any()
    assert reader.decode(rows["brought"][2][rows["brought"][2] > 0]) == "A cat."
    np.testing.assert_allclose(rows["sure"], [0, 0, 0.25])
    assert "brought" not in reader.load(spec, split="test").spec
    assert "lose their last token" not in caplog.text
    table.write_text(f"text\ttranslation\tconfidence\nA cat.\t{'Katze ' * 60}\t0.25\n")
    rows = Parallel(text=TEXT, back=str(table)).prepared(spec).load(spec).take(np.arange(3))
    assert rows["tokens"][2, -1] == 3
    assert "1 of 1 back-translations fill their row and lose their last token" in caplog.text


def test_what_cannot_be_read(tmp_path):
    for bad, files in (
        ("train.de has 2 lines and .*train.en 1", {"train__de": DE, "train__en": EN[:1]}),
        ("train.en, line 2 is empty", {"train__de": DE, "train__en": ["A dog.", ""]}),
        ("train.de, line 1 has nothing", {"train__de": ["", "x"], "train__en": EN}),
        ("line 1 names the columns de, fr", {"train__tsv": ["de\tfr", "a\tb"]}),
        ("holds no sentences of 'de'", {"train__en": EN}),
    ):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        place.mkdir()
        with pytest.raises(ValueError, match=bad):
            READER.load(folder(place, **files))
    place = tmp_path / "latin"
    place.mkdir()
    (place / "train.de").write_bytes("Männer\n".encode("latin-1"))
    (place / "train.en").write_text("Men\n")
    with pytest.raises(ValueError, match=r"train\.de, line 1 is not UTF-8"):
        READER.load(f"parallel:{place}")
    with pytest.raises(ValueError, match="with its spaces and capital letters"):
        Parallel(text=Text())
    with pytest.raises(ValueError, match="name two languages"):
        Parallel(source="en")


def test_multi30k(shared_data):
    """As it lies there: 29,000 pairs of captions."""
    pairs = READER._read(f"parallel:{shared_data / 'multi30k'}", "train")
    assert len(pairs) == 29_000 and all(p.translation for p in pairs)
    assert pairs[0].name == "train.de.gz:1" and pairs[0].text.startswith("Zwei junge weiße Männer")
