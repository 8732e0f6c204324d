"""What is saved comes back bit for bit, and what is damaged is noticed, named and moved aside."""

import json
import logging
import pickle
import resource
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from ssljax.method import State
from ssljax.training.checkpoint import Checkpoints, abstract
from ssljax.training.sharding import Parallel


def state(step, *, size=8, dtype=jnp.float32):
    """A state of `size` random weights, different in every step."""
    w = jax.random.normal(jax.random.key(step), (size,)).astype(dtype)
    return State(jnp.asarray(step, jnp.int32), {"w": w}, (), {"seen": jnp.asarray(True)})


def like(tree):
    one = SingleDeviceSharding(jax.devices()[0])
    return abstract(tree, jax.tree.map(lambda _: one, tree))


def saved(folder, *steps, size=8, **options):
    """A folder with a checkpoint of each step."""
    checkpoints = Checkpoints(folder, keep=9, **options)
    for step in steps:
        checkpoints.save(step, state(step, size=size), {"eval/x": float(-step)})
    checkpoints.close()
    return folder


def restored(folder, *, size=8, keep=9):
    """The latest readable state, checked bit for bit, and its step."""
    checkpoints = Checkpoints(folder, keep=keep)
    found = checkpoints.restore(like(state(0, size=size)))
    checkpoints.close()
    step = int(found.step)
    jax.tree.map(np.testing.assert_array_equal, found, state(step, size=size))
    return step


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def each(pattern, change):
    """Applies `change` to the files of a step that fit `pattern`, at least one."""

    def damage(step):
        files = [f for f in step.glob(pattern) if f.is_file()]
        assert files, pattern
        for file in files:
            change(file)

    return damage


def emptied(step):
    shutil.rmtree(step)
    step.mkdir()


def replaced_by_a_file(step):
    shutil.rmtree(step)
    step.write_text("garbage")


def unfinished(step):
    step.rename(step.with_name(f"{step.name}.orbax-checkpoint-tmp"))


READ_AND_REFUSED = {
    "arrays cut": each("default/**/d/*", cut),
    "arrays gone": each("default/**/d/*", Path.unlink),
    "manifest gone": each("default/manifest.ocdbt", Path.unlink),
    "metadata gone": each("default/_METADATA", Path.unlink),
    "metadata cut": each("default/_METADATA", cut),
    "everything empty": each("**/*", lambda file: file.write_bytes(b"")),
    "state gone": lambda step: shutil.rmtree(step / "default"),
    "checksums gone": lambda step: shutil.rmtree(step / "checksums"),
    "checksums cut": each("checksums/*", cut),
    "nothing in the folder": emptied,
}
NOT_THERE = {"a file in its place": replaced_by_a_file, "never finished": unfinished}


@pytest.mark.parametrize("damage", READ_AND_REFUSED | NOT_THERE)
def test_a_damaged_step_gives_way_to_the_one_before(tmp_path, caplog, damage):
    """... is named, is not lost, does not block its own step number, and is none of the `keep`."""
    folder = saved(tmp_path / "c", 2, 4)
    (READ_AND_REFUSED | NOT_THERE)[damage](folder / "4")
    checkpoints = Checkpoints(folder, keep=2)
    found = checkpoints.restore(like(state(0)))
    assert int(found.step) == 2
    assert (damage in READ_AND_REFUSED) == ("step 4 cannot be read" in caplog.text)
    assert not (folder / "4.damaged").exists()  # reading alone changes nothing
    for step in (3, 4):  # 3 as after a signal: newer than the good one, older than the damaged one
        checkpoints.save(step, state(step))
        checkpoints.wait()
        assert restored(folder) == step
    checkpoints.close()
    assert checkpoints.steps() == [3, 4]
    aside = {"4.damaged"} if damage in READ_AND_REFUSED else set()
    assert {p.name for p in folder.iterdir()} == {"3", "4"} | aside


@pytest.mark.parametrize("pattern", ["commit_success.txt", "_CHECKPOINT_METADATA"])
def test_what_is_not_needed_to_read_a_state_may_be_missing(tmp_path, pattern):
    """A step is complete once its folder has its name; the marker in it says nothing more."""
    folder = saved(tmp_path / "c", 2, 4)
    for file in (folder / "4").glob(pattern):
        file.unlink()
    assert restored(folder) == 4


def test_checkpoints_of_older_versions_have_no_checksums(tmp_path, caplog):
    folder = saved(tmp_path / "c", 2, 4)
    for step in ("2", "4"):
        shutil.rmtree(folder / step / "checksums")
    assert restored(folder) == 4
    assert "has no checksums, as in older versions: it may be damaged" in caplog.text


def test_reading_writes_nothing(tmp_path, caplog):
    folder = saved(tmp_path / "c", 2)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    checkpoints = Checkpoints(folder, reading=True)
    assert int(checkpoints.restore(like(state(0))).step) == 2
    checkpoints.close()
    assert not caplog.text  # Orbax warns of what it was asked for
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    with pytest.raises(FileNotFoundError, match="there are no checkpoints in"):
        Checkpoints(tmp_path / "d", reading=True)
    assert not (tmp_path / "d").exists()


def test_the_same_step_damaged_twice_is_kept_twice(tmp_path):
    folder = saved(tmp_path / "c", 2, 4)
    for _ in range(2):
        emptied(folder / "4")
        checkpoints = Checkpoints(folder, keep=2)
        checkpoints.restore(like(state(0)))
        checkpoints.save(4, state(4))
        checkpoints.close()
    assert {p.name for p in folder.iterdir()} == {"2", "4", "4.damaged", "4.damaged2"}


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_is_noticed(tmp_path, caplog, place):
    """Orbax alone restores such an array: its chunks carry no checksum."""
    folder = saved(tmp_path / "c", 2, 4, size=20_000)
    file = max((folder / "4").rglob("d/*"), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    assert len(content) > 50_000
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    assert restored(folder, size=20_000) == 2
    assert "step 4 cannot be read" in caplog.text


def test_checksums_see_each_bit_and_no_sharding(tmp_path):
    from ssljax.training.checksums import checksums

    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**32, (16, 24), np.uint32)
    expected = 0
    for i, value in enumerate(x.ravel().tolist()):  # the definition, in Python's integers
        place = (i + 1) * 2654435761 % 2**32
        expected = (expected + value * ((place ^ place >> 15) | 1)) % 2**32
    mesh = Parallel().mesh()
    for spec in (P(), P("data"), P(None, "data")):
        at = jax.device_put(x.view(np.float32), NamedSharding(mesh, spec))
        assert int(checksums([at])[0]) == expected
    for dtype in (bool, np.int8, np.float16, jnp.bfloat16, np.int32, np.complex64):
        y = jnp.ones((3, 5), dtype)
        assert int(checksums([y])[0]) != int(checksums([y.at[1, 2].set(0)])[0])
        swapped = jnp.asarray([0, 1], dtype), jnp.asarray([1, 0], dtype)
        assert int(checksums([swapped[0]])[0]) != int(checksums([swapped[1]])[0])


@pytest.mark.parametrize(
    "other",
    [
        state(0, size=9),
        state(0, size=7),
        state(0, dtype=jnp.bfloat16),
        State(jnp.zeros((), jnp.int32), {"w": jnp.zeros(8), "b": jnp.zeros(1)}, (), {}),
        State(jnp.zeros((), jnp.int32), {}, (), {"seen": jnp.asarray(True)}),
    ],
    ids=["larger", "smaller", "bfloat16", "more", "fewer"],
)
def test_another_configuration_is_refused_and_destroys_nothing(tmp_path, other):
    folder = saved(tmp_path / "c", 2, 4)
    checkpoints = Checkpoints(folder, keep=1)
    with pytest.raises(ValueError, match=r"another configuration.*step 4: .*step 2: "):
        checkpoints.restore(like(other))
    checkpoints.close()
    assert restored(folder) == 4
    assert sorted(p.name for p in folder.iterdir()) == ["2", "4"]


def test_the_best_outlives_a_resume(tmp_path):
    """Its number is read back from disk: fails where Orbax is not told to write the metrics."""
    folder = tmp_path / "c"
    for step, value in ((1, 0.5), (2, 0.9), (3, float("nan")), (4, 0.1), (5, 0.2), (6, None)):
        checkpoints = Checkpoints(folder, keep=1, best="eval/x")
        checkpoints.save(step, state(step), {} if value is None else {"eval/x": value})
        checkpoints.close()
    assert sorted(p.name for p in folder.iterdir()) == ["2", "6"]


def test_metrics_cut_short_do_not_stop_a_run(tmp_path, caplog):
    folder = saved(tmp_path / "c", 1, 2, 3, best="eval/x")
    cut(folder / "1" / "metrics" / "metrics")
    checkpoints = Checkpoints(folder, keep=1, best="eval/x")
    assert "metrics of checkpoint 1" in caplog.text
    assert int(checkpoints.restore(like(state(0))).step) == 3
    checkpoints.save(4, state(4), {"eval/x": -4.0})
    checkpoints.close()
    assert sorted(p.name for p in folder.iterdir()) == ["2", "4"]  # 1, once the best, is unknown


def test_leftovers_of_a_killed_save_are_removed_by_the_next_save_only(tmp_path):
    folder = saved(tmp_path / "c", 2)
    left = folder / "37.orbax-checkpoint-tmp"
    left.mkdir()
    assert restored(folder) == 2  # a reader: the save could be that of a run at work
    assert left.exists()
    saved(folder, 4)
    assert sorted(p.name for p in folder.iterdir()) == ["2", "4"]


@pytest.fixture
def small_files():
    """No file can grow beyond 30 kB: a full disk for arrays, made by the kernel."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_save_that_fails_names_itself_at_the_next_call(tmp_path, small_files):
    folder, size = tmp_path / "c", 20_000
    checkpoints = Checkpoints(folder, keep=1)
    checkpoints.save(2, state(2))  # small
    checkpoints.save(4, state(4, size=size))
    with pytest.raises(
        OSError, match=r"checkpoint 4 cannot be saved in .*/c: File too large; the "
    ):
        checkpoints.save(6, state(6))
    checkpoints.close()  # has been said
    assert restored(folder) == 2
    small_files()
    saved(folder, 4, size=size)
    assert restored(folder, size=size) == 4


def test_a_save_that_fails_names_itself_at_close(tmp_path, small_files):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(4, state(4, size=20_000))
    with pytest.raises(OSError, match=r"checkpoint 4 cannot .*no earlier one exists"):
        checkpoints.close()


def test_a_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "c"):
        with pytest.raises(OSError, match=r"the checkpoints in .*/file.* cannot be opened"):
            Checkpoints(place)
    folder = saved(tmp_path / "c", 2)
    checkpoints = Checkpoints(folder)
    (folder / "4.orbax-checkpoint-tmp").write_text("in the way")
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with pytest.raises(OSError, match=r"checkpoint 4 cannot be saved in .*/c: "):
        checkpoints.save(4, state(4))
    checkpoints.close()
    with pytest.raises(ValueError, match=r"cadence\.keep is 0"):
        Checkpoints(tmp_path / "d", keep=0)


class Hostile:
    """Unpickling this writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "executed")


def test_a_hostile_checkpoint_executes_nothing(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    mark = tmp_path / "mark"
    attack = pickle.dumps(Hostile(mark))
    pickle.loads(attack)
    assert mark.exists()  # the attack works where someone unpickles
    mark.unlink()
    for number, pattern in enumerate(
        ("**/*", "default/_METADATA", "default/_sharding", "**/d/*", "metrics/*")
    ):
        folder = saved(tmp_path / str(number), 2, 4, best="eval/x")
        each(pattern, lambda file: file.write_bytes(attack))(folder / "4")
        assert restored(folder) in (2, 4)
        each("default/**/*", lambda file: file.write_bytes(attack))(folder / "2")
        each("default/**/*", lambda file: file.write_bytes(attack))(folder / "4")
        with pytest.raises(ValueError, match="none of the checkpoints"):
            restored(folder)
    assert not mark.exists()


def test_a_checkpoint_that_names_code_or_other_folders_is_refused(tmp_path):
    folder = saved(tmp_path / "c", 4)
    file = folder / "4" / "_CHECKPOINT_METADATA"
    names = json.loads(file.read_text())
    names["item_handlers"] = dict.fromkeys(names["item_handlers"], "subprocess.Popen")
    file.write_text(json.dumps(names))
    assert restored(folder) == 4  # the names of classes in it are not used
    file = folder / "4" / "default" / "_METADATA"
    file.write_text(file.read_text().replace('"w"', '"../../../outside"'))
    with pytest.raises(ValueError, match="none of the checkpoints"):
        restored(folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c"]
