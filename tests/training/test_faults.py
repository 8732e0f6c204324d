"""Faults, each tried: nothing that was saved is lost, and what the user sees says what to do.

A star stands for the rest of a name; tests without a file are in this one, and a file is the one of
that name under tests/.

fault                   what the user sees                  proof
----------------------  ----------------------------------  --------------------------------------
killed at random        nothing; the next start goes on,    test_killed_twenty_times
moments                 bit for bit
preempted (SIGTERM)     "stopped at step N; the same        test_a_signal_saves_and_exits
                        command ... goes on"; exit code 0   test_train.py::test_sigterm_*
truncated checkpoint    "checkpoint of step 6 cannot be     test_a_truncated_checkpoint
                        read"; the one before is used, the  test_checkpoint.py::test_a_damaged_*
                        bad one moved aside
flipped bit             the same                            test_checkpoint.py::test_a_flipped_*
half a row of metrics   nothing; the row is written again   test_train.py::test_half_a_row_*
missing Parquet file    the run ends and names file and     test_a_missing_parquet_file
                        row group
missing image files     one is named and replaced; beyond   test_a_missing_image
                        1% the run ends and names them      test_a_missing_folder
corrupt image           named and left out or replaced;     data/test_dataset.py::test_few_*
                        beyond 1% the run ends and names    data/test_dataset.py::test_many_*
                        them
reading fails or runs   the error, or "the data ran dry",   test_train.py::test_a_loading_*
dry                     on every host                       test_distributed.py::test_data_*
full disk               "checkpoint 6 cannot be saved ...:  test_a_full_disk*
                        No space left on device; the last   test_checkpoint.py::test_a_save_*
                        good one is checkpoint 3"
read-only folder        "cannot be written (Read-only file  test_a_folder_that_was_read_only_*
                        system)" before any work; later as  test_a_read_only_folder
                        a full disk                         test_cli.py::test_bad_input
clocks that jump or     nothing, unless one jumps far       test_a_clock_that_jumps
differ                  during a save ("cannot be saved")   test_hosts_a_day_apart
batch does not fit the  "use a multiple of 8, for instance  test_train.py::test_bad_input
devices                 16"                                 test_cli.py::test_bad_input
fewer devices than      nothing; losses agree to 1e-5       test_another_number_of_devices
before
lost host               its name and the reason, on every   test_distributed.py::test_a_killed_*
                        host
changed configuration   "another configuration              test_cli.py::test_training_again_*
                        (method.temperature: 0.2 -> 0.9)"   test_checkpoint.py::test_another_*
two runs in one folder  "another run is at work in ...      test_two_runs_in_one_folder
                        (process N on HOST)"
unknown field or flag   the nearest name                    test_record.py::test_unknown_flag_*
                                                            test_record.py::test_decode_*
NaN or infinity         the step, the leaves, the           test_train.py::test_nan_*
                        examples; the state before is       test_train.py::test_bad_steps_*
                        saved
a step that hangs       "a step takes 1.1 s and is not      test_train.py::test_a_slow_step_*
                        done"
hostile zip             names that climb out are only       data/test_sources.py::test_names_*
                        names
hostile npz             refused, not unpickled              data/test_sources.py::test_npz_objects_*
hostile checkpoint      "cannot be read"; nothing is        test_checkpoint.py::test_a_hostile_*
                        executed                            test_checkpoint.py::test_a_checkpoint_*
hostile config.json     "not part of ssljax"                test_record.py::test_decode_*
interrupted export      the old file or none, never half    test_an_interrupted_export
                        of one                              export/test_export.py::test_a_failed_*
"""

import contextlib
import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import test_distributed
from data.tiny_pictures import png, table
from test_train import ROWS, assert_same, numbers, quadratic

from ssljax import data
from ssljax.cli.flags import load_experiment
from ssljax.data import Arrays, parquet
from ssljax.runs import folder as run_folder
from ssljax.runs import run as runner
from ssljax.training.train import Cadence, fit

WORKER = Path(__file__).with_name("fault_worker.py")
ROOT = WORKER.parents[2]


class Nursery:
    """Starts one process at a time for each order, see fault_worker.py."""

    def __init__(self):
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": cache}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def start(self, do, log, **order):
        """Returns the id of the process; `log` is the file of its output."""
        log.unlink(missing_ok=True)
        self.process.stdin.write(json.dumps({"do": do, "log": str(log), **order}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def code(self):
        """Waits for the process: its exit code, or minus the signal that ended it."""
        return int(self.process.stdout.readline())

    def run(self, do, log, **order):
        """The output of a process that ends well."""
        self.start(do, log, **order)
        code = self.code()
        assert code == 0, log.read_text()
        return log.read_text()


@pytest.fixture(scope="module")
def nursery():
    found = Nursery()
    yield found
    found.process.stdin.close()
    found.process.wait(timeout=30)


def until(condition, seconds=30):
    """Waits for a condition; False where it does not come true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.001)
    return False


def final(output):
    """The bits of the final state."""
    return next(line for line in output.splitlines() if line.startswith("state "))


def saved(folder):
    place = folder / "checkpoints"
    names = [p.name for p in place.iterdir()] if place.is_dir() else []
    return sorted(int(n) for n in names if n.isdigit())


def unfinished(folder):
    return [p for p in (folder / "checkpoints").glob("*.orbax-checkpoint-tmp*") if p.is_dir()]


def test_the_table_names_tests_that_exist():
    for file, name in re.findall(r"(?:(\S+\.py)::)?(test_\w+\*?)(?=\s)", __doc__):
        (path,) = (ROOT / "tests").rglob(file or "test_faults.py")
        source = path.read_text()
        end = "" if name.endswith("*") else r"\("
        assert re.search(rf"def {name.rstrip('*')}{end}", source), (file, name)


# Killed and preempted


def kill(nursery, folder, *, times, seed, **order):
    """Kills a run `times` times in a row: at random moments, and each third time after one save,
    with the next in flight. Returns how often a save was in flight, and how often one was finished.
    """
    draw = random.Random(seed)
    log = folder.with_suffix(".log")
    half_written = steps_forward = 0
    for i in range(times):
        before = saved(folder)
        pid = nursery.start("train", log, folder=str(folder), pause=0.01, **order)
        if i % 3 == 2:
            old = {p.name for p in unfinished(folder)}

            def between(before=before, old=old):
                fresh = {p.name for p in unfinished(folder)} - old
                return saved(folder)[-1:] > before[-1:] and fresh

            assert until(between, 60), log.read_text()
        else:
            if i % 3 == 1:  # the others fall into the start, too
                assert until(lambda: log.exists() and "training" in log.read_text())
            time.sleep(draw.uniform(0, 0.4))
        os.kill(pid, signal.SIGKILL)
        assert nursery.code() == -signal.SIGKILL, log.read_text()
        after = saved(folder)
        assert after[-1:] >= before[-1:], "a checkpoint was lost"
        half_written += bool(unfinished(folder))
        steps_forward += after[-1:] > before[-1:]
    return half_written, steps_forward


def check_killed(nursery, tmp_path, *, times, seed, **order):
    never = {"folder": str(tmp_path / "a"), "save": 0}
    straight = nursery.run("train", tmp_path / "a.log", **never, **order)
    half_written, forward = kill(nursery, tmp_path / "b", times=times, seed=seed, **order)
    assert half_written >= times // 6, "saves were not in flight"
    assert forward >= times // 4
    assert saved(tmp_path / "b")[-1] < order["steps"], "it had come to its end before"
    resumed = nursery.run("train", tmp_path / "b.log", folder=str(tmp_path / "b"), **order)
    assert final(resumed) == final(straight)
    assert [row["step"] for row in numbers(tmp_path / "a")] == list(range(1, order["steps"] + 1))
    assert numbers(tmp_path / "b") == numbers(tmp_path / "a")
    assert not unfinished(tmp_path / "b")


def test_killed_twenty_times(nursery, tmp_path):
    """The final state and every row of metrics equal those of a run that never stopped."""
    check_killed(nursery, tmp_path, times=20, seed=0, steps=400)


@pytest.mark.slow
def test_killed_a_hundred_times_on_eight_devices(nursery, tmp_path):
    order = {"method": "wide", "devices": 8, "fsdp": True, "steps": 2500}
    check_killed(nursery, tmp_path, times=100, seed=1, **order)


TINY = [
    *["--batch", "64", "--method.encoder.widths", "4", "--method.projector.widths", "8", "4"],
    *["--optimizer.warmup", "0", "--cadence.log", "1", "--cadence.save", "0"],
    *["--cadence.evaluate", "0", "--cadence.monitor", "0"],
]


def test_a_signal_saves_and_exits(nursery, tmp_path):
    """The command line says at which step it stopped and how to go on; SIGTERM may come twice."""
    folder, log = tmp_path / "run", tmp_path / "log"
    file = str(ROOT / "experiments" / "simclr_digits.py")
    arguments = ["train", file, "--workdir", str(folder), "--steps", "100000", *TINY]
    pid = nursery.start("cli", log, arguments=arguments)
    rows = folder / "metrics.jsonl"
    assert until(lambda: rows.exists() and rows.read_text().count("\n") > 2, 120), log.read_text()
    for _ in range(2):
        os.kill(pid, signal.SIGTERM)
    assert nursery.code() == 0, log.read_text()
    (step,) = saved(folder)
    assert f"stopped by a signal at step {step} of 100000" in log.read_text()
    assert f"stopped at step {step}; the same command with --workdir {folder} goes on" in (
        log.read_text()
    )
    assert "state: 0.0 MB on each of 1 device(s)" in log.read_text()
    assert [row["step"] for row in numbers(folder)] == list(range(1, step + 1))


# Damaged and missing files


def test_a_truncated_checkpoint(tmp_path, caplog):
    """The run goes on from the one before and comes to the same end."""
    options = {"batch": 16, "cadence": Cadence(log=1, save=3, monitor=3)}
    straight = fit(quadratic(), Arrays(ROWS), steps=9, folder=made(tmp_path / "a"), **options)
    fit(quadratic(), Arrays(ROWS), steps=6, folder=made(tmp_path / "b"), **options)
    place = tmp_path / "b" / "checkpoints"
    for file in (place / "6" / "default").glob("**/d/*"):
        os.truncate(file, file.stat().st_size // 2)
    resumed = fit(quadratic(), Arrays(ROWS), steps=9, folder=tmp_path / "b", **options)
    assert "checkpoint of step 6 cannot be read" in caplog.text
    assert "checkpoint of step 6 is moved to" in caplog.text
    assert_same(resumed, straight)
    assert numbers(tmp_path / "b") == numbers(tmp_path / "a")
    assert sorted(p.name for p in place.iterdir()) == ["6", "6.damaged", "9"]


def made(folder):
    folder.mkdir(parents=True)
    return folder


def at_step(step, action):
    """An `evaluate` that does something after so many steps, once, and gives no numbers."""
    waiting = [action]

    def evaluate(state):
        if int(state.step) == step and waiting:
            waiting.pop()()
        return {}

    return evaluate


def shards(folder):
    """A data set of 40 pictures in two Parquet files of four row groups."""
    for i in range(2):
        rows = table(range(20 * i, 20 * i + 20))
        pq.write_table(rows, made(folder / str(i)) / "train.parquet", row_group_size=5)
    return f"parquet:{folder}"


def images(folder, count):
    for i in range(count):
        (folder / f"{i:03}.png").write_bytes(png(i))
    return f"folder:{folder}"


def stream(spec):
    return data.load(spec, in_memory_bytes=0, workers=0)


STREAMED = {"batch": 16, "cadence": Cadence(log=1, save=3, evaluate=1, monitor=3)}


def goes_on_when_it_is_back(spec, tmp_path, *, take_away, give_back, match):
    """What disappears after step 4 ends the run; with it back the run ends as if nothing was."""
    straight = fit(quadratic(), stream(spec), steps=12, folder=made(tmp_path / "a"), **STREAMED)
    with pytest.raises(ValueError, match=match) as error:
        fit(
            quadratic(),
            stream(spec),
            steps=10_000,
            folder=made(tmp_path / "b"),
            evaluate=at_step(4, take_away),
            **STREAMED,
        )
    give_back()
    shown = str(error.value)
    found = saved(tmp_path / "b")
    assert 3 <= found[-1] < 12  # read ahead, but not far
    resumed = fit(quadratic(), stream(spec), steps=12, folder=tmp_path / "b", **STREAMED)
    assert_same(resumed, straight)
    assert numbers(tmp_path / "b") == numbers(tmp_path / "a")
    return shown


def test_a_missing_parquet_file(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "CACHE_BYTES", 1)  # each row group is read again and again
    spec = shards(tmp_path / "data")
    here, there = tmp_path / "data" / "1", tmp_path / "away"
    goes_on_when_it_is_back(
        spec,
        tmp_path,
        take_away=lambda: here.rename(there),
        give_back=lambda: there.rename(here),
        match=r"data/1/train\.parquet, row group \d: .*No such file",
    )


def test_a_missing_folder(tmp_path):
    spec = images(made(tmp_path / "data"), 120)
    here, there = tmp_path / "data", tmp_path / "away"
    shown = goes_on_when_it_is_back(
        spec,
        tmp_path,
        take_away=lambda: here.rename(there),
        give_back=lambda: there.rename(here),
        match="corrupt",
    )
    assert "data/" in shown and "No such file" in shown


def test_a_missing_image(tmp_path, caplog):
    """One of many is named, and the next one takes its place; the run goes on."""
    spec = images(made(tmp_path / "data"), 120)
    source = stream(spec)
    (tmp_path / "data" / "070.png").unlink()
    state = fit(quadratic(), source, steps=16, batch=16)
    assert int(state.step) == 16
    assert "replaced a corrupt example" in caplog.text
    assert len(source.skipped) == 1
    assert "070.png: cannot be read" in source.skipped[0] and "No such file" in source.skipped[0]


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_streamed_data_resumes_in_the_middle_of_an_epoch(tmp_path, kind):
    """Two and a half epochs of two batches: straight, and stopped after three batches."""
    place = made(tmp_path / "data")
    spec = shards(place) if kind == "parquet" else images(place, 40)
    straight = fit(quadratic(), stream(spec), steps=5, folder=made(tmp_path / "a"), **STREAMED)
    fit(quadratic(), stream(spec), steps=3, folder=made(tmp_path / "b"), **STREAMED)
    resumed = fit(quadratic(), stream(spec), steps=5, folder=tmp_path / "b", **STREAMED)
    assert_same(resumed, straight)
    assert numbers(tmp_path / "b") == numbers(tmp_path / "a")
    memory = fit(quadratic(), data.load(spec), steps=5, **STREAMED)
    assert_same(memory, straight)


# Folders that cannot be written


@pytest.fixture
def mount(tmp_path):
    """mount(options..., folder) on Linux as root, undone at the end; else the test is skipped."""
    done = []

    def mounted(*options):
        try:
            subprocess.run(["mount", *map(str, options)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"mounting needs the rights of root: {error}")
        done.append(str(options[-1]))

    yield mounted
    for folder in reversed(done):
        subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


def read_only(mount, folder):
    mount("--bind", folder, folder)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)


def refuses_a_save_and_goes_on(tmp_path, folder, *, prevent, allow, match):
    """From step 4 on nothing can be saved: step 6 says so, and later the run goes on from 3."""

    def once_saved():
        assert until(lambda: saved(folder) == [3])
        prevent()

    options = {"batch": 16, "cadence": Cadence(log=0, save=3, evaluate=4, monitor=0)}
    straight = fit(quadratic(), Arrays(ROWS), steps=11, folder=made(tmp_path / "a"), **options)
    with pytest.raises(OSError, match=match):
        fit(
            quadratic(),
            Arrays(ROWS),
            steps=11,
            folder=folder,
            evaluate=at_step(4, once_saved),
            **options,
        )
    assert saved(folder) == [3]
    allow()
    resumed = fit(quadratic(), Arrays(ROWS), steps=11, folder=folder, **options)
    assert_same(resumed, straight)


def fill(file):
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(4096))


def test_a_full_disk(tmp_path, mount):
    """A real one, of 4 MB."""
    disk = made(tmp_path / "disk")
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", disk)

    refuses_a_save_and_goes_on(
        tmp_path,
        made(disk / "run"),
        prevent=lambda: fill(disk / "other"),
        allow=(disk / "other").unlink,
        match=r"checkpoint 6 cannot be saved in .*: No space left on device; the last good one is "
        r"checkpoint 3\. Make sure that there is space",
    )


def test_a_full_disk_ends_the_metrics(tmp_path, mount):
    """... with a reason, before any save is due, and without waiting for anything."""
    disk = made(tmp_path / "disk")
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", disk)
    options = {"batch": 16, "steps": 200}
    options["cadence"] = Cadence(log=1, save=100, evaluate=4, monitor=0)
    straight = fit(quadratic(), Arrays(ROWS), folder=made(tmp_path / "a"), **options)

    with pytest.raises(OSError, match=r"metrics of step \d+ cannot be written in .*No space left"):
        fit(
            quadratic(),
            Arrays(ROWS),
            folder=made(disk / "run"),
            evaluate=at_step(4, lambda: fill(disk / "other")),
            **options,
        )
    (disk / "other").unlink()
    resumed = fit(quadratic(), Arrays(ROWS), folder=disk / "run", **options)
    assert_same(resumed, straight)
    assert numbers(disk / "run") == numbers(tmp_path / "a")


def test_a_read_only_folder(tmp_path, mount):
    """That becomes so while the run is at work; permissions would not stop root."""
    folder = made(tmp_path / "run")
    refuses_a_save_and_goes_on(
        tmp_path,
        folder,
        prevent=lambda: read_only(mount, folder / "checkpoints"),
        allow=lambda: subprocess.run(["umount", str(folder / "checkpoints")], check=True),
        match=r"checkpoint 6 cannot be saved in .*Read-only file system.*; the last good one is "
        "checkpoint 3",
    )


def test_a_folder_that_was_read_only_from_the_start(tmp_path, mount):
    before = load_experiment(str(ROOT / "experiments" / "simclr_digits.py"))
    folder = made(tmp_path / "run")
    read_only(mount, folder)
    for place in (folder, folder / "below"):
        with pytest.raises(PermissionError, match=r"cannot be written \(Read-only file system\)"):
            runner.run(before, place)
    assert not list(folder.iterdir())


def test_two_runs_in_one_folder(nursery, tmp_path):
    """The second ends before it reads or writes anything; a killed run leaves no lock."""
    folder, log = tmp_path / "run", tmp_path / "log"
    order = {"folder": str(folder), "steps": 100_000, "pause": 0.01}
    pid = nursery.start("train", log, **order)
    second = load_experiment(str(ROOT / "experiments" / "simclr_digits.py"))
    try:
        assert until(lambda: saved(folder))
        for _ in range(2):  # the second is no more lucky
            with pytest.raises(ValueError, match=rf"another run is at work.*\(process {pid} on "):
                runner.run(second, folder)
    finally:
        os.kill(pid, signal.SIGKILL)
    assert nursery.code() == -signal.SIGKILL
    step = saved(folder)[-1]
    with run_folder.lock(folder):
        assert saved(folder)[-1] == step
    steps = [row["step"] for row in numbers_of_killed(folder)]
    assert steps == list(range(1, len(steps) + 1))


def numbers_of_killed(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


# Clocks and devices


def test_a_clock_that_jumps(tmp_path, monkeypatch, caplog):
    """A day forward, two back, one forward: no save is due and no step slow because of it.

    (Not during a save: Orbax measures its time limit by this clock, and a jump beyond that limit
    ends the run with "cannot be saved".)
    """
    options = {"batch": 16, "steps": 80}
    options["cadence"] = Cadence(log=1, save=30, save_minutes=30, evaluate=1, monitor=6, keep=9)
    straight = fit(quadratic(), Arrays(ROWS), folder=made(tmp_path / "a"), **options)
    real, ahead = time.time, {10: 86400, 50: -86400, 70: 0}
    jumped = []

    def jump(state):
        if (step := int(state.step)) in ahead:
            assert until(lambda: not unfinished(tmp_path / "b"))
            monkeypatch.setattr(time, "time", lambda: real() + ahead[step])
            jumped.append(step)
        return {}

    caplog.set_level(logging.WARNING, "ssljax")
    jumping = fit(quadratic(), Arrays(ROWS), folder=made(tmp_path / "b"), evaluate=jump, **options)
    assert jumped == list(ahead)
    assert_same(jumping, straight)
    assert numbers(tmp_path / "b") == numbers(tmp_path / "a")
    assert saved(tmp_path / "b") == [30, 60, 80]
    # A busy machine may well be slow for a second; only a jump makes it hours.
    slow = [r.args[0] for r in caplog.records if "a step takes" in str(r.msg)]
    assert all(seconds < 3600 for seconds in slow)


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """Straight through on eight devices, with all that is large split over them."""
    folder = tmp_path_factory.mktemp("eight") / "run"
    run = test_distributed.Run(folder, processes=1, devices=8, fsdp=True)
    return folder, run.end()[0].result


@pytest.mark.turns
def test_hosts_a_day_apart(tmp_path, monkeypatch, eight):
    """Two processes, the clock of one of them a day ahead: neither counts as lost."""
    worker = test_distributed.WORKER
    skewed = tmp_path / "skewed.py"
    skewed.write_text(
        "import json, runpy, sys, time\n"
        "real, ahead = time.time, 86400 * json.loads(sys.argv[1])['process']\n"
        "time.time = lambda: real() + ahead\n"
        f"runpy.run_path({str(worker)!r}, run_name='__main__')\n"
    )
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
    monkeypatch.setattr(test_distributed, "WORKER", skewed)
    both = test_distributed.Run(tmp_path / "run", silence=3.0, pause=0.3).end()
    assert both[0].result == both[1].result
    assert both[0].result["weight"] == pytest.approx(eight[1]["weight"], rel=1e-5)
    test_distributed.assert_close(
        test_distributed.rows(tmp_path / "run"), test_distributed.rows(eight[0]), rel=1e-5
    )


@pytest.mark.turns
@pytest.mark.parametrize("devices", [4, 1])
def test_another_number_of_devices(tmp_path, eight, devices):
    """What eight devices saved at step 8, fewer go on with; the losses agree to 1e-5."""
    folder = tmp_path / "run"
    shutil.copytree(eight[0], folder)
    shutil.rmtree(folder / "checkpoints" / "12")
    run = test_distributed.Run(folder, processes=1, devices=devices, fsdp=True)
    result = run.end()[0].result
    assert result["step"] == 12
    assert result["weight"] == pytest.approx(eight[1]["weight"], rel=1e-5)
    test_distributed.assert_close(
        test_distributed.rows(folder), test_distributed.rows(eight[0]), rel=1e-5
    )


# Exports


def test_an_interrupted_export(nursery, tmp_path):
    """Killed with half of the file written: the name belongs to the old file, or to none."""
    place = made(tmp_path / "out") / "encoder.safetensors"
    for old in (None, b"the old file"):
        if old is not None:
            place.write_bytes(old)
        nursery.start("export", tmp_path / "log", path=str(place))
        assert nursery.code() == -signal.SIGKILL
        assert (place.read_bytes() if place.exists() else None) == old
    from ssljax.export import safetensors

    safetensors.write(place, {"encoder/w": np.ones(3, np.float32)})
    assert safetensors.read(place)["encoder/w"].shape == (3,)
