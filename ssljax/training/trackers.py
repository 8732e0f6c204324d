"""Numbers of a run in Weights & Biases and in MLflow, beside those in its folder.

Each is a `Writer` and an extra of its own: `ssljax[wandb]`, `ssljax[mlflow]`. Where the numbers go,
and whether over the network, their own environment variables say: WANDB_MODE=offline,
MLFLOW_TRACKING_URI. A resumed run goes on in the same tracked run, whose number lies in the run
folder. Importing them costs seconds, so that only a run that names them does.
"""

import importlib.util
import json
import os
import time
from pathlib import Path
from typing import Any

from ssljax.files import read_json, write_json

_FILE = "trackers.json"
_REMEDY = "Remove it: the run then goes on as a new one in its trackers"


class WeightsAndBiases:
    """Rows in a run of Weights & Biases, in the project WANDB_PROJECT or "ssljax"."""

    def __init__(self, folder: Path, *, resume_at: int = 0) -> None:
        del resume_at  # rows up to there are dropped by themselves: they were written before
        import wandb  # pyright: ignore[reportMissingImports]: an extra

        known = _known(folder).get("wandb")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "ssljax"),
            name=folder.resolve().name,
            dir=str(folder),
            id=known,
            resume="allow" if known else None,
            config=_experiment(folder),
        )
        _note(folder, "wandb", self._run.id)

    def write(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """Rows in a run of MLflow, in the experiment MLFLOW_EXPERIMENT_NAME or "ssljax"; without
    MLFLOW_TRACKING_URI in the folder `mlruns` of the run."""

    def __init__(self, folder: Path, *, resume_at: int = 0) -> None:
        del resume_at
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]: an extra
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]: an extra

        self._metric = Metric
        place = os.environ.get("MLFLOW_TRACKING_URI")
        if place is None:  # files, which newer versions read and write only when asked to
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            place = (folder / "mlruns").resolve().as_uri()
        self._client = MlflowClient(tracking_uri=place)
        self._id = _known(folder).get("mlflow") or self._created(folder)
        self._client.update_run(self._id, status="RUNNING")
        _note(folder, "mlflow", self._id)

    def _created(self, folder: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "ssljax")
        found = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if found is None else found.experiment_id
        run = self._client.create_run(number, run_name=folder.resolve().name)
        self._client.log_dict(run.info.run_id, _experiment(folder), "experiment.json")
        return run.info.run_id

    def write(self, step: int, values: dict[str, float]) -> None:
        now = int(1000 * time.time())
        rows = [self._metric(key, value, now, step) for key, value in values.items()]
        self._client.log_batch(self._id, metrics=rows)

    def close(self) -> None:
        self._client.set_terminated(self._id)


TRACKERS = {"wandb": WeightsAndBiases, "mlflow": MLflow}


def check_trackers(names: tuple[str, ...]) -> None:
    """Raises ValueError, before anything is trained, for a tracker that is unknown or missing."""
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"there is no tracker {name!r}: choose of {', '.join(TRACKERS)}")
        if importlib.util.find_spec(name) is None:
            raise ValueError(f"--trackers {name} needs a package: pip install 'ssljax[{name}]'")


def _known(folder: Path) -> dict[str, Any]:
    path = folder / _FILE
    return read_json(path, dict, remedy=_REMEDY) if path.exists() else {}


def _note(folder: Path, name: str, number: str) -> None:
    if _known(folder).get(name) != number:
        write_json(folder / _FILE, _known(folder) | {name: number})


def _experiment(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    return json.loads(path.read_text()).get("experiment", {}) if path.is_file() else {}
