"""ssljax: self-supervised pretraining and self-training in JAX.

What an experiment file writes lies here: `from ssljax import Experiment, Optimizer, Cadence`.
Names are looked up when they are first used, so that `import ssljax` alone does not start JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssljax.method import Method as Method
    from ssljax.method import State as State
    from ssljax.method import from_loss as from_loss
    from ssljax.runs.experiment import Experiment as Experiment
    from ssljax.selftraining.plan import SelfTraining as SelfTraining
    from ssljax.training.optimizers import Optimizer as Optimizer
    from ssljax.training.sharding import Parallel as Parallel
    from ssljax.training.train import Cadence as Cadence
    from ssljax.training.train import fit as fit
    from ssljax.use import embed as embed
    from ssljax.use import load as load
    from ssljax.use import train as train

__version__ = "0.1.0"

_HOME = {
    "Method": "ssljax.method",
    "State": "ssljax.method",
    "from_loss": "ssljax.method",
    "Experiment": "ssljax.runs.experiment",
    "SelfTraining": "ssljax.selftraining.plan",
    "Optimizer": "ssljax.training.optimizers",
    "Parallel": "ssljax.training.sharding",
    "Cadence": "ssljax.training.train",
    "fit": "ssljax.training.train",
    "load": "ssljax.use",
    "embed": "ssljax.use",
    "train": "ssljax.use",
}

__all__ = sorted(["__version__", *_HOME])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ssljax' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
