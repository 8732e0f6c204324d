"""Translation through the engine: few pairs, a round, a start from T5, back-translations, use."""

import dataclasses

import numpy as np
import pytest

from ssljax import Cadence, Experiment, Optimizer, SelfTraining
from ssljax.cli.commands import main
from ssljax.data import Parallel, Text
from ssljax.methods import T5
from ssljax.nets import T5Decoder, T5Encoder
from ssljax.probes import Evaluation
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Threshold
from ssljax.pseudolabels.texts import Brought
from ssljax.runs.run import run
from ssljax.selftraining.learners import Network
from ssljax.selftraining.run import run_self_training
from ssljax.selftraining.teachers import Opened
from ssljax.tasks import Task, TokenInput, Translation

pytest.importorskip("tokenizers")
SIZES = {"depth": 1, "heads": 1, "head_width": 8, "hidden": 8, "dropout": 0.1}
ENCODER = T5Encoder(vocab=320, width=8, **SIZES)
TARGET = Translation(decoder=T5Decoder(**SIZES), length=8, words=300, beams=2)
# Enough steps to learn where a text ends: one without an end abstains.
ADAM = Optimizer(name="adam", learning_rate=0.05, per_batch=None)
QUIET = Cadence(log=30, save=30, keep=1, monitor=0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for split, count in (("train", 12), ("test", 4)):
        numbers = range(count)
        (folder / f"{split}.de").write_text("".join(f"n {i % 5}\n" for i in numbers))
        (folder / f"{split}.en").write_text("".join(f"m {i % 5}\n" for i in numbers))
    return folder


def plan(place, **fields):
    network = Network(
        task=Task(inputs=TokenInput(drop=0.1, shuffle=1), encoder=ENCODER, target=TARGET),
        optimizer=ADAM,
        steps=30,
        batch=8,
        cadence=QUIET,
    )
    usual = {"rounds": Rounds(count=1, select=Threshold(value=0.0)), "seeds": (0,), "full": False}
    reader = Parallel(text=Text(tokenizer="bpe", vocab=300, length=8, lowercase=False))
    data = {"data": f"parallel:{place}", "reader": reader, "few": 6}
    return SelfTraining(learner=network, **data | usual | fields)


def test_a_round_from_a_pretrained_t5(place, tmp_path, capsys):
    """The encoder and the decoder of T5 begin; what came out translates and is exported."""
    config = plan(place, begin=str(tmp_path / "t5"))
    first = Experiment(
        method=T5(encoder=ENCODER),
        data=config.data,
        reader=config.reader,
        optimizer=ADAM,
        steps=30,
        batch=8,
        cadence=QUIET,
        evaluation=Evaluation(linear=None, knn=None),
    )
    run(first, tmp_path / "t5")
    results = run_self_training(config, tmp_path / "run")
    assert results["measure"]["key"] == "bleu" and results["seeds"][0]["labels"] == 6
    assert {"bleu", "precision", "recall", "f1"} <= results["seeds"][0]["rounds"][0]["test"].keys()
    opened = Opened(tmp_path / "run")
    start = opened.config.learner.task.started(
        {"encoder": {}, **{"decoder": opened.teacher.states[0].params["head"]["decoder"]}}
    )
    assert set(start) == {"encoder", "head"}
    (tmp_path / "lines.txt").write_text("n 1\nn 2\n")
    command = ["translate", str(tmp_path / "run"), "--file", str(tmp_path / "lines.txt")]
    main([*command, "--temperature", "1", "--out", str(tmp_path / "back.tsv")])
    rows = (tmp_path / "back.tsv").read_text().split("\n")
    assert rows[0] == "text\ttranslation\tconfidence" and rows[1].startswith("n 1\t")
    out = tmp_path / "hf"
    main(["export", str(tmp_path / "run"), "--format", "transformers", "--out", str(out)])
    written = (out / "config.json").read_text()
    assert '"T5ForConditionalGeneration"' in written and '"eos_token_id": 3' in written
    with pytest.raises(SystemExit):
        main(["translate", str(tmp_path / "run")])
    assert "either --text or --file" in capsys.readouterr().err


def test_back_translations_are_learnt_from(place, tmp_path):
    table = tmp_path / "back.tsv"
    table.write_text("text\ttranslation\tconfidence\n" + "m 1\tn 1\t0.5\n" * 3)
    brought = Rounds(count=1, refine=(Brought(alone=True),), select=Threshold(value=0.0))
    config = plan(place, rounds=brought)
    config = dataclasses.replace(config, reader=dataclasses.replace(config.reader, back=str(table)))
    results = run_self_training(config, tmp_path / "run")
    round_ = results["seeds"][0]["rounds"][1]
    assert round_["coverage"] == pytest.approx(3 / 9)  # of 15 examples six are given
    assert round_["quality"]["coverage"] == 0  # none of them has a truth to compare with
    assert np.isfinite(round_["test"]["bleu"])
