"""Images with captions: of class names, and of a table of files."""

import itertools

import numpy as np
import pytest
from PIL import Image

from ssljax.data import Captions, Images, Text

pytest.importorskip("tokenizers")

TEMPLATES = ("a photo of a {}.", "a blurry {}.", "{}")


@pytest.fixture(scope="module")
def reader():
    captions = Captions(text=Text(length=10, vocab=80), templates=TEMPLATES)
    return captions.prepared("digits")


@pytest.fixture(scope="module")
def data(reader):
    return reader.load("digits")


def said(reader, rows):
    return [reader.text.decode(tokens) for tokens in rows["tokens"]]


def test_a_caption_names_the_class(reader, data):
    rows = next(data.batches(64, seed=0))
    assert rows.keys() == data.spec.keys() == {"image", "tokens", "segments", "label", "index"}
    assert {k: (v.shape[1:], v.dtype) for k, v in rows.items()} == data.spec
    for text, label in zip(said(reader, rows), rows["label"]):
        assert text in (f"a photo of a {label}.", f"a blurry {label}.", f"{label}")
    assert (
        len(
            {text.replace(str(label), "") for text, label in zip(said(reader, rows), rows["label"])}
        )
        == 3
    )


def test_batches_depend_on_seed_and_step_alone(data):
    straight = list(itertools.islice(data.batches(32, seed=1), 4))
    later = next(data.batches(32, seed=1, start=3))
    halves = [next(data.batches(32, seed=1, start=3, host=(h, 2))) for h in (0, 1)]
    for name, value in later.items():
        np.testing.assert_array_equal(value, straight[3][name])
        np.testing.assert_array_equal(value, np.concatenate([half[name] for half in halves]))
    assert not np.array_equal(straight[0]["tokens"], next(data.batches(32, seed=2))["tokens"])


def test_a_pass_gives_example_i_template_i(reader, data):
    rows = next(data.once(6))
    labels = rows["label"]
    assert said(reader, rows)[:3] == [
        f"a photo of a {labels[0]}.",
        f"a blurry {labels[1]}.",
        f"{labels[2]}",
    ]
    assert rows["mask"].all() and data.labels()[5] == labels[5]


def test_prompts_are_all_templates_of_all_classes(reader, data):
    rows = next(data.prompts.once(30))
    assert said(reader, rows)[3:5] == ["a photo of a 1.", "a blurry 1."]
    np.testing.assert_array_equal(rows["label"], np.repeat(np.arange(10), 3))


def test_the_tokenizer_of_a_run_is_kept(tmp_path):
    captions = Captions(text=Text(length=10, vocab=80))
    first = captions.prepared("digits", tmp_path)
    again = captions.prepared("digits", tmp_path)
    assert first.text.tokenizer.to_str() == again.text.tokenizer.to_str()
    assert captions.vocab == 80
    sized = Captions(images=Images(size=8, channels=1))
    assert sized.shapes().keys() == {"image", "tokens", "segments"}


def test_a_table_of_files(tmp_path):
    for i in range(4):
        Image.fromarray(np.full((5, 5, 3), 60 * i, np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "train.tsv").write_text(
        "caption\timage\n" + "".join(f"shade number {i}\t{i}.png\n" for i in range(3))
    )
    (tmp_path / "test.tsv").write_text("3.png\tshade number 2")
    reader = Captions(text=Text(length=8, vocab=60)).prepared(f"tsv:{tmp_path}")
    train = reader.load(f"tsv:{tmp_path}")
    rows = next(train.once(3))
    assert rows.keys() == {*train.spec, "mask"} == {"image", "tokens", "segments", "index", "mask"}
    assert [reader.text.decode(t) for t in rows["tokens"]] == [
        f"shade number {i}" for i in range(3)
    ]
    assert rows["image"][:, 0, 0, 0].tolist() == [0, 60, 120]
    assert train.labels() is None and train.prompts is None and not train.labelled
    test = reader.load(f"tsv:{tmp_path}", split="test")
    assert len(test) == 1 and reader.splits(f"tsv:{tmp_path}") == ("train", "test")


def test_what_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match="needs one"):
        Captions(templates=("a photo",))
    with pytest.raises(ValueError, match="name 3"):
        Captions(names=("a", "b", "c")).load("digits")
    (tmp_path / "train.csv").write_text("a.png\n")
    with pytest.raises(ValueError, match="row 1 has no image with a caption"):
        Captions().prepared(f"csv:{tmp_path}/train.csv")
