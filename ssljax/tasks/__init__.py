"""Downstream tasks: an input, a network and a kind of target, which make a `Task`.

image classification      Task(inputs=ImageInput(...), encoder=..., target=OneOf(classes=10))
video classification      Task(inputs=ClipInput(...), encoder=R3D(), target=OneOf(classes=43))
sequence classification   Task(inputs=SeriesInput(), encoder=LSTM(), target=OneOf(classes=9))
text classification       Task(inputs=TokenInput(), encoder=BERT(...), target=OneOf(classes=2))
multi-label               Task(..., target=AnyOf(classes=14))
regression                Task(..., target=Value())
ratings                   Task(inputs=FieldInput(), encoder=DeepFields(...), target=Value(...))
nodes of a graph          Task(inputs=GraphInput(), encoder=GCN(...), target=OneOf(classes=7))
tagging                   Task(inputs=TokenInput(), encoder=BERT(...), target=Tags(tags=(...)))
segmentation              Task(inputs=ImageInput(...), encoder=ResNet(...), target=Mask(classes=11))
detection                 Task(inputs=ImageInput(...), encoder=ResNet(...), target=Boxes(...))
text generation           Task(inputs=TokenInput(), encoder=GPT2(...), target=Continuation(...))
translation               Task(inputs=TokenInput(), encoder=T5Encoder(...), target=Translation(...))
speech recognition        Task(inputs=SoundInput(), encoder=MelEncoder(), target=Transcript(...))

What a new kind of target brings says `Target`.
"""

from ssljax.tasks.any_of import AnyOf
from ssljax.tasks.boxes import Boxes
from ssljax.tasks.continuation import Continuation
from ssljax.tasks.inputs import (
    ClipInput,
    FeatureInput,
    FieldInput,
    GraphInput,
    ImageInput,
    Inputs,
    SeriesInput,
    SoundInput,
    TokenInput,
)
from ssljax.tasks.mask import Mask
from ssljax.tasks.one_of import OneOf
from ssljax.tasks.suggested import suggested
from ssljax.tasks.tags import Tags
from ssljax.tasks.target import Examples, Target, Targets
from ssljax.tasks.task import Task
from ssljax.tasks.transcript import Transcript
from ssljax.tasks.translation import Translation
from ssljax.tasks.value import Value

__all__ = [
    "AnyOf",
    "Boxes",
    "ClipInput",
    "Continuation",
    "Examples",
    "FeatureInput",
    "FieldInput",
    "GraphInput",
    "ImageInput",
    "Inputs",
    "Mask",
    "OneOf",
    "SeriesInput",
    "SoundInput",
    "Tags",
    "Target",
    "Targets",
    "Task",
    "TokenInput",
    "Transcript",
    "Translation",
    "Value",
    "suggested",
]
