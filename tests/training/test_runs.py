"""A run folder: complete without its data, never begun anew in silence, and clear about what it
refuses."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from data.tiny_pictures import png
from test_train import ROWS, assert_same, quadratic

from ssljax import Cadence, Experiment, Optimizer, Parallel, fit
from ssljax.cli import commands as cli
from ssljax.data import Arrays, Images, Text
from ssljax.methods import BYOL, GPT, SimCLR
from ssljax.nets import GPT2, MLP, SmallConv
from ssljax.probes import Evaluation, FewShot
from ssljax.runs import run as runner
from ssljax.runs.extend import check_extension
from ssljax.runs.folder import compared, prepare, read_config
from ssljax.runs.load import begin_with, load_run
from ssljax.runs.run import run
from ssljax.training.metrics import JsonLines
from ssljax.training.signals import interruptible
from ssljax.views import ImageView


def pictures(folder, classes=("ant", "bee"), count=20, shift=0):
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i:02}.png").write_bytes(png(100 * k + i + shift))
    return folder


def experiment(data, **fields):
    return Experiment(
        **{
            "method": SimCLR(
                encoder=SmallConv(widths=(4, 8)),
                projector=MLP(widths=(8, 4)),
                view=ImageView(size=8),
            ),
            "data": f"folder:{data}",
            "reader": Images(size=8, channels=3),
            "optimizer": Optimizer(learning_rate=1e-3, schedule="constant"),
            "steps": 4,
            "batch": 16,
            "cadence": Cadence(log=1, save=2, evaluate=0, monitor=0),
            "evaluation": Evaluation(few_shot=FewShot(draws=1), split_seeds=1),
        }
        | fields
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(experiment, run folder) of a run whose data lies beside it, named from its folder."""
    place = tmp_path_factory.mktemp("finished")
    pictures(place / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        made = experiment("data")
        run(made, place / "run")
    return made, place / "run"


@pytest.fixture
def copy(finished, tmp_path, monkeypatch):
    """The same run, stopped before its evaluation; the data is where it was."""
    folder = tmp_path / "run"
    shutil.copytree(finished[1], folder)
    (folder / "results.json").unlink()
    monkeypatch.chdir(finished[1].parent)
    return finished[0], folder


@pytest.fixture
def untrained(monkeypatch):
    """`run` ends where training would begin."""
    monkeypatch.setattr(runner, "_train", lambda *args: SimpleNamespace(step=0))


def seen(folder):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.turns
def test_a_run_is_whole_without_its_data(finished, tmp_path, monkeypatch, capsys):
    """From another folder, on devices that its model axis does not fit, and nothing is written."""
    _, folder = finished
    shutil.copytree(folder, tmp_path / "run")
    config = read_config(tmp_path / "run")
    config["experiment"]["parallel"]["model"] = 3
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    (tmp_path / "run" / "data.json").write_text(json.dumps(data | {"folder": "/nowhere"}))
    monkeypatch.chdir(tmp_path)
    before = seen(tmp_path / "run")
    out = tmp_path / "encoder.safetensors"
    cli.main(["export", "run", "--format", "safetensors", "--out", str(out)])
    found, _, state, train, test = load_run(tmp_path / "run")
    assert out.is_file() and int(state.step) == 4
    assert (found.parallel.model, len(train), train.classes, test) == (1, 40, ("ant", "bee"), None)
    with pytest.raises(FileNotFoundError):
        train.once(8)
    cli.main(["report", "run", "--out", str(tmp_path / "page.html")])
    assert seen(tmp_path / "run") == before
    # where the data is still beside the folder of the start, it is found from anywhere
    assert next(load_run(folder)[3].once(8))["image"].shape == (8, 8, 8, 3)
    capsys.readouterr()
    cli.main(["probe", "run", "--json", "--data", f"folder:{folder.parent / 'data'}"])
    shown = json.loads(capsys.readouterr().out)["evaluation"]["encoders"]["trained"]
    results = json.loads((folder / "results.json").read_text())["evaluation"]["encoders"]
    assert shown == pytest.approx(results["trained"], rel=1e-4)


@pytest.mark.turns
def test_probe_of_a_foreign_run_creates_nothing_outside(finished, tmp_path, monkeypatch, capsys):
    """Its configuration names places and services that it has no business with here."""
    shutil.copytree(finished[1], tmp_path / "run")
    pictures(tmp_path / "data")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = read_config(tmp_path / "run")
    places = {"begin": "../begin", "probe_data": "folder:../probes", "trackers": ["mlflow"]}
    before = seen(tmp_path), sorted(tmp_path.rglob("*"))
    for store in (None, "../store/deep"):
        config["experiment"] |= places | {"store": store}
        (tmp_path / "run" / "config.json").write_text(json.dumps(config))
        before[0][tmp_path / "run" / "config.json"] = seen(tmp_path)[tmp_path / "run/config.json"]
        with contextlib.suppress(SystemExit):
            cli.main(["probe", "../run", "--data", "folder:../data"])
        said = capsys.readouterr()
        assert "trained" in said.out if store is None else "../store/deep" in said.err
        assert (seen(tmp_path), sorted(tmp_path.rglob("*"))) == before


def test_a_finished_run_says_so_and_does_nothing(finished, monkeypatch):
    made, folder = finished
    monkeypatch.chdir("/")  # without its data
    before = seen(folder)
    for again in (made, dataclasses.replace(made, workers=0, cadence=Cadence(log=7))):
        assert run(again, folder)["before"]
    changed = {p.name for p in before if seen(folder)[p] != before[p]}
    assert changed <= {".lock"}


@pytest.mark.turns
def test_lost_checkpoints_stop_a_run_and_cost_nothing(finished, copy, tmp_path):
    made, folder = copy
    rows = (folder / "metrics.jsonl").read_bytes()
    store = tmp_path / "store"
    (folder / "checkpoints").rename(store)
    with pytest.raises(ValueError, match=r"had come to step 4, but its checkpoints are lost"):
        run(made, folder)
    (tmp_path / "empty").mkdir()  # as a disk that is not mounted
    with pytest.raises(ValueError, match=r"had come to step 4, but .*/empty holds none"):
        run(dataclasses.replace(made, store=str(tmp_path / "empty")), folder)
    with pytest.raises(ValueError, match="lost"):
        load_run(folder)
    assert (folder / "metrics.jsonl").read_bytes() == rows
    shutil.copy(finished[1] / "results.json", folder / "results.json")
    with pytest.raises(ValueError, match=r"is finished, .* but its checkpoints are lost"):
        run(dataclasses.replace(made, store=None), folder)


def test_rows_beyond_the_checkpoint_are_kept_beside(tmp_path):
    options = {"batch": 16, "folder": tmp_path, "cadence": Cadence(log=1, save=2, monitor=0)}
    fit(quadratic(), Arrays(ROWS), steps=4, **options)
    rows = (tmp_path / "metrics.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "checkpoints" / "4")
    damaged = rows.replace(b'"step": 1,', b'"step": \xff1,')
    (tmp_path / "metrics.jsonl").write_bytes(damaged)
    fit(quadratic(), Arrays(ROWS), steps=4, **options)
    lines = damaged.splitlines(keepends=True)
    assert (tmp_path / "metrics-0001.jsonl").read_bytes() == lines[0] + lines[2] + lines[3]
    assert len((tmp_path / "metrics.jsonl").read_bytes().splitlines()) == 3


def test_a_failed_start_leaves_nothing(tmp_path, untrained):
    """Of a run that trained nothing, also the configuration and the tokenizer may be replaced."""
    data, folder = pictures(tmp_path / "data"), tmp_path / "runs" / "a"
    good = experiment(data)
    for wrong, match in (
        ({"batch": 400}, "400 is larger than the 40"),
        ({"batch": 12}, "multiple of 8"),
        ({"data": "folder:nowhere"}, "nowhere"),
        ({"steps": 0, "optimizer": Optimizer(warmup=5)}, "warmup 5"),
        ({"cadence": Cadence(steps_per_call=3)}, "steps_per_call 3"),
        ({"begin": "nothing.safetensors"}, "nothing"),
        ({"online_probe": True, "reader": Images(size=8, channels=1), "batch": 400}, "400"),
    ):
        with pytest.raises((ValueError, OSError), match=match):
            run(dataclasses.replace(good, **wrong), folder)
        assert not folder.exists()
    run(good, folder)
    run(dataclasses.replace(good, seed=1), folder)  # nothing was trained with seed 0
    assert read_config(folder)["experiment"]["seed"] == 1


def test_a_tokenizer_of_a_failed_start_is_not_taken_over(tmp_path, untrained):
    text = tmp_path / "a.txt"
    text.write_text("\n".join(f"{i * 7919} words {i * i}" for i in range(400)))
    net = GPT2(vocab=400, length=8, width=8, depth=1, heads=1)
    sizes = []
    for vocab in (300, 280):
        reader = Text(length=8, vocab=vocab, layout="windows")
        made = dataclasses.replace(
            experiment(""), method=GPT(encoder=net), reader=reader, data=f"text:{text}"
        )
        run(made, tmp_path / "run")
        known = json.loads((tmp_path / "run" / "data.json").read_text())
        assert known["files"] == ["tokenizer.json"]
        sizes.append((tmp_path / "run" / "tokenizer.json").read_text())
    assert sizes[0] != sizes[1]
    (tmp_path / "run" / "saved.json").write_text('{"step": 2}')
    (tmp_path / "run" / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json is gone"):
        run(made, tmp_path / "run")
    assert not (tmp_path / "run" / "tokenizer.json").exists()


def test_what_may_differ_and_what_not(copy, tmp_path, untrained):
    made, folder = copy
    cadence = dataclasses.replace(made.cadence, log=3, keep=5)
    other = dataclasses.replace(made, workers=0, cadence=cadence, parallel=Parallel(fsdp=True))
    run(other, folder)
    config = read_config(folder)
    assert config["experiment"]["cadence"]["log"] == 3
    assert "cadence.log: 1 -> 3" in config["changed"][0]["fields"]
    for field, value in (("seed", 3), ("batch", 8), ("steps", 6), ("online_probe", True)):
        with pytest.raises(ValueError, match=rf"another configuration \({field}: "):
            run(dataclasses.replace(made, **{field: value}), folder)
    refresh = dataclasses.replace(made.cadence, refresh=2)
    with pytest.raises(ValueError, match=r"cadence\.refresh: 0 -> 2"):
        run(dataclasses.replace(made, cadence=refresh), folder)
    with pytest.raises(ValueError, match="--extend-to 6"):
        run(dataclasses.replace(made, steps=6), folder)


def test_other_data_is_noticed_and_another_place_is_not(copy, tmp_path, untrained):
    made, folder = copy
    same = pictures(tmp_path / "moved")
    run(dataclasses.replace(made, data=f"folder:{same}"), folder)
    assert read_config(folder)["experiment"]["data"] == f"folder:{same}"
    for change, match in (
        ({"count": 19}, "38 examples in place of 40"),
        ({"classes": ("ant", "cow")}, r"classes 2 \(ant, cow\) in place of 2 \(ant, bee\)"),
        ({"shift": 1000}, "of other content"),
    ):
        other = pictures(tmp_path / match[:5], **change)
        for gigabytes in (4.0, 0.0):  # in memory, and streamed
            again = dataclasses.replace(made, data=f"folder:{other}", in_memory_gb=gigabytes)
            with pytest.raises(ValueError, match=match):
                run(again, folder)


def test_lost_numbers_are_said(tmp_path, caplog):
    JsonLines(tmp_path / "metrics.jsonl").close()
    assert not caplog.text
    (tmp_path / "metrics.jsonl").unlink()
    JsonLines(tmp_path / "metrics.jsonl", resume_at=3).close()
    assert "metrics.jsonl is missing: the numbers of the steps up to 3 are lost" in caplog.text


def test_other_test_data_is_noticed_too(copy, tmp_path, untrained):
    made, folder = copy
    place = tmp_path / "test"
    made = dataclasses.replace(made, test=f"folder:{pictures(place)}:train")
    run(made, folder)  # named by a flag: it is meant
    shutil.rmtree(place)
    pictures(place, shift=1000)
    with pytest.raises(ValueError, match="it has examples, or labels, of other content"):
        run(made, folder)
    shutil.rmtree(place)
    pictures(place, count=19)
    with pytest.raises(ValueError, match=r"38 examples in place of 40\. .*with --test"):
        run(made, folder)
    run(dataclasses.replace(made, test=None), folder)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"experiment": ', '{"experiment": null}', "\xff", "null method", "odd steps"],
)
def test_a_damaged_config_is_named(copy, content):
    made, folder = copy
    path = folder / "config.json"
    config = read_config(folder)
    if content == "null method":
        config["experiment"]["method"] = None
        content = json.dumps(config)
    if content == "odd steps":
        config["experiment"]["steps"] = "many"
        content = json.dumps(config)
    path.write_bytes(content.encode("latin-1"))
    for use in (lambda: run(made, folder), lambda: load_run(folder)):
        with pytest.raises(ValueError, match=r"config\.json is damaged: .*Put back a copy"):
            use()
    path.unlink()
    prepare(made, folder)  # the same command writes it anew
    assert compared(made, folder) == []


@pytest.mark.parametrize("name", ["results.json", "data.json", "saved.json"])
@pytest.mark.parametrize("content", ["", "[]", '{"step": ', "\xff"])
def test_other_damaged_files_are_named(copy, name, content):
    made, folder = copy
    (folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"{name} is damaged.*Remove it"):
        run(made, folder)


def test_extended_equals_straight(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "evaluate", lambda *args: {"encoders": {}})
    monkeypatch.setattr(runner, "pictures", lambda *args: {})
    made = experiment(pictures(tmp_path / "data"), steps=2)
    longer = dataclasses.replace(made, steps=4)
    run(made, tmp_path / "a")
    run(longer, tmp_path / "a", extend=True)
    run(longer, tmp_path / "b")
    assert_same(load_run(tmp_path / "a")[2], load_run(tmp_path / "b")[2])
    names = {p.name for p in (tmp_path / "a").iterdir()}
    assert names >= {"results.json", "results-2.json"}
    assert read_config(tmp_path / "a")["changed"][0]["fields"] == ["steps: 2 -> 4"]


@pytest.mark.turns
def test_what_cannot_be_extended_says_why(copy):
    made, folder = copy
    _, _, _, train, _ = load_run(folder)
    longer = dataclasses.replace(made, steps=8)
    check_extension(longer, folder, train, done=4)
    cosine = dataclasses.replace(longer, optimizer=Optimizer())
    with pytest.raises(ValueError, match=r"schedule cosine.*laid out for 4 steps.*--begin"):
        check_extension(cosine, folder, train, done=4)
    stable = Optimizer(schedule="wsd", cooldown=2)
    longer = dataclasses.replace(longer, optimizer=stable)
    check_extension(longer, folder, train, done=2)  # before its decay
    with pytest.raises(ValueError, match="schedule wsd"):
        check_extension(longer, folder, train, done=4)
    longer = dataclasses.replace(made, steps=8)
    byol = BYOL(
        encoder=SmallConv(widths=(4, 8)),
        projector=MLP(widths=(8, 4)),
        predictor=MLP(widths=(8, 4)),
        views=(ImageView(size=8), ImageView(size=8)),
    )
    with pytest.raises(ValueError, match="a schedule of BYOL itself"):
        check_extension(dataclasses.replace(longer, method=byol), folder, train, done=4)
    with pytest.raises(ValueError, match="laid out for 4 steps"):
        check_extension(dataclasses.replace(longer, steps=3), folder, train, done=3)


def test_training_begins_with_the_networks_of_a_run(finished):
    _, folder = finished
    _, method, state, *_ = load_run(folder)
    params, stats = begin_with(str(folder), {"encoder": SmallConv(widths=(4, 8))})
    assert_same((params["encoder"], stats["encoder"]), method.backbone(state))
    with pytest.raises(ValueError, match=r"holds another encoder: widths is .*4, 8.* and .*4, 16"):
        begin_with(str(folder), {"encoder": SmallConv(widths=(4, 16))})


@pytest.mark.turns
def test_a_signal_in_the_evaluation_loses_nothing(copy, monkeypatch):
    """SIGTERM twice: the run ends in order, and the same command goes on to the end."""
    made, folder = copy
    whole = runner.evaluate

    def interrupted(*args):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runner, "evaluate", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with interruptible():
            assert run(made, folder) == {"step": 4, "finished": False}
    finally:
        signal.signal(signal.SIGTERM, before)
    monkeypatch.setattr(runner, "evaluate", whole)
    assert run(made, folder)["finished"]


def test_a_deleted_folder_stops_the_run(tmp_path):
    (tmp_path / "run").mkdir()
    for log in (1, 0):  # noticed by the metrics, and without them by the next save

        def delete(state):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            return {}

        cadence = Cadence(log=log, save=2, evaluate=2, monitor=0)
        options = {"batch": 16, "folder": tmp_path / "run", "cadence": cadence}
        with pytest.raises(OSError, match=r"is gone"):
            fit(quadratic(), Arrays(ROWS), steps=8, evaluate=delete, **options)
        assert not (tmp_path / "run").exists()
        (tmp_path / "run").mkdir()


ORPHAN = """
import multiprocessing, sys
from ssljax import data
if __name__ == "__main__":
    rows = data.load(sys.argv[1], in_memory_bytes=0, workers=1).batches(8, seed=0)
    next(rows)
    print(*(p.pid for p in multiprocessing.active_children()), flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_workers_end_with_a_killed_run(tmp_path):
    (tmp_path / "orphan.py").write_text(ORPHAN)
    spec = f"folder:{pictures(tmp_path / 'data')}"
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "orphan.py"), spec],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    workers = [int(pid) for pid in run.stdout.readline().split()]
    assert workers
    run.kill()
    run.wait()
    from test_faults import until

    def running(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
        except OSError:
            return False

    assert until(lambda: not any(map(running, workers)), 60)
