"""Genes and proteins: every form of file gives the same letters, and what is none is named."""

import gzip

import numpy as np
import pytest

from ssljax.data import Letters, Text
from ssljax.data.conll import TaggedText
from ssljax.tasks import Tags

READER = Letters(text=Text(tokenizer="characters", vocab=16, length=8, lowercase=False))


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return f"letters:{path}"


FASTA = "; a comment\n>one class=donor x\nACg\nT\n\n>two class=other\nTTA\n>three\nC\n"


def test_fasta_with_classes_and_without(tmp_path):
    spec = put(tmp_path, "a.fasta", FASTA)
    reader = READER.prepared(spec)
    found = reader.load(spec)
    rows = found.take(np.arange(3))
    assert found.names == ["one", "two", "three"] and found.classes == ("donor", "other")
    assert rows["label"].tolist() == [0, 1, -1]
    assert found.readable(rows) == ["ACGT", "TTA", "C"]
    letters = {k: v for k, v in reader.tokenizer.get_vocab().items() if len(k) == 1}
    assert letters == {"A": 5, "C": 6, "G": 7, "T": 8}
    assert rows["tokens"][0].tolist() == [2, 5, 6, 7, 8, 3, 0, 0]
    assert rows["segments"].sum(1).tolist() == [6, 5, 3]
    plain = reader.plain(rows).reshape(3, 8, 16)
    assert plain.sum((1, 2)).tolist() == [6, 5, 3]
    assert plain[1, 3].argmax() == 5  # the A of TTA, behind [CLS], T and T
    packed = put(tmp_path, "b.fa.gz", FASTA.replace("class=", "x="))
    again = reader.load(packed)
    assert again.classes is None and "label" not in again.spec
    np.testing.assert_array_equal(again.take(np.arange(3))["tokens"], rows["tokens"])


def test_a_table_and_the_letters_of_a_run(tmp_path):
    spec = put(tmp_path / "a", "train.data", "EI, x,  acgt\nN,y,ttn\n")
    put(tmp_path / "a", "test.data", "N,z,NNAC\n")
    folder = f"letters:{tmp_path / 'a'}"
    run = tmp_path / "run"
    run.mkdir()
    reader = READER.prepared(folder, run)
    assert reader.splits(folder) == ("train", "test") and READER.splits(spec) == ("train",)
    test = reader.load(folder, split="testing")
    assert test.classes == ("EI", "N") and test.take(np.arange(1))["label"].tolist() == [1]
    # another run of the same folder knows the letters of that one, whatever its data
    other = READER.prepared(put(tmp_path, "o.csv", "N,a,TGCA\n"), run)
    values = other.rows(["acgtn"])["tokens"]
    np.testing.assert_array_equal(values, reader.rows(["ACGTN"])["tokens"])
    assert values[0].tolist() == [2, 5, 6, 7, 9, 8, 3, 0]  # in order of the alphabet: N before T
    with pytest.raises(ValueError, match="sequence 1 holds '1', which is no letter"):
        reader.rows(["A", "A1"])


def test_files_are_classes_where_nothing_else_says_so(tmp_path):
    for name, letters in (("intron", "AC"), ("coding", "GT")):
        put(tmp_path, f"{name}.fa", f">a\n{letters}\n>b\n{letters}\n")
    found = READER.load(f"letters:{tmp_path}")
    assert found.classes == ("coding", "intron")
    assert found.take(np.arange(4))["label"].tolist() == [0, 0, 1, 1]


CHAINS = "# proteins\n<>\nG _\nv h\nA h\n<>\nA e\n<end>\n"


def test_chains_have_a_tag_for_each_letter(tmp_path, caplog):
    put(tmp_path, "train.txt", CHAINS)
    put(tmp_path, "test.txt", "<>\n" + "G _\n" * 7 + "end\n")
    spec = f"letters:{tmp_path}"
    reader = READER.prepared(spec, None)
    assert isinstance(reader, TaggedText) and reader.classes == ("_", "e", "h")
    found = reader.load(spec)
    rows = found.take(np.arange(2))
    assert rows["tags"][:, 1:4].tolist() == [[0, 2, 2], [1, -100, -100]]
    assert np.all((rows["tags"] >= 0) == rows["starts"])
    assert reader.shapes().keys() | {"index"} == found.spec.keys()
    Tags(tags=("_", "e", "h")).check(found)
    assert reader.load(spec, split="test").take(np.arange(1))["starts"].sum() == 6
    assert "1 of 1 sentences are longer than a row of 8 tokens" in caplog.text


def test_what_is_no_sequence(tmp_path, caplog):
    for text, message in {
        "hello world\n": r"f\.txt, line 1 begins no sequence: it is neither FASTA",
        ">a\nAC GT\n": r"f\.txt, line 2 holds ' ', which is no letter",
        ">a\n>b\n": "holds no sequences",
        "\n": "holds no sequences",
        "N,a,ACG\nN,ACG\n": r"line 2 has 2 cells: it needs class, name and letters",
        "<>\nA h\nGG h\n": r"line 3 is 'GG h': a letter and its tag belong",
        "<>\nA h\n<end>\nG h\n": r"line 4 follows the end of a chain: a new one begins",
    }.items():
        with pytest.raises(ValueError, match=message):
            READER.load(put(tmp_path, "f.txt", text))
    assert len(READER.load(put(tmp_path, "g.txt", ">a\nA\n>b\n>c\nC\n"))) == 2
    assert caplog.text.count("left out") == 1
    assert "1 of 3 sequences have no letters and are left out, such as b" in caplog.text
    put(tmp_path / "mix", "train.fa", ">a\nA\n")
    put(tmp_path / "mix", "train.txt", CHAINS)
    with pytest.raises(ValueError, match="mixes chains with tags and other sequences"):
        READER.load(f"letters:{tmp_path / 'mix'}")
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no files"):
        READER.splits(f"letters:{tmp_path / 'none'}")
    with pytest.raises(ValueError, match="are rows of characters"):
        Letters(text=Text())
