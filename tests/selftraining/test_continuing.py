"""Text that goes on, through the engine: few windows, a round, a number that no label shows."""

import numpy as np
import pytest

from ssljax import Cadence, Experiment, Optimizer, SelfTraining
from ssljax.cli.commands import main
from ssljax.data import Continuations, Text
from ssljax.methods import GPT
from ssljax.nets import GPT2
from ssljax.probes import Evaluation
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Threshold
from ssljax.runs.run import run
from ssljax.selftraining.learners import Network
from ssljax.selftraining.run import run_self_training
from ssljax.selftraining.teachers import Opened
from ssljax.tasks import Continuation, Task, TokenInput

pytest.importorskip("tokenizers")
NET = GPT2(vocab=6, width=8, depth=1, heads=1, length=8, dropout=0.0, attention_dropout=0.0)
TEXT = Text(length=8, vocab=6, tokenizer="characters", layout="windows", specials=("[PAD]",))
ADAM = Optimizer(name="adam", learning_rate=0.03, per_batch=None)
QUIET = Cadence(log=60, save=60, keep=1, monitor=0)


def test_a_round_from_a_pretrained_gpt(tmp_path, capsys):
    """An alphabet in order is learnt to nearly no bits a byte, and what is written behind a prompt
    goes on in order."""
    for split, count in (("train", 60), ("validation", 10)):
        (tmp_path / f"{split}.txt").write_text("abcde" * count)
    data = f"text:{tmp_path}"
    first = Experiment(
        method=GPT(encoder=NET),
        data=data,
        reader=TEXT,
        optimizer=ADAM,
        steps=60,
        batch=8,
        cadence=QUIET,
        evaluation=Evaluation(linear=None, knn=None),
    )
    run(first, tmp_path / "gpt")
    learner = Network(
        task=Task(inputs=TokenInput(), encoder=NET, target=Continuation(network=NET, length=4)),
        optimizer=ADAM,
        steps=60,
        batch=8,
        cadence=QUIET,
    )
    config = SelfTraining(
        learner=learner,
        data=data,
        reader=Continuations(text=TEXT, prompt=4),
        few=10,
        rounds=Rounds(count=1, select=Threshold(value=0.0)),
        begin=str(tmp_path / "gpt"),
        seeds=(0,),
        full=False,
    )
    results = run_self_training(config, tmp_path / "run")
    assert results["measure"]["key"] == "bits_per_byte"
    assert results["measure"]["better"] == "lower"
    test = results["seeds"][0]["rounds"][-1]["test"]
    assert test["score"] == test["bits_per_byte"] < 0.5
    # What is judged: nats a token over the true continuations, one byte a token here.
    assert test["bits_per_byte"] == pytest.approx(test["nats"] / np.log(2), rel=1e-6)
    opened = Opened(tmp_path / "run")
    rows = opened.pool.take(np.arange(len(opened.pool)))
    guess = opened.teacher.guess(opened.pool)
    said = opened.target.show(guess.target, None)
    for prompt, text in zip(opened.pool.readable(rows), said, strict=True):
        assert prompt + text in "abcde" * 4
    capsys.readouterr()
    options = ["--prompt", "abcd", "--length", "4", "--temperature", "0"]
    main(["sample", str(tmp_path / "run"), *options])
    assert capsys.readouterr().out == "abcdeabc\n"
    out = tmp_path / "said.tsv"
    main(["label", str(tmp_path / "run"), "--out", str(out)])
    assert out.read_text("utf-8").splitlines()[0] == "file\tconfidence\ttext\tcontinuation"
