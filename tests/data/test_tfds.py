"""TensorFlow Datasets: a tiny data set that its own builder writes, without TensorFlow, and reads
back; what is said where a data set is unknown or not prepared.
"""

import pickle
import sys

import numpy as np
import pytest
from tiny_pictures import png

from ssljax import data
from ssljax.data import Images, open_source, splits

tfds = pytest.importorskip("tensorflow_datasets")


class SsljaxTinyPictures(tfds.core.GeneratorBasedBuilder):
    """26 pictures in two splits; already encoded, because encoding asks for TensorFlow."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["ant", "bee", "cow"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, manager):
        return {
            "train": self._generate_examples(range(20)),
            "validation": self._generate_examples(range(20, 26)),
        }

    def _generate_examples(self, numbers):
        for i in numbers:
            yield i, {"image": png(i), "label": i % 3}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    builder = SsljaxTinyPictures(data_dir=folder, file_format="array_record")
    builder.download_and_prepare()
    tfds.core.add_data_dir(folder)
    return "tfds:ssljax_tiny_pictures"


def numbers(source):
    rows = [source[i] for i in range(len(source))]
    found = [int(Images()(row["image"], "x")[0, 0, 0]) for row in rows]
    assert [row["label"] for row in rows] == [i % 3 for i in found]
    assert source.labels().tolist() == [i % 3 for i in found]
    return found


def test_prepared_data_is_read_without_tensorflow(prepared):
    assert splits(prepared) == ("train", "validation")
    source = open_source(prepared, split="train")
    assert source.classes == ("ant", "bee", "cow")
    assert sorted(numbers(source)) == list(range(20))
    assert sorted(numbers(open_source(f"{prepared}:val", split="train"))) == list(range(20, 26))
    assert "tensorflow" not in sys.modules


def test_parts_of_splits_and_versions(prepared):
    whole = numbers(open_source(prepared, split="train"))
    assert numbers(open_source(f"{prepared}:train[:25%]", split="test")) == whole[:5]
    assert numbers(open_source(f"{prepared}:train[15:]", split="test")) == whole[15:]
    assert numbers(open_source(f"{prepared}:1.0.0:train[15:]", split="test")) == whole[15:]
    assert splits(f"{prepared}:train[:25%]")[0].startswith("train")


def test_memory_and_stream_agree(prepared):
    arrays = data.load(prepared)
    stream = data.load(prepared, in_memory_bytes=0, workers=0)
    for a, b, _ in zip(arrays.batches(8, seed=1), stream.batches(8, seed=1), range(5)):
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_source_crosses_processes(prepared):
    source = open_source(prepared, split="validation")
    assert numbers(pickle.loads(pickle.dumps(source))) == numbers(source)
    assert "[3]" in source.name(3)


def test_messages(prepared, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no split 'test': it has train, validation"):
        open_source(prepared, split="test")
    with pytest.raises(ValueError, match=r"no split 'tran'"):
        open_source(f"{prepared}:tran[:10%]", split="train")
    with pytest.raises(ValueError, match=r"mnnist.*no such data set; did you mean mnist"):
        open_source("tfds:mnnist", split="train")
    with pytest.raises(FileNotFoundError) as error:
        open_source("tfds:fashion_mnist", split="train")
    message = str(error.value)
    assert "not prepared" in message and "download_and_prepare(" in message
    assert "'fashion_mnist'" in message and "array_record" in message
    assert "ssljax[tfds-prepare]" in message
