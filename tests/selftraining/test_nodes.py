"""Self-training on the nodes of a graph: by a network and by links."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Arrays, Graphs
from ssljax.methods import Student
from ssljax.nets import GCN
from ssljax.pseudolabels.generate import LabelContext, Neighbors
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.selftraining.run import run_self_training
from ssljax.tasks import GraphInput, OneOf, Task

TASK = Task(inputs=GraphInput(), encoder=GCN(widths=(8,)), target=OneOf(classes=2))


@pytest.fixture
def circles(tmp_path):
    """Two circles of 20 people, known by nothing but whom they know, with one bridge."""
    folder = tmp_path / "data"
    folder.mkdir()
    edges = [
        (20 * c + i, 20 * c + (i + s) % 20) for c in range(2) for i in range(20) for s in (1, 2)
    ]
    lines = [f"{a},{b}" for a, b in [*edges, (0, 20)]]
    (folder / "edges.csv").write_text("\n".join(["from,to", *lines]))
    lines = [f"{i},{'ab'[i // 20]}" for i in range(40)]
    (folder / "target.csv").write_text("\n".join(["id,circle", *lines]))
    return folder


def plan(folder, **rounds):
    return SelfTraining(
        learner=Network(
            task=TASK,
            optimizer=Optimizer(name="adam", learning_rate=0.05, per_batch=None),
            steps=10,
            batch=40,
            cadence=Cadence(log=10, save=10, keep=1, monitor=0),
        ),
        data=f"graph:{folder}",
        reader=Graphs(),
        few=1,
        seeds=(0,),
        full=False,
        rounds=Rounds(count=1, **rounds),
    )


def test_links_tell_what_one_label_a_circle_says(circles, tmp_path):
    folder = tmp_path / "run"
    config = plan(circles, generate=Neighbors(by="links"), select=Greedy(per_class=10))
    results = run_self_training(config, folder)
    (round1,) = results["seeds"][0]["rounds"][1:]
    assert results["seeds"][0]["labels"] == 2
    assert round1["quality"]["precision"] == 1.0
    assert round1["quality"]["accuracy"] == 1.0
    supervised, trained = (r["test"]["score"] for r in results["seeds"][0]["rounds"])
    assert trained > supervised
    table = nodes_score().main([str(folder)])["round 1"]
    far = nodes_score().hops(Graphs().load(f"graph:{circles}").links, 40, given_of(folder))
    assert sum(row["nodes"] for row in table.values()) < 40  # test nodes are not known
    assert list(table) == [str(d) for d in range(1, far.max() + 1)]
    assert all(row["right"] == 100 for row in table.values())
    assert "The network" in (folder / "report.html").read_text()
    with np.load(folder / "report.npz") as arrays:  # 40 nodes, each link once
        assert arrays["links"].shape == (81, 2)
        assert arrays["given"].sum() == 2
        assert not arrays["missed"].any()
        assert (arrays["said"] >= 0).sum() == 2 + round1["selected"][0] + round1["selected"][1]


def nodes_score():
    path = Path(__file__).parents[2] / "experiments" / "nodes_score.py"
    spec = importlib.util.spec_from_file_location("nodes_score", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def given_of(folder):
    return pq.read_table(folder / "seed0" / "given.parquet")["index"].to_numpy()


def test_links_between_nodes_are_counted():
    links = np.array([(0, 1), (1, 2), (3, 2), (4, 5)])
    np.testing.assert_array_equal(nodes_score().hops(links, 7, [0]), [0, 1, 2, 3, -1, -1, -1])
    np.testing.assert_array_equal(nodes_score().hops(links, 7, [0, 5]), [0, 1, 2, 3, 1, 0, -1])


def test_a_step_is_the_mean_over_the_nodes_that_are_taught(circles):
    data = Graphs().load(f"graph:{circles}")
    learnt = {"target": np.array([0, 1, 1], np.int32), "weight": np.array([1, 0.5, 1], np.float32)}
    chosen = data.chosen(np.array([3, 25, 30]), learnt)
    rows = next(chosen.batches(48, seed=0))
    student = Student(task=TASK)
    params, extra = student.init(jax.random.key(0), rows)
    value, _ = student.loss(params, extra, rows, jax.random.key(1))
    # GCN with one layer on the dense, normalised adjacency, in float64.
    a = np.eye(40)
    a[data.edges[:, 1], data.edges[:, 0]] += 1
    scale = a.sum(1) ** -0.5
    layer, head = params["encoder"]["convs_0"], params["head"]
    w, b = (np.asarray(x, np.float64) for x in jax.tree.leaves(layer)[::-1])
    h = np.maximum((scale[:, None] * a * scale) @ (data.features.astype(np.float64) @ w) + b, 0)
    kernel, bias = (np.asarray(x, np.float64) for x in jax.tree.leaves(head)[::-1])
    logits = (h @ kernel + bias)[[3, 25, 30]]
    each = np.log(np.exp(logits).sum(1)) - logits[range(3), learnt["target"]]
    np.testing.assert_allclose(value, (learnt["weight"] * each).mean(), rtol=1e-5)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="spread or propagate"):
        Neighbors(by="links", rule="vote")
    pool = Arrays({"x": np.arange(4.0)})
    index, truth = np.array([0, 1]), np.array([0, 1])
    context = LabelContext(None, pool, index, truth, OneOf(classes=2), 0)
    with pytest.raises(ValueError, match="no nodes of a graph"):
        Neighbors(by="links")(context)
