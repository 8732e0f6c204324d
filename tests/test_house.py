"""Who may import whom: the rule of the house, read from the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "ssljax"
# Rooms of ssljax and outside packages that each room may import. "*" is anything.
ALLOWED = {
    "mesh": {"jax"},
    "losses": {"jax", "chex", "mesh", "losses"},
    "views": {"jax", "chex", "views"},
    "nets": {"jax", "flax", "mesh", "nets"},
    "data": {
        *{"numpy", "grain", "tensorflow_datasets", "pyarrow", "PIL", "sklearn", "absl"},
        *{"tokenizers", "av", "data", "files"},
    },
    "method": {"jax", "optax", "parts", "schedules"},
    "parts": {"jax", "optax"},
    "recipes": {"jax", "method", "nets", "views"},
    "recipes_tasks": {"jax", "optax", "method", "tasks"},
    "recipes_triples": {"jax", "optax", "losses", "method", "nets"},
    "recipes_interactions": {"jax", "optax", "losses", "method", "nets"},
    "recipes_sequences": {"jax", "losses", "method", "nets", "recipes_interactions"},
    "tasks": {
        *{"jax", "chex", "optax", "flax", "numpy", "pyarrow", "PIL"},
        *{"nets", "losses", "views", "tasks", "files", "measure"},
    },
    "pseudolabels": {
        *{"jax", "numpy", "chex", "scipy", "pyarrow", "sklearn"},
        *{"method", "clustering", "pseudolabels", "files", "tasks", "measure"},
    },
    "methods": {
        *{"jax", "numpy", "optax", "chex", "method", "parts", "recipes", "schedules"},
        *{"recipes_tasks", "recipes_triples", "recipes_interactions", "recipes_sequences"},
        *{"losses", "nets", "views", "tasks", "methods", "clustering", "pseudolabels"},
    },
    "clustering": {"jax", "numpy", "scipy", "sklearn", "clustering"},
    "files": set(),
    "measure": set(),
    "schedules": {"jax"},
    "training": {
        *{"jax", "numpy", "optax", "orbax", "etils", "rich", "tensorboardX", "wandb", "mlflow"},
        *{"mesh", "method", "schedules", "training", "files"},
    },
    "pods": {"jax", "numpy", "data", "training", "pods"},
    "probes": {
        *{"numpy", "jax", "optax", "sklearn", "scipy", "mesh", "method", "probes"},
        *{"nets", "views", "data", "training", "clustering"},
    },
    "export": {
        *{"numpy", "jax", "safetensors", "jax2onnx", "onnxruntime"},
        *{"huggingface_hub"},
        *{"mesh", "method", "nets", "export", "files"},
    },
    "report": {"numpy", "matplotlib", "sklearn", "threadpoolctl", "report", "measure"},
    "runs": {"*"},
    "selftraining": {"*"},
    "use": {"*"},
    "sweep": {"*"},
    "cli": {"*"},
}
STANDARD = __import__("sys").stdlib_module_names


def imports(path: Path) -> set[str]:
    """Rooms of ssljax and names of outside packages that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules = [node.module or ""]
            if node.module == "ssljax":
                modules = [f"ssljax.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            found.add(parts[1] if parts[0] == "ssljax" and len(parts) > 1 else parts[0])
    return found - STANDARD


def files() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_who_imports_whom(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert room in ALLOWED, (
        f"{room} is not a room of the house: add it to the rule or move the file"
    )
    if "*" not in ALLOWED[room]:
        assert imports(path) <= ALLOWED[room]


def test_methods_do_not_import_siblings():
    for path in (ROOT / "methods").glob("*.py"):
        if path.name == "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("ssljax.methods"), path


def test_every_test_file_has_its_own_name():
    """Two of one name hide each other: pytest imports them by it."""
    names = [path.name for path in (ROOT.parent / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted(n for n in set(names) if names.count(n) > 1)


def test_nobody_but_the_targets_asks_what_a_target_is():
    """Not by the number of axes, not by the dtype, and not by whether there are classes."""
    rounds = ("rounds", "judge", "generate", "refine", "select", "quality", "labels", "numbering")
    engine = [ROOT / "sweep.py", *(ROOT / "selftraining").glob("*.py")]
    engine += [ROOT / "pseudolabels" / f"{name}.py" for name in rounds]
    engine += [ROOT / "report" / f"{n}.py" for n in ("selftraining", "selftrainings", "measures")]
    kinds = "OneOf|AnyOf|Value|Transcript|Translation|Tags|Mask|Boxes"
    asks = r"\.ndim\b|issubdtype|dtype\.kind|(?<!self\.)classes is (?:not )?None"
    asks += rf"|isinstance\([^)]*\b(?:{kinds})\b"
    for path in engine:
        found = re.findall(asks, path.read_text())
        assert not found, f"{path.name} asks {found}: let the target say it"


def test_the_runner_stays_short():
    assert len((ROOT / "training" / "train.py").read_text().splitlines()) < 300


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("[!_]*.py")), ids=lambda p: p.name)
def test_methods_stay_short(path):
    assert len(path.read_text().splitlines()) <= 160
    for word in ("jax.lax.p", "shard_map", "Mesh", "PartitionSpec", "axis_name"):
        assert word not in path.read_text(), f"{path.name} mentions a device or a collective"


def test_methods_are_named_alike_for_readers_and_at_run_time():
    """What editors and type checkers read is what an import finds."""
    from ssljax import methods

    tree = ast.parse((ROOT / "methods" / "__init__.py").read_text())
    read = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named = {
        alias.name: node.module.rpartition(".")[2]
        for node in read
        if (node.module or "").startswith("ssljax.methods.")
        for alias in node.names
    }
    assert named == methods.FILES
    assert all(getattr(methods, name).__name__ == name for name in named)


def test_every_method_has_a_reference():
    """An independent transcription of its equations on given arrays, `test_NAME_reference`: the
    laws do not notice an inverted average, swapped temperatures or swapped views."""
    from ssljax import methods

    tests = [p.read_text() for p in (ROOT.parent / "tests").rglob("test_*.py")]
    found = set(re.findall(r"^def test_(\w+)_reference\(", "\n".join(tests), flags=re.M))
    missing = [name for name in methods.__all__ if name.lower() not in found]
    assert not missing, f"no test_{'_reference, test_'.join(missing).lower()}_reference"
