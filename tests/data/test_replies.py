"""Prompts and answers of dialogues, told by what each token is."""

import json

import numpy as np
import pytest

from ssljax.data import Dialogues, Replies, Text

pytest.importorskip("tokenizers")
TALK = [("user", "Any table?"), ("system", "Where?"), ("user", "Here."), ("system", "Done. Bye!")]
TEXT = Text(length=30, vocab=262, tokenizer="bpe", lowercase=False)
READER = Replies(text=TEXT, prompt=22, history=2)


@pytest.fixture
def spec(tmp_path):
    turns = [dict(zip(("speaker", "text"), turn, strict=True)) for turn in TALK]
    (tmp_path / "train.jsonl").write_text(json.dumps({"turns": turns}) + "\n", "utf-8")
    return f"dialogues:{tmp_path}"


def test_prompts_and_answers(spec, caplog):
    ready = READER.prepared(spec)
    data = ready.load(spec)
    rows = data.take(np.arange(2))
    assert data.names == ["train.jsonl:1:1", "train.jsonl:1:3"]
    ids = {text: ready.encode(text).tolist() for _, text in TALK}
    first = [2, *ids["Any table?"], 3]
    want = np.zeros((2, 22), int)
    want[0, -len(first) :] = first
    whole = [2, *ids["Any table?"], 3, *ids["Where?"], 2, *ids["Here."], 3][-22:]
    want[1, -len(whole) :] = whole
    np.testing.assert_array_equal(rows["tokens"], want)
    assert rows["segments"].all() and rows["continuation"].shape == (2, 8)
    said = ids["Where?"]
    assert rows["continuation"][0].tolist()[: len(said) + 1] == [*said, 2]
    assert rows["bytes"][0] == len("Where?")
    long = ids["Done. Bye!"]
    assert len(long) > 7 and rows["continuation"][1].tolist() == [*long[:7], 2]
    assert "1 of 2 answers have more than 7 tokens" in caplog.text
    made = ready.rows(["Any table?", [text for _, text in TALK[:3]]])
    np.testing.assert_array_equal(made["tokens"], rows["tokens"])
    assert {k: v for k, v in data.spec.items() if k != "index"} == READER.shapes()
    assert data.vocabulary.decode(said) == "Where?"


def test_the_vocabulary_lies_in_the_run(spec, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    first = READER.prepared(spec, run)
    (tmp_path / "train.jsonl").write_text('{"turns": [{"speaker": "user", "text": "zzz zzz"}]}')
    again = READER.prepared(spec, run)
    assert again.encode("Any table?").tolist() == first.encode("Any table?").tolist()
    with pytest.raises(ValueError, match="with an answer"):
        again.load(spec)


def test_readers_that_make_no_sense():
    with pytest.raises(ValueError, match="keeps all of a text"):
        Replies(text=Text(length=30))
    with pytest.raises(ValueError, match="prompt 29 must lie between"):
        Replies(text=TEXT, prompt=29)
    assert READER.dialogues == Dialogues(text=TEXT, history=2, answers=True)
