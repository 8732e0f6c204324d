"""Starting files for `ssljax new` that are not made of parts: they define more than a method."""

WHOLE = {
    "Student": '''\
"""Self-training: few labels, and rounds of pseudo-labels on the rest.

    ssljax selftrain {file}
    ssljax selftrain {file} --data folder:PATH/TO/CLASSES --learner.task.target.classes N

Every field is a flag: ssljax selftrain {file} --help says which.
"""

from ssljax import Optimizer, SelfTraining, nets
from ssljax.data import Images
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.tasks import ImageInput, OneOf, Task
from ssljax.views import crop_and_flip

SIZE = 32  # pixels along each side that the network sees

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=ImageInput(view=crop_and_flip(size=SIZE, scale=(0.6, 1.0))),
            encoder=nets.SmallConv(widths=(16, 32, 64)),
            target=OneOf(classes=10),
            dropout=0.2,
        ),
        optimizer=Optimizer(learning_rate=3e-3, per_batch=None, warmup=20, weight_decay=1e-3),
        steps=300,
        batch=64,
        share=0.25,
    ),
    data="digits",
    reader=Images(size=SIZE, channels=3),
    few=4,  # labels of each class; labels="mine.csv" takes them from a file: file, class
    rounds=Rounds(count=3, select=Greedy(per_class=40, growing=True)),
)
''',
    "UniMatch": '''\
"""A class for each pixel, from few masks: UniMatch learns from the other pictures at every step.

    ssljax selftrain {file} --data masks:PATH/TO/IMAGES_AND_MASKS

Every field is a flag: ssljax selftrain {file} --help says which.
"""

from ssljax import Optimizer, SelfTraining, nets
from ssljax.data import Masks
from ssljax.pseudolabels.rounds import Rounds
from ssljax.selftraining.learners import Network
from ssljax.selftraining.online import Online
from ssljax.tasks import ImageInput, Mask, Task
from ssljax.views import ImageView

SIZE = 128  # pixels along each side that the network sees
TASK = Task(
    inputs=ImageInput(view=ImageView(size=SIZE, scale=(0.5, 1.0), mean=(0.5,), std=(0.25,))),
    encoder=nets.UNetEncoder(widths=(16, 32, 64, 128), norm=True),
    target=Mask(classes=2),
    hidden=(64, 32, 16),
)
HOW = Optimizer(name="adamw", learning_rate=3e-3, per_batch=None, warmup=20, weight_decay=1e-3)

SELFTRAIN = SelfTraining(
    learner=Online(task=TASK, optimizer=HOW, steps=500, batch=4, ratio=1),
    student=Network(task=TASK, optimizer=HOW, steps=500, batch=8),  # of all true masks
    data="masks:PATH/TO/IMAGES_AND_MASKS",
    reader=Masks(size=SIZE),
    few=10,  # pictures with masks
    rounds=Rounds(count=0),
)
''',
    "SCAN": '''\
"""Classes without labels, by SCAN: from the neighbours that another run has found.

    ssljax new simclr before.py && ssljax train before.py --workdir runs/before
    ssljax train {file}

Both must use the same data. Every field is a flag: ssljax train {file} --help says which.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import Cadence, Experiment, Method, Optimizer, nets
from ssljax.data import Images, Neighbors
from ssljax.method import from_pretrained
from ssljax.methods import SCAN
from ssljax.probes import features
from ssljax.probes.knn import nearest
from ssljax.runs.evaluation import embedder
from ssljax.runs.load import load_run
from ssljax.views import ImageView

SIZE = 32  # pixels along each side that the network sees, as in the run before


@dataclass(frozen=True, kw_only=True)
class Scan(Experiment):
    """An experiment that begins from the encoder of another run and its neighbours."""

    pretrained: str = "runs/before"
    """Run folder of the encoder; its data must be the same."""
    neighbors: int = 20
    """Neighbours of each image that should share its class."""

    def load(self, folder: Path | None = None) -> tuple[Any, Any]:
        train, test = super().load(folder)
        before, method, state, *_ = load_run(Path(self.pretrained))
        x, _ = features(embedder(before, method, state), train, batch=before.batch)
        return Neighbors(train, np.asarray(nearest(x, x, k=1 + self.neighbors)[1])), test

    def build(self, dataset: Any) -> Method:
        _, before, state, *_ = load_run(Path(self.pretrained))
        params, stats = jax.device_get(before.backbone(state))
        return from_pretrained(super().build(dataset), {"encoder": params}, {"encoder": stats})


EXPERIMENT = Scan(
    method=SCAN(
        encoder=nets.SmallConv(widths=(32, 64, 128)),  # that of the run before
        classes=10,
        view=ImageView(size=SIZE),
        heads=5,
        standardize=True,
    ),
    data="digits",
    reader=Images(size=SIZE, channels=3),
    optimizer=Optimizer(learning_rate=3e-3, weight_decay=1e-4, per_batch=None),
    steps=1000,
    batch=128,
    # The encoder of the run before comes in by `refresh`, before the first step.
    cadence=Cadence(log=50, save=500, monitor=250, refresh=1000),
)
''',
    "SelfLabel": '''\
"""SCAN's second stage: learn from one's own predictions where they are sure.

    ssljax new scan scan.py && ssljax train scan.py --workdir runs/scan
    ssljax train {file}

Every field is a flag: ssljax train {file} --help says which.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from ssljax import Cadence, Experiment, Method, Optimizer, nets
from ssljax.data import Images
from ssljax.method import from_pretrained
from ssljax.methods import SelfLabel
from ssljax.runs.load import load_run
from ssljax.views import ImageView

SIZE = 32  # pixels along each side that the network sees, as in the run of SCAN


@dataclass(frozen=True, kw_only=True)
class SelfLabelled(Experiment):
    """An experiment that begins from the encoder and the best head of a run of SCAN."""

    pretrained: str = "runs/scan"
    """Run folder of SCAN."""
    scan: str = "scan.py"
    """Its experiment file."""

    def build(self, dataset: Any) -> Method:
        before, _, state, *_ = load_run(Path(self.pretrained), file=self.scan)
        classes, best = before.method.classes, int(before.method.best_head(state))
        params, stats = jax.device_get((state.params, state.extra["stats"]))
        mine = slice(best * classes, (best + 1) * classes)
        last = jax.tree.map(lambda w: w[..., mine], params["head"]["linear_0"])
        networks = {"encoder": params["encoder"], "head": params["head"] | {"linear_0": last}}
        return from_pretrained(super().build(dataset), networks, stats)


EXPERIMENT = SelfLabelled(
    method=SelfLabel(
        encoder=nets.SmallConv(widths=(32, 64, 128)),  # that of the run of SCAN
        classes=10,
        view=ImageView(size=SIZE),
        standardize=True,
    ),
    data="digits",
    reader=Images(size=SIZE, channels=3),
    optimizer=Optimizer(learning_rate=1e-3, weight_decay=1e-4, per_batch=None),
    steps=500,
    batch=512,
    # The weights of SCAN come in by `refresh`, before the first step.
    cadence=Cadence(log=50, save=250, monitor=250, refresh=500),
)
''',
}
