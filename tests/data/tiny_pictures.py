"""Tiny pictures that carry their own number, for the tests of sources."""

import io
import json
import pickle

import numpy as np
import pyarrow as pa
from PIL import Image

from ssljax.data import Images


def picture(i):
    """Image number i: 6 x 7, its number in every pixel."""
    return np.full((6, 7, 3), i % 256, np.uint8)


def png(i):
    buffer = io.BytesIO()
    Image.fromarray(picture(i)).save(buffer, "PNG")
    return buffer.getvalue()


def table(numbers, *, image="image", label="label", names=None, wrapped=True):
    cells = [{"bytes": png(i), "path": f"{i}.png"} if wrapped else png(i) for i in numbers]
    columns = {"id": list(numbers), image: cells}
    if label:
        columns[label] = pa.array([i % 3 for i in numbers], pa.int64())
    found = pa.table(columns)
    if names:
        feature = {label: {"names": names, "_type": "ClassLabel"}}
        info = {"huggingface": json.dumps({"info": {"features": feature}})}
        found = found.replace_schema_metadata(info)
    return found


def contents(source):
    """(image number, label or None) of each example."""
    rows = [source[i] for i in range(len(source))]
    numbers = [int(Images()(row["image"], "x").reshape(-1)[0]) for row in rows]
    labels = [None] * len(source)
    if source.labels() is not None:
        assert source.labels().dtype == np.int32 and len(source.labels()) == len(source)
        labels = source.labels().tolist()
    copied = pickle.loads(pickle.dumps(source))
    assert len(copied) == len(source) and copied[len(source) - 1].keys() == rows[-1].keys()
    assert len({source.name(i) for i in range(len(source))}) == len(source)
    return list(zip(numbers, labels))


def expected(numbers):
    return [(i, i % 3) for i in numbers]
