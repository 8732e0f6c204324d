"""Answers of dialogues through the engine, and a talk with what has learned them."""

import io
import json
import sys

import pytest

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.cli.commands import main
from ssljax.data import Continuations, Replies, Text
from ssljax.nets import GPT2
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Threshold
from ssljax.selftraining.learners import Network
from ssljax.selftraining.run import run_self_training
from ssljax.tasks import Continuation, Task, TokenInput

pytest.importorskip("tokenizers")
NET = GPT2(vocab=20, width=16, depth=1, heads=1, length=20, dropout=0.0, attention_dropout=0.0)
TEXT = Text(length=20, vocab=20, tokenizer="characters", lowercase=False)


def plan(data, **fields):
    usual = {"reader": Replies(text=TEXT, prompt=12, history=2), "few": 12, "full": False}
    target = Continuation(network=NET, length=8, eos=2)
    return SelfTraining(
        learner=Network(
            task=Task(inputs=TokenInput(), encoder=NET, target=target),
            optimizer=Optimizer(name="adam", learning_rate=0.03, per_batch=None),
            steps=80,
            batch=8,
            cadence=Cadence(log=80, save=80, keep=1, monitor=0),
        ),
        data=data,
        rounds=Rounds(count=1, select=Threshold(value=0.0)),
        seeds=(0,),
        **usual | fields,
    )


def test_answers_are_learnt_and_told(tmp_path, capsys, monkeypatch):
    """The answer to a is xx, to b it is y: learnt from few of many dialogues."""
    turns = [("user", "a"), ("system", "xx"), ("user", "b"), ("system", "y")]
    talk = {"turns": [{"speaker": who, "text": text} for who, text in turns]}
    for split, count in (("train", 20), ("test", 3)):
        lines = "\n".join([json.dumps(talk)] * count)
        (tmp_path / f"{split}.jsonl").write_text(lines + "\n", "utf-8")
    run = tmp_path / "run"
    results = run_self_training(plan(f"dialogues:{tmp_path}"), run)
    test = results["seeds"][0]["rounds"][-1]["test"]
    assert test["score"] == test["bits_per_byte"] < 0.5
    # Three times xx and three times y: two different words of six, and no pair of words.
    assert test["distinct_1"] == pytest.approx(2 / 6) and test["distinct_2"] == 0
    capsys.readouterr()
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").unlink()  # a talk does not need the data
    main(["chat", str(run), "--say", "a", "--say", "b"])
    assert capsys.readouterr().out == "xx\ny\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb\n\na\n"))
    main(["chat", str(run)])
    assert capsys.readouterr().out == "xx\ny\nxx\n"
    with pytest.raises(SystemExit):
        main(["chat", str(run), "--say", " "])
    assert "there is nothing to answer" in capsys.readouterr().err


def test_what_cannot_talk_says_so(tmp_path, capsys):
    (tmp_path / "train.txt").write_text("abcde" * 40)
    (tmp_path / "validation.txt").write_text("abcde" * 9)
    text = Text(length=8, vocab=20, tokenizer="characters", layout="windows", specials=("[PAD]",))
    config = plan(f"text:{tmp_path}", reader=Continuations(text=text, prompt=4))
    learner = config.learner
    target = Continuation(network=NET, length=4)
    learner = Network(
        task=Task(inputs=TokenInput(), encoder=NET, target=target),
        optimizer=learner.optimizer,
        steps=1,
        batch=8,
        cadence=Cadence(log=1, save=1, keep=1, monitor=0),
    )
    rounds = Rounds(count=0)
    fields = {"learner": learner, "rounds": rounds}
    run_self_training(SelfTraining(**vars(config) | fields), tmp_path / "run")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["chat", str(tmp_path / "run"), "--say", "a"])
    said = capsys.readouterr().err
    assert "writes no answers" in said and "reader Replies" in said
