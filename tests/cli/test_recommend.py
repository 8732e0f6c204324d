"""`ssljax recommend`: titles for a user that she has not met, and what they are like."""

import dataclasses

import numpy as np
import pytest

from ssljax import Cadence, Experiment, Optimizer
from ssljax.cli.commands import main
from ssljax.data import Interactions
from ssljax.methods import BPR, FM, SASRec
from ssljax.nets import GPT2
from ssljax.probes import Evaluation
from ssljax.runs.load import load_run
from ssljax.runs.recommend import recommend
from ssljax.runs.run import run


def experiment(folder, method, learn):
    """Films of two kinds, and users who like one of them."""
    rng, rows = np.random.default_rng(0), ["user,item,rating,time"]
    for user in range(20):
        for item in rng.permutation(24)[:15]:
            liked = item % 2 == user % 2
            if learn == "rating" or liked:
                rows.append(f"u{user},i{item},{5 if liked else 1},{len(rows)}")
    folder.mkdir()
    (folder / "interactions.csv").write_text("\n".join(rows))
    titles = [f"i{i},{'even' if i % 2 == 0 else 'odd'} {i}" for i in range(24)]
    (folder / "items.csv").write_text("\n".join(["item,title", *titles]))
    return Experiment(
        method=method,
        data=f"interactions:{folder}",
        reader=Interactions(learn=learn, split="last" if learn == "next" else "random", length=6),
        optimizer=Optimizer(name="adam", learning_rate=0.05, per_batch=None),
        steps=100,
        batch=96,
        cadence=Cadence(log=100, save=100, monitor=0, steps_per_call=50),
        evaluation=Evaluation(spectrum=None),
    )


@pytest.mark.turns
@pytest.mark.parametrize(
    ("method", "learn"), [(FM(width=4, decay=1e-3), "rating"), (BPR(width=4), "rank")]
)
def test_titles_of_what_she_likes_come_first_and_say_why(tmp_path, capsys, method, learn):
    if learn == "rank":  # what was liked alone was chosen
        method = BPR(width=4, decay=1e-3)
    run(experiment(tmp_path / "data", method, learn), tmp_path / "run")
    capsys.readouterr()
    main(["recommend", str(tmp_path / "run"), "--user", "u3", "--top", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    text = (tmp_path / "data" / "interactions.csv").read_text().splitlines()
    train = Interactions(learn=learn).load(f"interactions:{tmp_path / 'data'}")
    mine = {name.split("\t")[1] for name in train.names if name.startswith("u3\t")}
    assert mine and len(text) > len(mine)
    for i, line in enumerate(lines, 1):
        assert line.split()[:2] == [f"{i}.", "odd"]
        assert f"i{line.split()[2]}" not in mine
        first = line.partition("  like ")[2].split(" and ")
        assert len(first) == 2 and all(f"i{title.split()[1]}" in mine for title in first)
        assert all(title.startswith("odd") for title in first)
    with pytest.raises(SystemExit):
        main(["recommend", str(tmp_path / "run"), "--user", "nobody"])
    assert "no user 'nobody'; its users are u0, u1" in capsys.readouterr().err


def test_what_comes_next_follows_from_her_last_items(tmp_path):
    none = {"dropout": 0.0, "attention_dropout": 0.0}
    net = GPT2(vocab=None, width=8, depth=1, heads=2, length=5, **none)
    plan = experiment(tmp_path / "data", SASRec(encoder=net), "next")
    cadence = Cadence(log=2, save=2, monitor=0)
    run(dataclasses.replace(plan, steps=2, batch=16, cadence=cadence), tmp_path / "run")
    found = recommend(tmp_path / "run", "u3", top=3)
    trained, _, state, train, _ = load_run(tmp_path / "run")
    train = train.opened() if hasattr(train, "opened") else train
    here = train.catalogue
    number = here.users.index("u3")
    mine = train.pairs[1][train.pairs[0] == number]
    rows = train.history.rows(np.array([number]))
    scores = np.array(trained.method.scores(state, rows)[0], np.float64)
    scores[mine] = -np.inf
    first = np.argsort(-scores, kind="stable")[:3]
    assert [one.title for one in found] == [here.titles[i] for i in first]
    hers = {here.titles[i] for i in mine}
    assert all(len(one.because) == 2 and set(one.because) <= hers for one in found)
