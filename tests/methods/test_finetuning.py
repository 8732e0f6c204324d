"""Fine-tuning by what a method reads: every kind of record, and a few labels of each."""

import dataclasses

import numpy as np
import pytest
from cases_language import BERT_NET, text
from cases_speech import SHARED, speech

from ssljax import Experiment, Parallel, probes
from ssljax.data import Arrays
from ssljax.data.graph import GraphData
from ssljax.methods import BERT, DGI, Colorization, Student, Supervised, Wav2Vec2
from ssljax.nets import GCN, LSTM, MLP, Quantizer, SmallConv
from ssljax.probes import FineTune
from ssljax.runs.evaluation import finetune, untrained
from ssljax.tasks import FeatureInput, OneOf, SeriesInput, Task
from ssljax.views import ImageView, ShiftFlip

RNG = np.random.default_rng(0)
LABEL = np.arange(16, dtype=np.int32) % 4
FEW = FineTune(steps=2, batch=8, per_class=2, frozen=True)


def student(inputs, encoder):
    return Student(task=Task(inputs=inputs, encoder=encoder, target=OneOf(classes=4)))


def series():
    x = RNG.normal(size=(16, 5, 2)).astype(np.float32)
    return Arrays({"series": x, "steps": np.ones((16, 5), bool), "label": LABEL})


def table():
    return Arrays({"features": RNG.normal(size=(16, 3)).astype(np.float32), "label": LABEL})


def graph():
    edges = RNG.integers(0, 16, (40, 2))
    x = RNG.normal(size=(16, 3)).astype(np.float32)
    return GraphData(x, edges, label=LABEL, classes=tuple("abcd"), fanout=(2,))


def images(channels):
    x = RNG.integers(0, 255, (16, 8, 8, channels), dtype=np.uint8)
    return Arrays({"image": x, "label": LABEL})


CASES = {
    "text": (BERT(encoder=BERT_NET), lambda: Arrays(text())),
    "audio": (
        Wav2Vec2(quantizer=Quantizer(entries=5, width=6), negatives=4, **SHARED),
        lambda: Arrays(speech()),
    ),
    "series": (student(SeriesInput(), LSTM(width=3)), series),
    "table": (student(FeatureInput(), MLP(widths=(3,))), table),
    "graph": (DGI(encoder=GCN(widths=(3,))), graph),
    "few labels": (
        Supervised(encoder=SmallConv(widths=(3,)), weak=ShiftFlip(size=8), classes=4),
        lambda: images(3),
    ),
}


def tuned(method, data, protocol):
    experiment = Experiment(method=method, batch=16, parallel=Parallel())
    built = experiment.build(data)
    state = untrained(experiment, built, data)
    return finetune(experiment, built, state, data, data, protocol)


@pytest.mark.parametrize("kind", CASES)
def test_few_labels_of_any_record(kind):
    method, make = CASES[kind]
    found = tuned(method, make(), FEW)
    assert found["encoders"].keys() == {"pretrained", "random"}
    # Both begin alike here, and see the same labels in the same order.
    assert found["encoders"]["pretrained"] == found["encoders"]["random"]
    assert found["encoders"]["random"]["labels"] == 8
    assert 0 <= found["encoders"]["random"]["accuracy"] <= 1
    (line,) = probes.describe_finetune(found)
    assert ("plain examples" in line) == (kind != "few labels")  # only images are augmented


def test_what_a_view_keeps_when_it_is_weak():
    view = ImageView(size=8, jitter=0.8, blur=0.5, scale=(0.1, 1.0))
    grey = Colorization(encoder=SmallConv(widths=(3,)), view=view).plain_view
    assert grey.weak.view == view.weak and view.weak.jitter == 0
    assert ShiftFlip(size=8).weak == ShiftFlip(size=8)


def test_nodes_that_are_not_chosen_teach_nothing():
    """Their features are read, since they are neighbours; their labels are not."""
    whole = graph()
    chosen = whole.part(np.array([0, 1, 2, 3]))
    other = np.where(np.arange(16) < 4, LABEL, (LABEL + 1) % 4)
    lies = GraphData(
        whole.features, whole.edges, label=other, classes=tuple("abcd"), fanout=(2,)
    ).part(np.array([0, 1, 2, 3]))
    method = DGI(encoder=GCN(widths=(3,)))
    experiment = Experiment(method=method, batch=16, parallel=Parallel())
    built = experiment.build(whole)
    state = untrained(experiment, built, whole)
    for batch in (3, 16):  # pieces, and the whole graph
        protocol = dataclasses.replace(FEW, per_class=None, batch=batch, steps=4)
        options = {"inputs": probes.Shown(method.inputs), "protocol": protocol}
        a, b = (
            probes.finetune(method.encoder, *built.backbone(state), data, whole, **options)
            for data in (chosen, lies)
        )
        assert a == b and a["labels"] == 4
