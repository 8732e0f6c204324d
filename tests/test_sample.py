"""Sampling: the same as without a cache, filters as defined, the command from a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.cli.commands import main
from ssljax.nets import GPT2, filter_logits
from ssljax.runs.sample import sample

NET = GPT2(vocab=20, width=16, depth=2, heads=2, length=12)
PARAMS = nets.init(NET, jax.random.key(3), {"tokens": jnp.zeros((1, 12), jnp.int32)})[0]
PARAMS = jax.tree.map(lambda x: 5 * x, PARAMS)  # sharper than at the start


def draw(prompt=(1, 2, 3), **options):
    return list(sample(NET, PARAMS, np.array(prompt), **{"length": 9} | options))


@pytest.mark.turns
def test_greedy_equals_a_loop_without_a_cache():
    text = [1, 2, 3]
    for _ in range(9):
        x = {"tokens": jnp.asarray([text], jnp.int32)}
        logits, _ = nets.apply(NET, PARAMS, {}, x, train=False, method="logits")
        text.append(int(logits[0, -1].argmax()))
    assert draw(temperature=0) == text[3:]
    assert draw(top_k=1) == text[3:] == draw(top_p=1e-9)


@pytest.mark.turns
def test_a_seed_gives_one_text_and_another_seed_another():
    assert draw(seed=5, length=30) == draw(seed=5, length=30)  # longer than the positions, too
    assert draw(seed=5, length=30) != draw(seed=6, length=30)
    assert max(draw(length=40, vocab=4)) < 4


def test_filters():
    p = np.array([0.1, 0.4, 0.2, 0.25, 0.05])
    kept = lambda **o: np.flatnonzero(np.isfinite(filter_logits(jnp.log(p), **o))).tolist()  # noqa: E731
    assert kept(top_k=2) == [1, 3]
    assert kept(top_p=0.6) == [1, 3]  # 0.4 is not enough
    assert kept(top_p=0.7) == [1, 2, 3]
    assert kept(top_p=0.01) == [1]
    assert kept(top_k=3, top_p=0.99) == [1, 2, 3]
    assert kept() == [0, 1, 2, 3, 4]


def test_bad_settings():
    for options in ({"prompt": ()}, {"temperature": -1.0}, {"top_p": 0.0}, {"length": 0}):
        with pytest.raises(ValueError):
            draw(**options)


@pytest.mark.turns
def test_the_command_trains_and_writes(tmp_path, capsys):
    pytest.importorskip("tokenizers")
    (tmp_path / "a.txt").write_text("to be or not to be\n" * 60)
    (tmp_path / "e.py").write_text(
        "from ssljax.data import Text\n"
        "from ssljax.runs.experiment import Experiment\n"
        "from ssljax.methods import GPT\n"
        "from ssljax.nets import GPT2\n"
        "from ssljax.training.train import Cadence\n"
        "EXPERIMENT = Experiment(\n"
        "    method=GPT(encoder=GPT2(vocab=12, width=16, depth=1, heads=2, length=16)),\n"
        "    reader=Text(length=17, vocab=12, tokenizer='characters', layout='windows', "
        "specials=()),\n"
        f"    data='text:{tmp_path}/a.txt', steps=4, batch=8, cadence=Cadence(monitor=2),\n"
        ")\n"
    )
    run = str(tmp_path / "run")
    main(["train", str(tmp_path / "e.py"), "--workdir", run])
    shown = capsys.readouterr().out
    assert "heldout_loss" in shown and "bag of words" in shown
    assert (tmp_path / "run" / "tokenizer.json").is_file()
    main(["sample", run, "--prompt", "to be", "--length", "20", "--seed", "1"])
    text = capsys.readouterr().out
    assert text.startswith("to be") and len(text) == 5 + 20 + 1
    assert set(text) <= set("to be or not to be\n")
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path / "e.py"), "--workdir", run + "2", "--reader.vocab", "13"])
    assert "--method.encoder.vocab 13" in capsys.readouterr().err
