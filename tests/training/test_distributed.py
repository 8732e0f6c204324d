"""Several hosts, played by processes of this machine: equal to one, and they end together."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from ssljax.training import cluster, distributed

WORKER = Path(__file__).with_name("distributed_worker.py")


class Run:
    """Some processes that make up one run; `each` holds options of single processes."""

    def __init__(self, folder, *, processes=2, each=None, **options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder = folder
        self.logs = folder.with_name(f"{folder.name}-logs-{time.monotonic_ns()}")
        self.logs.mkdir(parents=True)
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(WORKER.parents[2] / ".jax_cache"))
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": cache}
        self.processes = []
        for i in range(processes):
            own = {"folder": str(folder), "process": i, "processes": processes, "port": port}
            own |= options | (each or {}).get(i, {})
            with (
                (self.logs / f"{i}.out").open("w") as out,
                (self.logs / f"{i}.err").open("w") as err,
            ):
                command = [sys.executable, str(WORKER), json.dumps(own)]
                self.processes.append(
                    subprocess.Popen(command, stdout=out, stderr=err, env=environment)
                )

    def until_step(self, step):
        """Waits until the row of `step` is written."""
        for _ in range(1200):
            if any(row["step"] >= step for row in rows(self.folder)):
                return
            assert all(p.poll() is None for p in self.processes), self.end()
            time.sleep(0.05)
        raise AssertionError("no step was made")

    def end(self, timeout=90):
        """What became of each process; all are killed after `timeout` seconds."""
        try:
            for process in self.processes:
                process.wait(timeout=timeout)
        finally:
            for process in self.processes:
                process.kill()
        time.sleep(1.0 if any(p.returncode for p in self.processes) else 0)  # for the last words
        texts = [
            (self.logs / f"{i}.{k}").read_text()
            for i in range(len(self.processes))
            for k in ("out", "err")
        ]
        return [
            Outcome(p.returncode, texts[2 * i], texts[2 * i + 1])
            for i, p in enumerate(self.processes)
        ]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def result(self):
        """The JSON line that a worker prints at its end."""
        assert self.code == 0, self.err
        return json.loads(next(x for x in self.out.splitlines() if x.startswith("{")))


def rows(folder):
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("}")]
    return [{k: v for k, v in row.items() if not k.startswith("machine/")} for row in found]


def assert_close(one, other, *, rel):
    assert [r["step"] for r in one] == [r["step"] for r in other]
    for a, b in zip(one, other, strict=True):
        # the rank is that of 4 dimensions in 8: its last singular values are rounding errors
        assert a == pytest.approx(b, rel=rel), a["step"]


def steps_saved(folder):
    return sorted(int(p.name) for p in (folder / "checkpoints").iterdir() if p.name.isdigit())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with four devices, straight through."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    run = Run(folder, processes=1, devices=4)
    return folder, run.end()[0].result


def test_two_hosts_equal_one(tmp_path, alone):
    folder, result = alone
    both = Run(tmp_path / "run").end()
    assert both[0].result == both[1].result
    assert both[0].result["weight"] == pytest.approx(result["weight"], rel=1e-5)
    assert_close(rows(tmp_path / "run"), rows(folder), rel=1e-5)
    assert len(rows(tmp_path / "run")) == 12
    assert {"eval/norm", "rankme", "loss"} <= rows(tmp_path / "run")[-1].keys()
    assert steps_saved(tmp_path / "run") == [8, 12]
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1


@pytest.mark.turns
def test_a_signal_to_one_stops_both_and_one_goes_on_alone(tmp_path, alone):
    folder, result = alone
    run = Run(tmp_path / "run", pause=0.3, save=100)
    run.until_step(2)
    run.processes[1].send_signal(signal.SIGTERM)
    outcomes = run.end()
    step = outcomes[0].result["step"]
    assert outcomes[1].result["step"] == step
    assert 2 < step < 12
    assert steps_saved(tmp_path / "run") == [step]
    resumed = Run(tmp_path / "run", processes=1, devices=4).end()[0].result
    assert resumed["weight"] == pytest.approx(result["weight"], rel=1e-5)
    a, b = rows(tmp_path / "run"), rows(folder)
    assert [(r["step"], r["loss"]) for r in a] == [
        (r["step"], pytest.approx(r["loss"], rel=1e-5)) for r in b
    ]


@pytest.mark.turns
def test_data_that_runs_dry_on_one_host_ends_both(tmp_path):
    run = Run(tmp_path / "run", each={1: {"fail": 5, "how": "dry"}})
    began = time.monotonic()
    outcomes = run.end(timeout=60)
    assert time.monotonic() - began < 60
    for outcome in outcomes:
        assert outcome.code == 1
        expected = "the run ends on all hosts: host worker-1 (process 1 of 2) failed: RuntimeError"
        assert f"{expected}: the data ran dry" in outcome.err


@pytest.mark.slow
def test_an_exception_on_the_first_host_ends_both(tmp_path):
    for outcome in Run(tmp_path / "run", each={0: {"fail": 5, "how": "disk"}}).end(timeout=60):
        assert outcome.code == 1
        assert "host worker-0 (process 0 of 2) failed: OSError: disk gone" in outcome.err


@pytest.mark.slow
def test_nan_ends_both_with_the_last_good_state_saved(tmp_path):
    for outcome in Run(tmp_path / "run", fail=5, how="nan").end(timeout=60):
        assert outcome.code == 1
        assert "TrainingStopped: step 6 gave NaN" in outcome.err
    assert steps_saved(tmp_path / "run") == [4, 5]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_host_ends_the_other_and_both_resume(tmp_path, alone, victim):
    run = Run(tmp_path / "run", pause=0.3)
    run.until_step(6)
    run.processes[victim].kill()
    killed = time.monotonic()
    outcomes = run.end(timeout=60)
    assert time.monotonic() - killed < 60
    survivor = outcomes[1 - victim]
    assert survivor.code not in (0, -signal.SIGKILL)
    assert re.search(rf"ssljax: .*host worker-{victim} \(process {victim}", survivor.err)
    both = Run(tmp_path / "run").end()
    assert both[0].result == both[1].result
    assert both[0].result["weight"] == pytest.approx(alone[1]["weight"], rel=1e-5)
    assert_close(rows(tmp_path / "run"), rows(alone[0]), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 4])
def test_what_one_process_saved_two_go_on_with(tmp_path, alone, devices):
    Run(tmp_path / "run", processes=1, devices=devices, steps=8, fsdp=True).end()[0].result  # noqa: B018
    both = Run(tmp_path / "run", fsdp=True).end()
    assert both[0].result["weight"] == pytest.approx(alone[1]["weight"], rel=1e-5)
    assert_close(rows(tmp_path / "run"), rows(alone[0]), rel=1e-5)
    again = Run(tmp_path / "run", processes=1, devices=1).end()[0].result  # only restores
    assert again["weight"] == pytest.approx(both[0].result["weight"], rel=1e-6)


@pytest.mark.slow
def test_ctrl_c_on_one_stops_both_between_scanned_steps(tmp_path):
    run = Run(tmp_path / "run", fsdp=True, per_call=4, steps=400, pause=0.05)
    run.until_step(16)
    run.processes[0].send_signal(signal.SIGINT)
    outcomes = run.end()
    step = outcomes[0].result["step"]
    assert outcomes[1].result["step"] == step
    assert 16 < step < 400 and step % 4 == 0
    assert steps_saved(tmp_path / "run")[-1] == step


@pytest.mark.slow
def test_a_missing_host_is_said(tmp_path):
    """Only process 0 of 2 is started."""
    run = Run(tmp_path / "run", join=5)
    run.processes[1].kill()
    outcome = run.end(timeout=60)[0]
    assert outcome.code != 0
    assert "worker-0 could not join the run as process 0 of 2 at 127.0.0.1" in outcome.err


def test_one_process_needs_nothing(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("JAX_NUM", "SLURM", "OMPI", "TPU", "MEGASCALE", "JOB_")):
            monkeypatch.delenv(name)
    distributed.initialize()
    assert distributed.from_first("x") == "x"
    assert distributed.stop_agreed(True, 3) and not distributed.stop_agreed(False, 3)
    with pytest.raises(OSError, match="as it was"), distributed.guard():
        raise OSError("as it was")


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="processes and process missing"):
        distributed.initialize(coordinator="a:1")
    with pytest.raises(ValueError, match="--process 2 does not exist among --processes 2"):
        distributed.initialize(coordinator="a:1", processes=2, process=2)
    with pytest.raises(ValueError, match="HOST:PORT"):
        distributed.initialize(coordinator="a", processes=2, process=1)
    with pytest.raises(TimeoutError, match=r"does not answer at --coordinator 127.0.0.1:1 "):
        cluster.check(coordinator="127.0.0.1:1", processes=2, process=1, wait=0)


@pytest.mark.parametrize(
    ("variables", "several"),
    [
        ({}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, False),  # the batch script, outside srun
        ({"SLURM_STEP_NODELIST": "n[1-4]", "SLURM_NTASKS": "4"}, True),
        ({"SLURM_STEP_NODELIST": "n1", "SLURM_NTASKS": "1"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_MCA_orte_hnp_uri": "1.0;tcp://h:1"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, False),
    ],
)
def test_clusters_are_seen(monkeypatch, variables, several):
    for name in list(os.environ):
        if name.startswith(("SLURM", "OMPI", "TPU", "MEGASCALE")):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cluster.in_cluster() == several


def test_open_mpi_without_an_address_says_what_to_give(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.delenv("OMPI_MCA_orte_hnp_uri", raising=False)
    with pytest.raises(ValueError, match="--process \\$OMPI_COMM_WORLD_RANK"):
        cluster.in_cluster()


def test_workers_of_a_tpu_slice(monkeypatch):
    monkeypatch.setattr(cluster.Path, "exists", lambda self: True)
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "a,b,c,d")
    monkeypatch.setenv("MEGASCALE_NUM_SLICES", "2")
    assert cluster.tpu_workers() == 8


def test_an_indexed_job_of_kubernetes(monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "job-0.jobs:8476")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    monkeypatch.delenv("JAX_PROCESS_ID", raising=False)
    expected = {"coordinator": "job-0.jobs:8476", "processes": 4, "process": 3}
    assert cluster.from_variables() == expected
    monkeypatch.delenv("JOB_COMPLETION_INDEX")
    with pytest.raises(ValueError, match="process missing"):
        distributed.initialize()
