"""Tables as people publish them: separators, quotes, encodings, columns with and without names."""

import gzip
import os

import pytest

from ssljax.data.cells import read_rows, read_text
from ssljax.data.documents import read_documents


def documents(folder, content, name="a.csv", **options):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_documents(f"{name[-3:]}:{folder}/{name}", split="train", **options)


@pytest.mark.parametrize(
    ("content", "texts", "classes"),
    [
        # AG News: class, title, text, without names; classes from 1
        ('"3","A title","Some, words"\n"1","B","So ""what"""\n',
         ["A title Some, words", 'B So "what"'], ("1", "3")),
        ("5,good food here\n1,bad food there\n", ["good food here", "bad food there"], ("1", "5")),
        ("Class Index,Title,Description\n1,a,b\n2,c,d\n", ["a b", "c d"], ("1", "2")),
        ("text;label\nhello, you;yes\nbye, all;no\n", ["hello, you", "bye, all"], ("no", "yes")),
        ("sep=;\ntext;label\na;1\nb;0\n", ["a", "b"], ("0", "1")),
        ("text\tlabel\na, b\t1\nc\t0\n", ["a, b", "c"], ("0", "1")),
        (",Review,Rating\n0,fine,2\n1,poor,1\n", ["fine", "poor"], ("1", "2")),
        ("text,label,label_text\na,1,spam\nb,0,ham\n", ["a", "b"], ("ham", "spam")),
        ("ham,how are you today\nspam,win a prize now\nham,see you soon then\n",
         ["how are you today", "win a prize now", "see you soon then"], ("ham", "spam")),
        ("text\r\nwell \u2028 said\r\nbad \x0c film \x85 yes\r\n",
         ["well \u2028 said", "bad \x0c film \x85 yes"], None),
        ('text,label\na\rb,1\n"c\rd",0\n', ["a\rb", "c\rd"], ("0", "1")),
        ("text,label\r" + "x" * 140_000 + ",1\rb,0\r", ["x" * 140_000, "b"], ("0", "1")),
        ('text,label\n"two\nlines",1\nb,0\n', ["two\nlines", "b"], ("0", "1")),
        ("Sentence,Sentiment\ngood film,1\nbad film,0\n", ["good film", "bad film"], ("0", "1")),
    ],
)  # fmt: skip
def test_tables_as_they_are_published(tmp_path, content, texts, classes):
    found = documents(tmp_path, content)
    assert found.texts == texts and found.classes == classes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('text,label\n"never closed,1\nb,0\n', "line 2: a quote that begins here is never closed"),
        ('text,label\n"a"b,1\n', "lines 2 to 2.*written twice"),
        ("text\ngood, bad\nfine\n", "line 2 has 2 cells, the first 1"),
        ("text,label,category\na,1,x\nb,0,y\n", "label, category: name one with --reader.label"),
        ("text,mood\na,good\nb,bad\nc,good\n", "in the column mood"),
        ("sentence1,sentence2,label\na,b,1\n", "columns sentence1, sentence2, label.*--reader.col"),
        ("remark,value\nso so,1\nwell now,0\nno,1\n", "is its first row, remark | value"),
        ("id,q1,q2,is_duplicate\n0,why,what,0\n", "the first row is id | q1 | q2 | is_dup"),
        ("a b c d,e f g h\ni j k l,m n o p\n", "is not clear which one is the class"),
        ("text,label\na,0.5\n", "a.csv, line 2: label 0.5 is no class"),
        ("text,label\na,1\nb,4294967299\n", "line 3: label 4294967299"),
        ("text,label\ncaf\u00e9,1\n".encode("latin-1"), "line 2 is not UTF-8 .byte 0xe9"),
        ("text,label\na,1\n".encode("utf-16-le"), "zero bytes"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        documents(tmp_path, content)


def test_columns_by_name_or_number(tmp_path):
    named = "premise,hypothesis,gold,fold\na,b,x,1\nc,d,y,2\n"
    found = documents(tmp_path, named, columns=("premise", "hypothesis"), label="gold")
    assert found.texts == ["a b", "c d"] and found.classes == ("x", "y")
    bare = "gj04\t1\t\tOur friends\ngj05\t0\t*\tThey won\n"
    found = documents(tmp_path, bare, "a.tsv", columns=("4",), label="2")
    assert found.texts == ["Our friends", "They won"] and found.labels.tolist() == [1, 0]
    assert documents(tmp_path, "text,label\na,1\n", label="").labels is None
    with pytest.raises(ValueError, match="no column 'x', only text, label"):
        documents(tmp_path, "text,label\na,1\n", label="x")


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-32"])
def test_marks_of_encodings(tmp_path, coding):
    found = documents(tmp_path, "text,label\ncaf\u00e9,1\nb,0\n".encode(coding))
    assert found.texts == ["caf\u00e9", "b"] and found.classes == ("0", "1")


def test_damaged_gzip_is_named(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    with pytest.raises(ValueError, match=r"a\.txt\.gz is not a readable gzip"):
        read_text(tmp_path / "a.txt.gz")


def test_other_rows_are_as_they_are(tmp_path):
    (tmp_path / "a.tsv").write_text('a "quoted" one\t1\n"unclosed\t0\n')
    rows = [row for _, row in read_rows("tsv", tmp_path / "a.tsv")]
    assert rows == [['a "quoted" one', "1"], ['"unclosed', "0"]]  # quotes mean nothing in .tsv


def test_folders_of_text_are_splits_and_classes(tmp_path, caplog):
    for name in ("train/pos/0.txt", "train/neg/1.txt", "test/pos/2.txt", "train/pos/.3.txt"):
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_text(f"text of {name}")
    os.symlink(tmp_path / "a" / "train", tmp_path / "b")  # without splits, all is for training
    spec = f"text:{tmp_path}/a"
    train, test = (read_documents(spec, split=s) for s in ("train", "test"))
    assert train.classes == test.classes == ("neg", "pos")
    assert train.labels.tolist() == [0, 1] and test.labels.tolist() == [1]
    assert train.names == ["train/neg/1.txt", "train/pos/0.txt"]
    assert "1 hidden (train/pos/.3.txt)" in caplog.text
    flat = read_documents(f"text:{tmp_path}/b", split="train")
    assert flat.labels.tolist() == [0, 1]
