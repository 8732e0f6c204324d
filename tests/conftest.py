"""Eight fake CPU devices, the compilation cache, and the place of the real data."""

import gc
import importlib.metadata
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile much and compute little: without LLVM's optimisations, with XLA's older emitters of
# fused loops and in one piece, a training step compiles in a third of the time (BYOL, small: 4.3 to
# 1.3 seconds of CPU). On few cores the default schedule of XLA's CPU backend starts collectives of
# one program in another order on each fake device, and they wait for each other until XLA aborts:
# hence the fourth flag.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1 "
    "--xla_cpu_enable_concurrency_optimized_scheduler=false"
    # Later versions have no older emitters, and XLA aborts where it does not know a flag.
    + " --xla_cpu_use_fusion_emitters=false"
    * importlib.metadata.version("jaxlib").startswith("0.10."),
)

import jax
import pytest

ROOT = Path(__file__).resolve().parent.parent
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update(
    "jax_compilation_cache_dir",
    os.environ.get("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache")),
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# Tests of a single method, network or format of export: a commit takes one in four of them, as it
# does of the methods' laws. All others run at every commit, but for those marked `turns`.
BY_TURNS = [ROOT / "tests" / room for room in ("methods", "nets", "export")]


def pytest_configure(config):
    """Who names files or tests gets all of them: turns are for the whole suite."""
    if config.args_source == pytest.Config.ArgsSource.ARGS:
        os.environ.setdefault("SSLJAX_TURN", "all")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leaves out what has its turn at another commit, and gives all tests of a file to one worker,
    where they name no group of their own: what they share (a finished run, compiled programs) is
    made once.
    """
    from laws import NOT_NOW, has_its_turn

    for item in items:
        grouped = item.get_closest_marker("xdist_group") is not None
        turns = item.get_closest_marker("turns") is not None or item.path.parent in BY_TURNS
        # the laws name the group of a method, and know themselves which of them take turns
        if turns and not grouped and not has_its_turn(item.nodeid):
            item.add_marker(NOT_NOW)
        if not grouped:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SSLJAX_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SSLJAX_DATA")
    return folder


@pytest.fixture(autouse=True)
def few_mappings():
    """Forgets compiled programs once there are many: each holds memory mappings, and a process that
    runs out of them (65,530 on Linux) dies of a segmentation fault.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()
        gc.collect()
