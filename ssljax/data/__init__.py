"""Data on the host: sources by name, decoding, batches addressed by step."""

import numpy as np

from ssljax.data.audio import Audio
from ssljax.data.boxes import BoxedImages
from ssljax.data.captions import Captioned, Captions
from ssljax.data.chosen import Chosen
from ssljax.data.conll import Conll
from ssljax.data.continuations import Continuations
from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Dataset
from ssljax.data.dialogues import Dialogues
from ssljax.data.few import Few, FewLabels
from ssljax.data.graph import GraphData, pack_edges
from ssljax.data.graphs import Graphs
from ssljax.data.images import Images
from ssljax.data.interaction_data import Answered, Asked, Catalogue, Seen, Sequences
from ssljax.data.interactions import Interactions
from ssljax.data.letters import Letters
from ssljax.data.masks import Masks
from ssljax.data.matched import Matched, Pairs
from ssljax.data.midi import Midi
from ssljax.data.neighbors import Neighbors
from ssljax.data.parallel import Parallel
from ssljax.data.reader import Reader
from ssljax.data.replies import Replies
from ssljax.data.sources import Source, open_source, splits
from ssljax.data.stream import Stream
from ssljax.data.strings import Strings
from ssljax.data.table import Table
from ssljax.data.text import Text
from ssljax.data.timeseries import TimeSeries
from ssljax.data.transcripts import Transcripts
from ssljax.data.triple_data import TripleData
from ssljax.data.triples import Triples
from ssljax.data.video import Video
from ssljax.data.voc import Crops
from ssljax.data.windows import Windows

__all__ = [
    "Answered",
    "Arrays",
    "Asked",
    "Audio",
    "BoxedImages",
    "Captioned",
    "Captions",
    "Catalogue",
    "Chosen",
    "Conll",
    "Continuations",
    "CorruptExample",
    "Crops",
    "Dataset",
    "Dialogues",
    "Few",
    "FewLabels",
    "GraphData",
    "Graphs",
    "Images",
    "Interactions",
    "Letters",
    "Masks",
    "Matched",
    "Midi",
    "Neighbors",
    "Pairs",
    "Parallel",
    "Reader",
    "Replies",
    "Seen",
    "Sequences",
    "Source",
    "Stream",
    "Strings",
    "Table",
    "Text",
    "TimeSeries",
    "Transcripts",
    "TripleData",
    "Triples",
    "Video",
    "Windows",
    "labels",
    "load",
    "open_source",
    "pack_edges",
    "splits",
]


def load(
    spec: str,
    *,
    split: str = "train",
    images: Reader = Images(),
    in_memory_bytes: int = 4 * 2**30,
    workers: int = 2,
) -> Dataset:
    """The data set that `spec` names, in memory where it fits.

    Args:
      spec: digits, tfds:NAME[:SPLIT], parquet:PATH, folder:PATH or npz:PATH; or what the reader of
        another modality reads, such as audio:PATH.
      split: train, validation or test; a split in `spec` counts more.
      images: how records become examples: `Images`, or the reader of another modality.
      in_memory_bytes: largest decoded size that is kept in memory.
      workers: processes that decode streamed data; 0 decodes in threads of this process. With
        workers, a script of one's own needs `if __name__ == "__main__":` around its work.
    Raises: ValueError or FileNotFoundError that say what was found and what to do.
    """
    return images.load(spec, split=split, in_memory_bytes=in_memory_bytes, workers=workers)


def labels(dataset: Dataset) -> np.ndarray:
    """All labels of a data set, int32 [N], in the order of "index".

    Raises: ValueError where it has none.
    """
    found = dataset.labels() if dataset.labelled else None
    if found is None:
        raise ValueError("this data has no labels: name data that has, or evaluate without them")
    return found
