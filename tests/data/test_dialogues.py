"""Dialogues: rows against a naive loop, intents, answers, refusals, and a recipe on a tiny file."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT

from ssljax.data import Dialogues, Text
from ssljax.runs import record
from ssljax.selftraining.run import run_self_training

pytest.importorskip("tokenizers")
LONG = "and book a very long table for two and two and two, and two and two more"
TALK = [
    [
        ("user", "Any table for two?", ["Table"]),
        ("system", "Where?", []),
        ("user", "Rome", ["Table"]),
    ],
    [
        ("user", "Play a song", ["Song"]),
        (
            "user",
            "and book a very long table for two and two and two, and two and two more",
            ["Song", "Table"],
        ),
        ("system", "Done.", []),
        ("user", "", []),
    ],
]
OTHER = [[("user", "Wake me", ["Alarm"]), ("system", "When?", []), ("user", "Play", ["Song"])]]
READER = Dialogues(text=Text(vocab=120, length=16), history=2)


def lines(dialogues):
    keys = ("speaker", "text", "intents")
    return [json.dumps({"turns": [dict(zip(keys, t, strict=True)) for t in d]}) for d in dialogues]


def written(place, train=TALK, test=OTHER):
    (place / "train.jsonl").write_text("\n".join(lines(train)) + "\n\n", "utf-8")
    (place / "test.jsonl.gz").write_bytes(gzip.compress("\n".join(lines(test)).encode()))
    return f"dialogues:{place}"


def labels_of(data):
    return data.take(np.arange(len(data)))["label"].tolist()


def naive(reader, encode, turns, i, history):
    """Row i of a dialogue, token by token: (tokens, types)."""
    room = reader.text.length
    own = [*[(t, 0) for t in encode(turns[i][1])][: room - 2], (3, 0)]
    before = []
    for j in range(i - 1, max(-1, i - 1 - history), -1):
        other = int(turns[j][0] != "user")
        more = [(t, other) for t in encode(turns[j][1])] + [(3, other)]
        if 1 + len(more) + len(before) + len(own) > room:
            break
        before = more + before
    row = [(2, 0), *before, *own]
    return [t for t, _ in row], [k for _, k in row]


@pytest.mark.parametrize("history", [0, 1, 2, 9])
def test_rows_are_those_of_a_naive_loop(tmp_path, history):
    reader = replace(READER, history=history)
    ready = reader.prepared(written(tmp_path))
    data = ready.load(f"dialogues:{tmp_path}")
    rows = data.take(np.arange(len(data)))
    turns = [(d, i) for d in TALK for i, t in enumerate(d) if t[0] == "user"]
    assert len(turns) == len(data) == 5
    for r, (d, i) in enumerate(turns):
        tokens, types = naive(reader, lambda x: ready.encode(x).tolist(), d, i, history)
        for name, want in (("tokens", tokens), ("types", types), ("segments", [1] * len(tokens))):
            assert rows[name][r].tolist() == want + [0] * (16 - len(want)), (name, r)
    assert reader.shapes() == {k: v for k, v in data.spec.items() if k not in ("index", "label")}
    assert reader.plain(rows).sum() == (rows["segments"] > 0).sum()


def test_intents_are_those_of_training_and_the_rest_is_said(tmp_path, caplog):
    spec, run = written(tmp_path), tmp_path / "run"
    run.mkdir()
    ready = READER.prepared(spec, run)
    train, test = ready.load(spec), ready.load(spec, split="test")
    assert READER.splits(spec) == ("train", "test")
    assert train.classes == test.classes == ("Song", "Table")
    assert labels_of(train) == [1, 1, 0, -1, -1] and labels_of(test) == [-1, 0]
    assert train.names == [f"train.jsonl:{x}" for x in ("1:1", "1:3", "2:1", "2:2", "2:4")]
    assert "1 turns count as without intent: 1 have several, 0 one that" in caplog.text
    assert "0 have several, 1 one that training has not (Alarm)" in caplog.text
    assert "1 of 5 turns are longer than 16 tokens and are cut" in caplog.text
    assert ready.readable(train.take(np.array([1]))) == ["any table for two? where? rome"]
    again = READER.prepared(f"dialogues:{tmp_path}/test.jsonl.gz", run)  # as the run has learned
    assert again.classes == train.classes
    said = again.rows(["Rome", ["no", "Any table for two?", "Where?", "Rome"]])
    rows = train.take(np.array([1]))
    for name in ("tokens", "types", "segments"):
        assert said[name][1].tolist() == rows[name][0].tolist()
    assert not said["types"][0].any()


def test_answers(tmp_path):
    reader = replace(READER, answers=True)
    ready = reader.prepared(written(tmp_path))
    data = ready.load(f"dialogues:{tmp_path}")
    rows = data.take(np.arange(len(data)))
    assert data.names == ["train.jsonl:1:1", "train.jsonl:2:2"]  # others have no answer
    told = {"tokens": rows["answer"], "segments": rows["answer_segments"]}
    assert ready.readable(told) == ["where?", "done."]
    assert reader.shapes() == {k: v for k, v in data.spec.items() if k not in ("index", "label")}
    with pytest.raises(ValueError, match=r"holds no turn of 'user' with an answer"):
        reader.load(written(tmp_path, train=[[TALK[0][0]]]))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"turns": 1}', "line 2 has no turns: write"),
        ('{"turns": []}', "line 2 has no turns"),
        ("[1]", "line 2 has no turns"),
        ("{", r"line 2 is not JSON \("),
        ('{"turns": [7]}', "line 2, turn 1 has no speaker"),
        ('{"turns": [{"speaker": "user"}]}', "line 2, turn 1 has no text"),
        ('{"turns": [{"speaker": "user", "text": 3}]}', "line 2, turn 1 has no text"),
        (
            '{"turns": [{"speaker": "user", "text": "a", "intents": [3]}]}',
            r"line 2, turn 1: intents \[3\] must be a list of texts",
        ),
        (
            '{"turns": [{"speaker": "user", "text": "a", "intents": "Song"}]}',
            "turn 1: intents 'Song' must be a list of texts",
        ),
    ],
)
def test_lines_that_are_no_dialogues(tmp_path, text, match):
    spec = written(tmp_path)
    (tmp_path / "train.jsonl").write_text(f"{lines(TALK)[0]}\n{text}\n", "utf-8")
    with pytest.raises(ValueError, match=match) as error:
        READER.load(spec)
    assert "train.jsonl, line 2" in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_no_dialogues(tmp_path):
    spec = written(tmp_path)
    (tmp_path / "test.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match=r"test\.jsonl\.gz is not a readable gzip file"):
        READER.load(spec, split="test")
    (tmp_path / "train.jsonl").write_bytes(lines(TALK)[0].encode() + b"\n\xff\n")
    with pytest.raises(ValueError, match=r"train\.jsonl, line 2 is not UTF-8"):
        READER.load(spec)
    (tmp_path / "train.jsonl").write_text("\n")
    with pytest.raises(ValueError, match=r"holds no turn of 'user', and no dialogue"):
        READER.load(spec)
    (tmp_path / "train.jsonl").write_text(lines([[("me", "a", [])]])[0])
    with pytest.raises(ValueError, match=r"no turn of 'user': its speakers are me"):
        READER.load(spec)
    with pytest.raises(FileNotFoundError, match="there is no"):
        READER.load(f"dialogues:{tmp_path}/x")
    with pytest.raises(ValueError, match="history -1 must be 0 turns or more"):
        Dialogues(history=-1)
    with pytest.raises(ValueError, match="a row is one turn with its history"):
        Dialogues(text=Text(layout="packed"))


def recipe():
    config = record.load_file(ROOT / "experiments" / "selftrain_sgd_intents.py").SELFTRAIN
    reader = replace(config.reader, text=replace(config.reader.text, vocab=2048, length=16))
    small = replace(config.pretrain.method.encoder, width=8, heads=2, hidden=8, depth=1, length=16)
    first = replace(
        config.pretrain,
        method=replace(config.pretrain.method, encoder=small),
        optimizer=replace(config.pretrain.optimizer, warmup=0),
        steps=2,
        batch=8,
        cadence=replace(config.pretrain.cadence, log=1, save=2, steps_per_call=1),
    )
    task = replace(
        config.learner.task, encoder=small, target=replace(config.learner.task.target, classes=2)
    )
    learner = replace(config.learner, task=task, optimizer=first.optimizer, steps=2, batch=8)
    config = replace(config, learner=learner, reader=reader, few=1, pretrain=first, seeds=(0,))
    return replace(config, rounds=replace(config.rounds, count=1), full=False)


def test_the_recipe_runs_on_a_tiny_file(tmp_path):
    spec = written(tmp_path, train=TALK * 3)
    found = run_self_training(replace(recipe(), data=spec), tmp_path / "run")
    assert (
        found["seeds"][0]["labels"] == 2
        and 0 <= found["seeds"][0]["rounds"][-1]["test"]["score"] <= 1
    )


def test_the_recipe_without_any_intent_is_refused(tmp_path):
    bare = [[(who, text, []) for who, text, _ in d] for d in TALK * 3]
    spec = written(tmp_path, train=bare, test=bare)
    with pytest.raises(ValueError, match="label") as error:
        run_self_training(replace(recipe(), data=spec), tmp_path / "run")
    assert "\n" not in str(error.value)
    print(error.value)
