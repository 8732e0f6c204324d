"""`experiments/games_twitch.py`: what friends say, and the whole of it on a small network."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np


def script():
    path = Path(__file__).parents[1] / "experiments" / "games_twitch.py"
    spec = importlib.util.spec_from_file_location("games_twitch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_means_of_friends_equal_loops():
    rng = np.random.default_rng(0)
    values, told = rng.normal(size=(6, 3)), np.array([1, 1, 0, 1, 0, 1], bool)
    pairs = [(0, 1), (0, 3), (1, 2), (2, 4), (3, 4), (4, 5)]
    links = np.array(pairs + [(b, a) for a, b in pairs])
    games = script()
    found = games.by_friends(links, values, told)
    for user in range(6):
        above = games.SHRINK * np.mean([values[u] for u in range(6) if told[u]], axis=0)
        below = games.SHRINK
        for a, b in links:
            if b == user and told[a]:
                weight = 1 / np.sqrt(sum(x == a for x, _ in links))
                above, below = above + weight * values[a], below + weight
        np.testing.assert_allclose(found[user], above / below, atol=1e-12)


def test_new_users_are_told_by_their_friends(tmp_path, capsys):
    rng, users = np.random.default_rng(1), 60
    tribe = np.arange(users) % 2  # friends are of one tribe, whose games no other likes
    likes = {str(u): sorted(12 * tribe[u] + rng.choice(12, 6, False)) for u in range(users)}
    (tmp_path / "a_features.json").write_text(json.dumps(likes, default=int))
    with (tmp_path / "a_edges.csv").open("w", newline="") as file:
        same = [(a, b) for a in range(users) for b in range(a) if tribe[a] == tribe[b]]
        csv.writer(file).writerows([("from", "to"), *same])
    with (tmp_path / "a_target.csv").open("w", newline="") as file:
        rows = [(u, u % 3 == 0) for u in range(users)]
        csv.writer(file).writerows([("new_id", "partner"), *rows])
    (found,) = script().main([str(tmp_path), "--seeds", "1", "--steps", "10", "--batch", "64"])
    by_all, by_friends = (found[k]["new"]["precision_10"] for k in list(found)[:2])
    assert by_friends > by_all + 0.1
    assert "simgcl" in capsys.readouterr().out
