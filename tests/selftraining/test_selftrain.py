"""Self-training of networks from the command line: resumption, labels, report, bad input."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import BayesianRidge, LinearRegression

from ssljax import report
from ssljax.cli import commands as cli
from ssljax.data import Arrays, Table
from ssljax.nets import MLP, SmallConv
from ssljax.pseudolabels.generate import Model
from ssljax.pseudolabels.labels import Labels, read
from ssljax.pseudolabels.numbering import Numbering
from ssljax.pseudolabels.rounds import Rounds, self_train
from ssljax.pseudolabels.select import Greedy
from ssljax.runs.load import load_run
from ssljax.selftraining.learners import Network, Scikit
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.results import scores, summary, table
from ssljax.selftraining.run import run_self_training
from ssljax.tasks import AnyOf, FeatureInput, OneOf, Task, Value
from ssljax.training.optimizers import Optimizer
from ssljax.views import plain_only

from ssljax.tasks import ImageInput  # isort: skip

_FILE = """
from ssljax.selftraining.learners import Network, Scikit
from ssljax.nets import SmallConv
from ssljax.training.optimizers import Optimizer
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.plan import SelfTraining
from ssljax.tasks import ImageInput, OneOf, Task
from ssljax.views import plain_only

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=ImageInput(view=plain_only(size=8, mean=(0.3,), std=(0.4,))),
            encoder=SmallConv(widths=(8, 16)),
            target=OneOf(classes=10),
        ),
        optimizer=Optimizer(learning_rate=1e-2, per_batch=None),
        steps=80,
        batch=32,
        share=0.5,
    ),
    few=4,
    rounds=Rounds(count=2, select=Greedy(per_class=20, growing=True)),
    seeds=(0,),
)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(experiment file, finished run folder)."""
    base = tmp_path_factory.mktemp("selftrain")
    (base / "mine.py").write_text(_FILE)
    cli.main(["selftrain", str(base / "mine.py"), "--workdir", str(base / "run")])
    return base / "mine.py", base / "run"


def test_results_and_report(finished):
    results = json.loads((finished[1] / "results.json").read_text())
    assert 0.15 < results["supervised"]["mean"] < results["full"]["mean"] <= 1
    rounds = results["seeds"][0]["rounds"]
    assert [r["round"] for r in rounds] == [0, 1, 2]
    assert sum(rounds[2]["selected"]) <= 400 and max(rounds[2]["selected"]) <= 40
    page = (finished[1] / "report.html").read_text()
    for words in (
        *("supervised on the few labels", "Most confident mistakes", "Reliability", "ECE"),
        *("What is labelled as what", "4 labels of a class: so few"),
    ):
        assert words in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # opens offline
    assert "<script" not in page


def test_resumed_it_changes_nothing(finished, capsys):
    file, run = finished
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*.parquet")}
    results = (run / "results.json").read_text()
    (run / "seed0" / "rounds" / "02" / "round.json").unlink()
    cli.main(["selftrain", str(file), "--workdir", str(run)])
    assert (run / "results.json").read_text() == results
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*.parquet")} == before
    assert "fully supervised" in capsys.readouterr().out


@pytest.mark.turns
def test_the_last_student_is_exported_probed_and_reported(finished, tmp_path, capsys):
    from ssljax.export import load
    from ssljax.selftraining.teachers import load_teacher

    run, out = str(finished[1]), tmp_path / "student.safetensors"
    cli.main(["export", run, "--format", "safetensors", "--out", str(out)])
    _, teacher, r = load_teacher(finished[1])
    assert r == 2
    params = load(out, teacher.model.encoder)[0]
    own = teacher.model.backbone(teacher.states[0])[0]
    np.testing.assert_array_equal(params["conv1"]["kernel"], own["conv1"]["kernel"])
    other = tmp_path / "other.npz"
    digits = load_digits()
    np.savez(
        other, image=digits.images[:300].astype(np.uint8)[..., None], label=digits.target[:300]
    )
    capsys.readouterr()
    cli.main(["probe", run, "--data", f"npz:{other}", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["step"] == 80
    encoders = found["evaluation"]["encoders"]
    assert encoders["trained"]["linear_offline"] > encoders["random"]["linear_1shot"]
    cli.main(["report", run, "--out", str(tmp_path / "one.html")])
    assert (tmp_path / "one.html").read_text() == (finished[1] / "report.html").read_text()
    again = tmp_path / "again" / finished[1].name  # another run of the same name
    shutil.copytree(finished[1], again)
    cli.main(["report", run, str(again), "--out", str(tmp_path / "two.html")])
    page = (tmp_path / "two.html").read_text()
    assert "fully supervised" in page and run in page and str(again) in page
    with pytest.raises(ValueError, match="is a run of SelfTraining"):
        load_run(finished[1])


@pytest.mark.slow
def test_killed_at_random_moments(finished, tmp_path):
    """A process that is killed again and again ends with the numbers of one that never was."""
    file, run = finished
    rng, folder = np.random.default_rng(0), tmp_path / "killed"
    call = "import sys; from ssljax.cli.commands import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", call, "selftrain", str(file), "--workdir", str(folder)]
    # The fixture ran in this process, on its eight devices.
    many = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": many}
    kills = 0
    for turn in range(30):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        # Longer and longer, so that a slow machine gets somewhere too.
        until = time.monotonic() + rng.uniform(3, 9) * (1 + turn / 4)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        if process.wait() == 0:
            break
    assert kills and (folder / "results.json").is_file()
    one, other = (json.loads((f / "results.json").read_text()) for f in (run, folder))
    assert one["seeds"] == other["seeds"]


def test_another_configuration_is_refused(finished, capsys):
    file, run = finished
    with pytest.raises(SystemExit):
        cli.main(["selftrain", str(file), "--workdir", str(run), "--few", "5"])
    assert "another configuration (few: 4 -> 5)" in capsys.readouterr().err


def test_label_command(finished, tmp_path, capsys):
    out = tmp_path / "labels.parquet"
    cli.main(["label", str(finished[1]), "--data", "digits", "--out", str(out)])
    labels = read(out, examples=1797, target=OneOf(classes=10))
    assert len(labels) == 1797 and set(labels.provenance) == {"run"} and set(labels.round) == {2}
    assert "wrote 1,797 labels" in capsys.readouterr().out
    assert pq.read_table(out).column_names == [
        "index", "file", "target", "class", "confidence", "weight", "provenance", "round"
    ]  # fmt: skip
    out = tmp_path / "labels.csv"  # in the format of the field
    cli.main(["label", str(finished[1]), "--data", "digits", "--out", str(out)])
    head, first, *rest = out.read_text().splitlines()
    assert head == "name,label,confidence" and len(rest) == 1796
    assert first.split(",")[:2] == ["digits[0]", str(labels.target[0])]


@pytest.mark.parametrize("own", [False, True])
def test_shards_of_labels_are_one_data_set(finished, tmp_path, capsys, monkeypatch, own):
    """Those of the run's pool, with what was given in it, and of data that stays on disk."""
    if not own:
        folder = tmp_path / "pictures" / "test"  # whatever split there is
        folder.mkdir(parents=True)
        for i, image in enumerate(load_digits().images[:11]):
            Image.fromarray((image * 15).astype(np.uint8)).save(folder / f"{i:02d}.png")
        (folder / "04.png").write_bytes(b"no picture")
        monkeypatch.setattr("ssljax.data.decode.MAX_CORRUPT", 0.1)
        monkeypatch.setattr("ssljax.data.stream.check_corrupt", lambda *_: None)
    command = ["label", str(finished[1])]
    command += [] if own else ["--data", f"folder:{tmp_path / 'pictures'}"]
    cli.main([*command, "--out", str(tmp_path / "all.parquet")])
    shards = [*command, "--out", str(tmp_path / "parts" / "p.parquet"), "--shard"]
    for i in (2, 0, 1):
        cli.main([*shards, f"{i}/3"])
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == [
        f"p-{i:05d}-of-00003.parquet" for i in range(3)
    ]
    found = ds.dataset(tmp_path / "parts").to_table().to_pydict()
    whole = pq.read_table(tmp_path / "all.parquet").to_pydict()
    assert list(found) == list(whole) and len(whole["index"]) == (1438 if own else 10)
    for name in ("confidence", "weight"):
        np.testing.assert_allclose(found.pop(name), whole.pop(name), atol=1e-6)
    assert found == whole and (("given" in whole["provenance"]) == own)
    capsys.readouterr()
    with monkeypatch.context() as only:  # once more, without a look at the network
        only.setattr("ssljax.selftraining.labelling._part", None)
        cli.main([*shards, "1/3"])
        assert "p-00001-of-00003.parquet is there: nothing is done again" in capsys.readouterr().out
        for flags, message in (
            (["--data", "digits"], "is there already, of another run or data"),
            (["--given", "few.csv"], "spread over all of the data at once"),
            (["--out", "x.csv"], "shards are .parquet"),
        ):
            with pytest.raises(SystemExit):
                cli.main([*shards, "1/3", *flags])
            assert message in capsys.readouterr().err


def seen(folder):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def test_reading_a_run_never_writes_into_it(finished, tmp_path, capsys):
    """Nor trains: a checkpoint that is lost is said to be lost."""
    run = tmp_path / "run"
    shutil.copytree(finished[1], run)
    before = seen(run)
    cli.main(["label", str(run), "--out", str(tmp_path / "l.parquet")])
    cli.main(["export", str(run), "--format", "safetensors", "--out", str(tmp_path / "s")])
    cli.main(["report", str(run), "--out", str(tmp_path / "page.html")])
    assert seen(run) == before
    given = read(tmp_path / "l.parquet", examples=1797, target=OneOf(classes=10))
    truth = load_digits().target
    assert given.is_given.sum() == 40
    assert (given.target == truth[given.index])[given.is_given].all()  # rows of the whole data
    shutil.rmtree(run / "seed0" / "rounds" / "02" / "student" / "checkpoints")
    before = seen(run)
    with pytest.raises(SystemExit):
        cli.main(["label", str(run), "--out", str(tmp_path / "l.parquet")])
    said = capsys.readouterr().err
    assert "the checkpoint of step 80 is not in" in said and "02/student/checkpoints" in said
    assert seen(run) == before


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"index": [5000], "target": [0]},
            "row 1: index 5000, but this data has",
        ),
        ({"index": [0, 1], "target": [0, 1]}, "no labelled example of 8 of 10 classes"),
    ],
)
def test_bad_files_of_labels(finished, tmp_path, capsys, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
    flags = ["--labels", str(tmp_path / "bad.parquet"), "--workdir", str(tmp_path / "run")]
    with pytest.raises(SystemExit):
        cli.main(["selftrain", str(finished[0]), *flags])
    assert message in capsys.readouterr().err


def test_a_file_without_selftrain(tmp_path, capsys):
    (tmp_path / "x.py").write_text("A = 1\n")
    with pytest.raises(SystemExit):
        cli.main(["selftrain", str(tmp_path / "x.py")])
    assert "does not define SELFTRAIN" in capsys.readouterr().err


@dataclasses.dataclass(frozen=True)
class Bayes:
    def __call__(self):
        return BayesianRidge()


@dataclasses.dataclass(frozen=True)
class Plain:
    def __call__(self):
        return LinearRegression()


def test_a_regressor_of_sklearn_labels_a_table(tmp_path):
    reader = Table(kind="value")
    config = SelfTraining(
        learner=Scikit(estimator=Bayes(), reader=reader),
        data="sklearn:diabetes",
        reader=reader,
        few=100,
        holdout=0.3,
        rounds=Rounds(count=1, select=Greedy(budget=100)),
        seeds=(0,),
    )
    results = run_self_training(config, tmp_path / "run")
    (row,) = results["seeds"][0]["rounds"][1:]
    assert results["full"]["mean"] > 0.3 and row["estimate"]["examples"] == 30
    assert row["quality"]["coverage"] == pytest.approx(100 / (354 - 100))
    # As scikit-learn by itself.
    pool, test = config.load()
    options = {"examples": Numbering.of(pool, held_out=test), "target": Value()}
    labels = read(tmp_path / "run" / "seed0" / "rounds" / "01" / "labels.parquet", **options)
    given = read(tmp_path / "run" / "seed0" / "given.parquet", **options)
    held_out = np.setdiff1d(given.index, results_index(tmp_path / "run", given))
    used = given.take(~np.isin(given.index, held_out))
    rows = pool.take(np.arange(354))
    peer = BayesianRidge().fit(rows["features"][used.index], used.target)
    value, std = peer.predict(rows["features"][labels.index], return_std=True)
    np.testing.assert_allclose(labels.target, value, rtol=1e-5)
    want = 1 / (1 + (std / used.target.std()) ** 2)
    np.testing.assert_allclose(labels.confidence, want, rtol=1e-5)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Pseudo-labels: r2" in page
    plain = dataclasses.replace(config, learner=Scikit(estimator=Plain(), reader=reader))
    with pytest.raises(ValueError, match="cannot say how sure it is"):
        run_self_training(plain, tmp_path / "plain")


def results_index(folder, given):
    """The given labels that are trained on: the split of the run itself."""
    from ssljax.selftraining.pool import split_off

    return split_off(given, 0.3, 0, Value())[0].index


def test_sets_of_a_table_from_the_command_line(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 4))
    table = np.column_stack([x, x[:, :3] > 0])
    head = "x1,x2,x3,x4,a,b,c"
    for split, part in (("train", table[:200]), ("test", table[200:])):
        np.savetxt(tmp_path / f"{split}.csv", part, "%.6g", ",", header=head, comments="")
    (tmp_path / "mine.py").write_text(
        "from ssljax.data import Table\n"
        "from ssljax.selftraining.learners import Network\n"
        "from ssljax.nets import MLP\n"
        "from ssljax.training.optimizers import Optimizer\n"
        "from ssljax.pseudolabels.rounds import Rounds\n"
        "from ssljax.pseudolabels.select import Greedy\n"
        "from ssljax.selftraining.plan import SelfTraining\n"
        "from ssljax.tasks import AnyOf, FeatureInput, Task\n"
        "SELFTRAIN = SelfTraining(\n"
        "    learner=Network(\n"
        "        task=Task(inputs=FeatureInput(), encoder=MLP(widths=(16,), norm=False),\n"
        "                  target=AnyOf(classes=3)),\n"
        "        optimizer=Optimizer(learning_rate=3e-2, per_batch=None), steps=60, batch=32),\n"
        "    reader=Table(kind='set', target=('a', 'b', 'c')), few=60, seeds=(0,),\n"
        "    rounds=Rounds(count=1, select=Greedy(budget=100)))\n"
    )
    run = tmp_path / "run"
    command = ["selftrain", str(tmp_path / "mine.py"), "--data", f"csv:{tmp_path}"]
    cli.main([*command, "--workdir", str(run)])
    results = json.loads((run / "results.json").read_text())
    assert results["self_trained"]["mean"] > 0.6 and results["full"]["mean"] > 0.7
    assert results["quality_by_round"][0]["f1"]["mean"] > 0.9
    assert "fully supervised" in capsys.readouterr().out


def features(task, **options):
    return Network(
        task=task, optimizer=Optimizer(learning_rate=3e-2, per_batch=None), steps=60, batch=32,
        **options,
    )  # fmt: skip


def rounds(tmp_path, learner, pool, truth, *, plan):
    hidden = Arrays({"features": pool})
    given = Labels.given(np.arange(0, len(pool), 5), truth[::5])
    target = learner.task.target

    def train(labels, r, place, teacher):
        return learner.train(hidden, labels, place, seed=0, start=teacher)

    def score(teacher):
        return scores(target, truth, teacher.guess(hidden))

    return self_train(
        tmp_path, plan, pool=hidden, given=given, target=target, train=train, score=score,
        truth=truth,
    )[0]  # fmt: skip


@pytest.mark.turns
@pytest.mark.parametrize("members", [1, 2])
def test_values_are_labelled_too(tmp_path, members):
    """Regression: the surest values first, alone and as an ensemble, from warm weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = (5 + 2 * x[:, 0] - x[:, 1] + 0.1 * rng.normal(size=200)).astype(np.float32)
    task = Task(
        inputs=FeatureInput(), encoder=MLP(widths=(16,), norm=False), target=Value(mean=5, std=2.2)
    )
    plan = Rounds(count=1, select=Greedy(budget=80), restart="warm")
    found = rounds(tmp_path, features(task, members=members), x, y, plan=plan)
    assert found[1]["quality"]["r2"] > 0.9 and found[1]["test"]["score"] > 0.9
    assert found[1]["coverage"] == 0.5


def test_sets_are_labelled_too(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    y = (x[:, :3] > 0).astype(np.float32)
    task = Task(
        inputs=FeatureInput(), encoder=MLP(widths=(16,), norm=False), target=AnyOf(classes=3)
    )
    plan = Rounds(count=1, select=Greedy(budget=80))
    found = rounds(tmp_path, features(task, ema=0.9), x, y, plan=plan)
    assert found[1]["quality"]["f1"] > 0.9 and found[1]["test"]["score"] > 0.7


def test_views_average_and_warm_starts_keep_weights(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 20)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    data = Arrays({"features": x, "label": y})
    task = Task(
        inputs=FeatureInput(drop=0.5), encoder=MLP(widths=(8,), norm=False),
        target=OneOf(classes=2),
    )  # fmt: skip
    learner = features(task)
    labels = Labels.given(np.arange(40), y[:40])
    teacher = learner.train(data, labels, tmp_path / "a", seed=0)
    plain, few, many = (teacher.guess(data, views=v).p for v in (0, 2, 64))
    assert np.abs(many - plain).mean() < np.abs(few - plain).mean()
    np.testing.assert_allclose(many.sum(1), 1, rtol=1e-4)
    still = dataclasses.replace(
        learner, steps=1, optimizer=Optimizer(learning_rate=0.0, per_batch=None)
    )
    student = still.train(data, labels, tmp_path / "b", seed=5, start=teacher)
    np.testing.assert_allclose(student.guess(data).p, plain, rtol=1e-5)
    np.testing.assert_array_equal(teacher.guess(data).p, plain)  # it can teach once more
    fresh = still.train(data, labels, tmp_path / "c", seed=5)
    assert np.abs(fresh.guess(data).p - plain).max() > 0.1


def test_summary_of_seeds():
    def seed(first, last, full):
        rows = [{"round": 0, "test": {"score": first}}]
        quality = {"accuracy": 0.5}
        rows.append({"round": 1, "test": {"score": last}, "coverage": 0.2, "quality": quality})
        return {"seed": 0, "rounds": rows, "full": {"score": full}}

    found = summary([seed(0.6, 0.7, 0.8), seed(0.7, 0.8, 0.9)], OneOf(classes=2))
    assert found["gap_closed"] == pytest.approx(0.5)
    assert found["supervised"]["std"] == pytest.approx(np.std([0.6, 0.7], ddof=1))
    assert found["quality_by_round"][0]["labels"]["mean"] == 0.5
    # What all labels add is less than what seeds differ by: there is no gap to close.
    found = summary([seed(0.6, 0.5, 0.62), seed(0.7, 0.5, 0.71)], OneOf(classes=2))
    assert found["gap_closed"] is None
    assert "there is nothing to gain here" in table(
        found | {"seeds": [{"labels": 4, "rounds": []}]}
    )


@pytest.mark.turns
def test_pretrained_encoders_are_where_all_begin(tmp_path, capsys):
    """An autoencoder comes first; every network starts from its encoder."""
    from ssljax.methods import Autoencoder
    from ssljax.nets import ConvDecoder
    from ssljax.probes import Evaluation
    from ssljax.runs.experiment import Experiment
    from ssljax.training.train import Cadence

    view, net = plain_only(size=8), SmallConv(widths=(8, 16))
    config = SelfTraining(
        learner=Network(
            task=Task(inputs=ImageInput(view=view), encoder=net, target=OneOf(classes=10)),
            optimizer=Optimizer(learning_rate=0.0, per_batch=None),
            steps=1,
            batch=16,
        ),
        rounds=Rounds(count=0, generate=Model()),
        seeds=(0,),
        full=False,
        pretrain=Experiment(
            method=Autoencoder(
                encoder=net, decoder=ConvDecoder(grid=16, widths=(8, 8), size=8), view=view
            ),
            steps=2,
            batch=16,
            cadence=Cadence(save=2, monitor=0),
            evaluation=Evaluation(
                knn=None, linear=None, few_shot=None, clustering=None, retrieval=None, lidar=None
            ),
        ),
    )
    run_self_training(config, tmp_path)
    from ssljax.selftraining.teachers import load_teacher

    # Its features and a few labels label the rest, without any classifier.
    truth, out = load_digits().target, tmp_path / "spread.parquet"
    index = np.arange(0, len(truth), 20)
    target = OneOf(classes=10)
    Labels.given(index, truth[index]).write(tmp_path / "few.parquet", target)
    pretrained = str(tmp_path / "pretrained")
    with pytest.raises(SystemExit):
        cli.main(["label", pretrained, "--out", str(out)])
    assert "name a file of a few labels" in capsys.readouterr().err
    few = ["--given", str(tmp_path / "few.parquet"), "--by", "vote"]
    cli.main(["label", pretrained, "--out", str(out), *few])
    labels = read(out, examples=len(truth), target=target)
    assert (labels.target == truth[labels.index]).mean() > 0.3
    # A run that is already there serves as well.
    other = dataclasses.replace(config, pretrain=None, begin=pretrained)
    run_self_training(other, tmp_path / "other")
    one, two = (
        load_teacher(p)[1]
        .guess(Arrays({"image": load_digits().images.astype(np.uint8)[..., None]}))
        .p
        for p in (tmp_path, tmp_path / "other")
    )
    np.testing.assert_array_equal(one, two)
    # So does a file of its weights; a damaged number of a round is named.
    weights = tmp_path / "encoder.safetensors"
    cli.main(["export", pretrained, "--format", "safetensors", "--out", str(weights)])
    file = dataclasses.replace(other, begin=str(weights))
    run_self_training(file, tmp_path / "file")
    begun = [load_teacher(tmp_path / name)[1].states[0].params for name in ("other", "file")]
    jax.tree.map(np.testing.assert_array_equal, *(params["encoder"] for params in begun))
    (tmp_path / "file" / "seed0" / "rounds" / "00" / "round.json").write_text("{")
    with pytest.raises(ValueError, match=r"round\.json is damaged.*Remove it"):
        run_self_training(file, tmp_path / "file")
    with pytest.raises(ValueError, match="keep one of them"):
        run_self_training(dataclasses.replace(config, begin=pretrained), tmp_path / "both")
    _, method, state, _, _ = load_run(tmp_path / "pretrained")
    _, teacher, _ = load_teacher(tmp_path)
    mine = teacher.states[0].params["encoder"]["conv1"]["kernel"]
    np.testing.assert_array_equal(mine, method.backbone(state)[0]["conv1"]["kernel"])


_TEXT = """
from dataclasses import dataclass

from sklearn.linear_model import LogisticRegression

from ssljax.data import Text
from ssljax.selftraining.learners import Scikit
from ssljax.pseudolabels.generate import Model, Rules
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.rules import Matches
from ssljax.pseudolabels.select import Percentile
from ssljax.selftraining.plan import SelfTraining


@dataclass(frozen=True)
class Logistic:
    def __call__(self):
        return LogisticRegression()


READER = Text(length=16, vocab=200)
SELFTRAIN = SelfTraining(
    learner=Scikit(estimator=Logistic(), reader=READER),
    reader=READER,
    few=1,
    rounds=Rounds(
        count=2,
        generate=(
            Rules(functions=(Matches("good|fine", 1), Matches("bad", 0), Matches("awful", 0))),
            Model(),
        ),
        select=Percentile(step=100),
    ),
    seeds=(0,),
)
"""


@pytest.fixture
def reviews(tmp_path):
    """(experiment file, data): sentences of which rules tell the class of most."""
    rng, lines = np.random.default_rng(0), ["text\tlabel"]
    words = {0: ("bad", "awful", "dull"), 1: ("good", "fine", "great")}
    for i in range(120):
        other = rng.choice(["film", "plot", "cast", "end", "start", "song"], 3)
        lines.append(f"a {words[i % 2][i % 3]} {' '.join(other)}\t{i % 2}")
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        (tmp_path / "data" / f"{split}.tsv").write_text("\n".join(lines))
    (tmp_path / "mine.py").write_text(_TEXT)
    return tmp_path / "mine.py", f"tsv:{tmp_path / 'data'}"


def test_rules_label_text_and_the_report_shows_it(reviews, tmp_path, capsys):
    file, data = reviews
    folder = tmp_path / "run"
    cli.main(["selftrain", str(file), "--data", data, "--workdir", str(folder)])
    results = json.loads((folder / "results.json").read_text())
    first, second = results["quality_by_round"]
    assert first["labels"]["mean"] == 1 and 0.5 < first["coverage"]["mean"] < 0.8
    assert second["coverage"]["mean"] == 1
    assert results["self_trained"]["mean"] > results["supervised"]["mean"]
    assert "precision 100.0" in capsys.readouterr().out
    # A mistake is shown as what it says.
    stored = dict(np.load(folder / "report.npz"))
    # Some labels are told beside the truth, the surest first.
    name, sure, read, said, true = stored["told"].T
    assert len(name) == 6 and said[0] == true[0] and set(said) <= {"0", "1"}
    assert list(true) == [str(int(x.partition(":")[2]) % 2) for x in name]
    assert list(sure) == sorted(sure, reverse=True) and all(read)
    assert "<th>truth</th>" in (folder / "report.html").read_text()
    stored["mistakes"], stored["names"] = (
        np.array([["3", "no", "yes", "0.9"]]),
        np.array(["no", "yes"]),
    )
    np.savez(folder / "report.npz", **stored | {"texts": np.array(["a <fine> film"])})
    page = report.write_self_training(folder).read_text()
    assert "a &lt;fine&gt; film" in page and "labelled no" in page


def test_quality_is_estimated_where_the_truth_is_unknown(reviews, tmp_path, capsys):
    """Half of the given labels are held out and say how good the others' labels are."""
    file, data = reviews
    folder = tmp_path / "run"
    flags = ["--few", "20", "--holdout", "0.5", "--workdir", str(folder)]
    cli.main(["selftrain", str(file), "--data", data, *flags])
    first = json.loads((folder / "seed0" / "rounds" / "01" / "round.json").read_text())
    assert first["estimate"]["examples"] == 20 and first["estimate"]["accuracy"] == 1
    results = json.loads((folder / "results.json").read_text())
    for seed in results["seeds"]:
        for r in seed["rounds"]:
            r.pop("quality", None)
    found = summary(results["seeds"], OneOf(classes=2))
    assert [row["estimated"] for row in found["quality_by_round"]] == [True, True]
    assert found["quality_by_round"][0]["f1"]["mean"] > 0.5
    assert "(estimated)" in table(found | {"seeds": results["seeds"]})
    (folder / "results.json").write_text(json.dumps(results | found))
    assert "estimated on the hold-out" in report.write_self_training(folder).read_text()


@pytest.mark.turns
def test_a_sweep_of_self_training(reviews, tmp_path, capsys):
    file, data = reviews
    text = file.read_text() + (
        "from dataclasses import replace\n"
        "SWEEP = {f'few{n}': replace(SELFTRAIN, few=n) for n in (1, 4)}\n"
    )
    file.write_text(text)
    folder = tmp_path / "sweep"
    command = ["sweep", str(file), "--data", data, "--workdir", str(folder)]
    cli.main(command)
    said = capsys.readouterr().out
    assert "supervised" in said and "few4" in said
    rows = json.loads((folder / "sweep.json").read_text())
    results = json.loads((folder / "few4" / "results.json").read_text())
    assert rows[1]["self_trained"] == results["self_trained"]["mean"]
    assert rows[1]["pseudo.f1"] == results["quality_by_round"][-1]["f1"]["mean"]
    assert (folder / "sweep.png").stat().st_size > 5_000
    page = (folder / "comparison.html").read_text()
    assert "few1" in page and "fully supervised" in page and "<svg" in page
    cli.main(command)
    assert "few4: already finished" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main([*command, "--few", "2"])
    assert "another configuration" in capsys.readouterr().err
    file.write_text(text.replace("SWEEP = {", "SWEEP = {'x': 1} | {"))
    with pytest.raises(SystemExit):
        cli.main(["sweep", str(file)])
    assert "is int, no Experiment" in capsys.readouterr().err


def test_many_classes_have_their_confusions_listed():
    from ssljax.report.selftraining import _confused

    table = np.eye(25, dtype=int) * 9
    table[3, 7], table[4, 2] = 5, 2
    page = _confused({"quality": {"confusion": table.tolist()}}, [f"c{k}" for k in range(25)])
    rows = re.findall(r"<th>(c\d+)</th><td>(c\d+)</td><td>(\d+)</td>", page)
    assert rows == [("c3", "c7", "5"), ("c4", "c2", "2")]
    assert _confused({"quality": {"confusion": table[:9, :9].tolist()}}, None) == ""
    assert _confused({}, None) == ""
