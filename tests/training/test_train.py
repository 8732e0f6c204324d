"""The loop: what is saved, logged, skipped and refused."""

import json
import os
import re
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssljax.data import Arrays
from ssljax.method import from_loss
from ssljax.training import clock
from ssljax.training.sharding import Parallel, check_batch
from ssljax.training.train import Cadence, TrainingStopped, fit

ROWS = {"image": np.arange(64, dtype=np.float32).reshape(64, 1, 1, 1) / 64}


def quadratic(*, bad_at=None, refresh=None, tx=None):
    """A method of one weight: (w - mean of the batch - noise)^2, NaN at step `bad_at`."""

    def init(key, batch):
        w = jax.random.normal(key, (1, 1))
        return {"encoder": {"w": w}}, {"seen": jnp.zeros((), jnp.int32)}

    def loss(params, extra, batch, key):
        target = batch["image"].mean() + 0.1 * jax.random.normal(key, ())
        value = jnp.sum((params["encoder"]["w"] - target) ** 2)
        if bad_at is not None:
            value = jnp.where(extra["seen"] == bad_at, jnp.nan, value)
        return value, (extra | {"seen": extra["seen"] + 1}, {})

    def embed(state, batch):
        flat = batch["image"].reshape(len(batch["image"]), -1)
        return jnp.concatenate([flat, 1 - flat], axis=1) * state.params["encoder"]["w"]

    tx = optax.sgd(0.1, momentum=0.9) if tx is None else tx
    return from_loss(tx, init=init, loss=loss, embed=embed, refresh=refresh)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def numbers(folder):
    return [{k: v for k, v in r.items() if not k.startswith("machine/")} for r in rows_of(folder)]


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


def test_one_row_a_step_with_everything_in_it(tmp_path):
    fit(
        quadratic(),
        Arrays(ROWS),
        steps=8,
        batch=16,
        folder=tmp_path,
        cadence=Cadence(log=2, evaluate=4, monitor=4, save=4),
        evaluate=lambda state: {"w": float(state.params["encoder"]["w"][0, 0])},
        learning_rate=lambda step: 0.1,
    )
    rows = rows_of(tmp_path)
    assert [r["step"] for r in rows] == [2, 4, 6, 8]
    assert all({"loss", "grad_norm", "learning_rate"} <= r.keys() for r in rows)
    assert [("eval/w" in r, "rankme" in r) for r in rows] == [(False, False), (True, True)] * 2
    assert any((tmp_path / "tensorboard").iterdir())


def test_scanned_steps_equal_single_steps():
    options = {"steps": 12, "batch": 16, "seed": 5}
    one = fit(quadratic(), Arrays(ROWS), cadence=Cadence(log=4), **options)
    four = fit(quadratic(), Arrays(ROWS), cadence=Cadence(log=4, steps_per_call=4), **options)
    np.testing.assert_allclose(one.params["encoder"]["w"], four.params["encoder"]["w"], rtol=1e-6)
    assert int(four.step) == 12


def test_nan_stops_and_saves_the_last_good_state(tmp_path):
    options = {"batch": 16, "folder": tmp_path / "bad", "cadence": Cadence(log=1, save=100)}
    with pytest.raises(TrainingStopped, match=r"step 6 gave NaN.*checkpoint 5") as stopped:
        fit(quadratic(bad_at=5), Arrays(ROWS), steps=20, **options)
    good = fit(quadratic(bad_at=5), Arrays(ROWS), steps=5, batch=16)
    restored = fit(quadratic(), Arrays(ROWS), steps=5, **options)  # only restores
    assert_same(good, restored)
    # the indices are those of the batch that failed
    batches = Arrays(ROWS).batches(16, seed=0, start=5)
    assert str(next(batches)["index"][:16].tolist()) in str(stopped.value)


def test_bad_steps_can_be_skipped():
    state = fit(
        quadratic(bad_at=5), Arrays(ROWS), steps=7, batch=16, cadence=Cadence(max_bad_steps=2)
    )
    # `seen` stays at 5 when the bad step is thrown away, so that both later steps fail again
    assert int(state.step) == 7
    assert int(state.extra["seen"]) == 5
    with pytest.raises(TrainingStopped):
        fit(quadratic(bad_at=5), Arrays(ROWS), steps=9, batch=16, cadence=Cadence(max_bad_steps=2))


def test_sigterm_saves_and_the_next_run_goes_on(tmp_path):
    options = {"steps": 2000, "batch": 16, "cadence": Cadence(log=500, save=5000)}

    def refresh(state, data):
        if int(state.step) == 700:
            os.kill(os.getpid(), signal.SIGTERM)
        return state

    cadence = Cadence(log=500, save=5000, refresh=100)
    ends = quadratic(refresh=refresh)
    stopped = fit(ends, Arrays(ROWS), folder=tmp_path / "a", **(options | {"cadence": cadence}))
    assert 700 <= int(stopped.step) < 2000
    resumed = fit(quadratic(), Arrays(ROWS), folder=tmp_path / "a", **options)
    straight = fit(quadratic(), Arrays(ROWS), folder=tmp_path / "b", **options)
    assert_same(resumed, straight)
    assert [r["step"] for r in numbers(tmp_path / "a")] == [500, 1000, 1500, 2000]
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_refresh_runs_again_after_a_restore(tmp_path):
    """refresh follows the save, so the resumed run repeats it from the same state."""

    def refresh(state, data):
        w = state.params["encoder"]["w"] * 0.5
        return jax.tree.map(lambda x: x, state).__class__(
            state.step, {"encoder": {"w": w}}, state.opt, state.extra
        )

    options = {"batch": 16, "cadence": Cadence(log=1, save=2, refresh=2, monitor=0)}
    straight = fit(
        quadratic(refresh=refresh), Arrays(ROWS), steps=8, folder=tmp_path / "a", **options
    )
    fit(quadratic(refresh=refresh), Arrays(ROWS), steps=4, folder=tmp_path / "b", **options)
    resumed = fit(
        quadratic(refresh=refresh), Arrays(ROWS), steps=8, folder=tmp_path / "b", **options
    )
    assert_same(straight, resumed)


def test_collapse_is_reported(caplog):
    def flat(state, batch):
        return jnp.ones((len(batch["image"]), 4))

    method = quadratic()._replace(embed=flat)
    fit(method, Arrays(ROWS), steps=2, batch=16, cadence=Cadence(monitor=1))
    assert "collapsed" in caplog.text


def test_half_a_row_is_dropped_on_resume(tmp_path):
    options = {"batch": 16, "folder": tmp_path, "cadence": Cadence(log=1, save=2)}
    fit(quadratic(), Arrays(ROWS), steps=2, **options)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    fit(quadratic(), Arrays(ROWS), steps=4, **options)
    assert [r["step"] for r in rows_of(tmp_path)] == [1, 2, 3, 4]


def test_tensorboard_has_what_the_rows_have(tmp_path):
    """Also after a resume, whose mark makes readers drop what lies beyond its step."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    options = {"batch": 16, "folder": tmp_path, "cadence": Cadence(log=1, save=2, monitor=0)}
    fit(quadratic(), Arrays(ROWS), steps=2, **options)
    fit(quadratic(), Arrays(ROWS), steps=4, **options)
    events = []
    for file in sorted((tmp_path / "tensorboard").iterdir(), key=lambda f: f.stat().st_mtime_ns):
        raw = file.read_bytes()
        while raw:  # length, its checksum, the event, its checksum
            size = int.from_bytes(raw[:8], "little")
            events.append(Event.FromString(raw[12 : 12 + size]))
            raw = raw[16 + size :]
    found = [(e.step, v.simple_value) for e in events for v in e.summary.value if v.tag == "loss"]
    assert found == [(r["step"], pytest.approx(r["loss"])) for r in rows_of(tmp_path)]
    assert [e.step for e in events if e.session_log.status == SessionLog.START] == [3]


def test_a_method_that_refreshes_needs_a_cadence():
    """It would otherwise train on targets that were never made, in silence."""
    with pytest.raises(ValueError, match=r"--cadence\.refresh N"):
        fit(quadratic(refresh=lambda state, data: state), Arrays(ROWS), steps=2, batch=16)


def test_a_loading_error_reaches_the_caller():
    class Broken(Arrays):
        def batches(self, *args, **kwargs):
            for number, rows in enumerate(super().batches(*args, **kwargs)):
                if number == 3:
                    raise OSError("disk gone")
                yield rows

    with pytest.raises(OSError, match="disk gone"):
        fit(quadratic(), Broken(ROWS), steps=10, batch=16)


class Paused(Arrays):
    """Data that takes `pauses[i]` seconds for batch number i, else 0.005."""

    def __init__(self, rows, pauses):
        super().__init__(rows)
        self._pauses = pauses

    def batches(self, *args, **kwargs):
        for number, rows in enumerate(super().batches(*args, **kwargs)):
            time.sleep(self._pauses.get(number, 0.005))
            yield rows


def test_a_slow_step_is_reported_while_it_hangs(caplog):
    """One of two seconds among fifty of five milliseconds; the report comes within the two."""
    fit(quadratic(), Paused(ROWS, {40: 2.0}), steps=50, batch=16, cadence=Cadence(log=0, monitor=0))
    (record,) = [r for r in caplog.records if "a step takes" in r.message]
    assert record.args[0] < 2.0
    assert 0.001 < record.args[1] < 0.1
    assert "is the data slow" in record.message


def test_a_call_of_many_steps_is_compared_with_such_calls(caplog, monkeypatch):
    """Ten steps at once take ten times one step, and nothing is wrong with that."""
    monkeypatch.setattr(clock, "_KNOWN", 3)
    measured = clock.Clock()
    for _ in range(4):
        time.sleep(0.3)
        measured.step(160, steps=10)
    time.sleep(1.6)
    measured.close()
    assert not caplog.records
    assert measured.read()["machine/step_seconds_median"] < 0.1


def test_the_wait_for_data_is_measured(tmp_path):
    slow = Paused(ROWS, dict.fromkeys(range(100), 0.03))
    fit(quadratic(), slow, steps=20, batch=16, folder=tmp_path, cadence=Cadence(log=10, monitor=0))
    row = rows_of(tmp_path)[-1]
    assert row["machine/data_wait_fraction"] > 0.5
    assert 0.02 < row["machine/step_seconds_median"] <= row["machine/step_seconds_p95"]
    assert row["machine/peak_host_bytes"] > 10**7
    assert row["machine/examples_per_second"] < 16 / 0.02


def test_saves_by_the_clock(tmp_path):
    """At the first logged step after so many minutes, besides the last one."""
    cadence = Cadence(log=4, save=0, save_minutes=1e-9, keep=9, monitor=0)
    fit(quadratic(), Arrays(ROWS), steps=10, batch=16, folder=tmp_path, cadence=cadence)
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"4", "8", "10"}
    cadence = Cadence(log=4, save=0, save_minutes=60, keep=9, monitor=0)
    (tmp_path / "b").mkdir()
    fit(quadratic(), Arrays(ROWS), steps=10, batch=16, folder=tmp_path / "b", cadence=cadence)
    assert {p.name for p in (tmp_path / "b" / "checkpoints").iterdir()} == {"10"}


def test_memory_of_the_state_is_said_before_the_first_step(caplog):
    def init(key, batch):
        return {"encoder": {"w": jnp.zeros((2**10, 2**10))}}, {}

    def loss(params, extra, batch, key):
        return jnp.mean(params["encoder"]["w"] ** 2), (extra, {})

    method = from_loss(optax.sgd(0.1), init=init, loss=loss, embed=lambda state, batch: None)
    caplog.set_level("INFO", "ssljax")
    for fsdp, said in ((False, "4.2 MB"), (True, "0.5 MB")):
        caplog.clear()
        fit(method, Arrays(ROWS), steps=1, batch=16, parallel=Parallel(fsdp=fsdp))
        assert caplog.messages[0] == f"state: {said} on each of 8 device(s)"


@pytest.mark.turns
@pytest.mark.parametrize(
    ("tx", "per_call"),
    [
        (optax.MultiSteps(optax.adam(0.1), 3).gradient_transformation(), 1),
        (optax.adam(0.1), 4),
        (optax.MultiSteps(optax.adam(0.1), 3).gradient_transformation(), 4),
    ],
    ids=["accumulated", "scanned", "both"],
)
def test_resume_between_updates_and_scanned_steps(tmp_path, tx, per_call):
    """Step 4 lies between two updates of three gradients, and 8 within another accumulation."""
    options = {"batch": 16, "seed": 2}
    options["cadence"] = Cadence(log=per_call, save=4, monitor=4, steps_per_call=per_call)
    results = {}
    for run, stops in (("a", (12,)), ("b", (4, 8, 12))):
        (tmp_path / run).mkdir()
        for steps in stops:
            results[run] = fit(
                quadratic(tx=tx), Arrays(ROWS), steps=steps, folder=tmp_path / run, **options
            )
    assert_same(results["a"], results["b"])
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    assert [r["step"] for r in numbers(tmp_path / "a")] == list(range(per_call, 13, per_call))


def test_a_bad_step_within_scanned_ones(tmp_path):
    """The state before it is saved; a run whose step was bad by accident starts before the scan."""
    options = {"batch": 16, "folder": tmp_path, "steps": 12}
    options["cadence"] = Cadence(log=4, save=4, steps_per_call=4, monitor=0)
    with pytest.raises(TrainingStopped, match=r"step 7 gave NaN.*checkpoint 6.*max-bad-steps"):
        fit(quadratic(bad_at=6), Arrays(ROWS), **options)
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"4", "6"}
    resumed = fit(quadratic(), Arrays(ROWS), **options)
    assert_same(resumed, fit(quadratic(), Arrays(ROWS), **(options | {"folder": None})))
    assert [r["step"] for r in rows_of(tmp_path)] == [4, 8, 12]


def test_the_flags_in_messages_exist():
    from conftest import ROOT

    from ssljax.cli.flags import load_experiment, override

    with pytest.raises(TrainingStopped) as stopped:
        fit(quadratic(bad_at=1), Arrays(ROWS), steps=3, batch=16)
    flags = re.findall(r"--[a-z.-]+ (?:\d+|N)", str(stopped.value))
    assert len(flags) == 2
    experiment = load_experiment(str(ROOT / "experiments" / "simclr_digits.py"))
    changed = override(experiment, " ".join(flags).replace("N", "5").split())
    assert (changed.cadence.max_bad_steps, changed.optimizer.clip) == (5, 1)


def test_bad_input():
    with pytest.raises(ValueError, match="multiple of 8, for instance 16"):
        check_batch(20, Parallel().mesh())
    with pytest.raises(ValueError, match="does not divide the 8 devices"):
        Parallel(model=3).mesh()
    with pytest.raises(ValueError, match=r"save_minutes saves at logged steps"):
        Cadence(save_minutes=5, log=0).check(10)
    with pytest.raises(ValueError, match=r"cadence.log 50 must be a multiple of steps_per_call 4"):
        fit(quadratic(), Arrays(ROWS), steps=8, batch=16, cadence=Cadence(steps_per_call=4))


def test_a_run_compiles_its_step_once_and_saves_without_compiling(tmp_path, caplog):
    cadence = Cadence(log=1, save=2, refresh=2, monitor=0)
    method = quadratic(refresh=lambda state, dataset: state)
    for steps in (4, 6):  # the second goes on from a checkpoint
        caplog.clear()
        with jax.log_compiles():
            fit(method, Arrays(ROWS), steps=steps, batch=16, cadence=cadence, folder=tmp_path)
        compiled = re.findall(r"Compiling jit\((\w+)\)", caplog.text)
        assert compiled.count("many") == 1
        assert "slice" not in compiled  # Orbax's, one for each array and device
