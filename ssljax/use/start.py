"""Pretraining in one call on data of one's own.

What is trained is what `ssljax new METHOD` writes, small enough for a laptop, with sizes that
follow the data: the side of the images, the length of the texts, the batch.
"""

import dataclasses
import logging
import re
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax.cli.start import method_named, starting_file
from ssljax.data import CorruptExample, Images, Text, open_source, splits
from ssljax.data.documents import document_splits, read_documents
from ssljax.runs.experiment import Experiment
from ssljax.runs.run import run
from ssljax.use.encoder import Encoder

log = logging.getLogger("ssljax")
_SIDES = (32, 64, 96, 128, 160, 224)  # pixels; all are multiples of the patches of the small ViTs
_SLOW = 64  # the largest of them without an accelerator
_LOOKED_AT = 64


def train(
    *, method: str = "simclr", data: str = "digits", out: Path | str, **fields: Any
) -> Encoder:
    """Pretrains on `data`, evaluates, writes the run folder `out`, and returns the encoder.

    A call that was interrupted goes on where it was, and one that is finished returns at once.

    Args:
      method: a name of `ssljax list`, such as "simclr", "dino", "mae" or "bert".
      data: such as "folder:PATH/TO/IMAGES", "parquet:PATH" or "text:PATH".
      out: the run folder.
      fields: fields of `Experiment` in place of those that follow from the data, such as steps=500.
    Raises: ValueError or FileNotFoundError that say what does not fit; KeyboardInterrupt where a
      signal stopped it before the last step.
    """
    experiment = experiment_for(method, data, **fields)
    results = run(experiment, Path(out))
    if not results["finished"]:
        raise KeyboardInterrupt(f"stopped at step {results['step']}; the same call goes on")
    return Encoder(out)


def experiment_for(method: str, data: str, **fields: Any) -> Experiment:
    """The experiment that `train` runs: sizes from the data, then `fields` as they are given."""
    if unknown := set(fields) - {f.name for f in dataclasses.fields(Experiment)}:
        raise ValueError(f"an Experiment has no field {', '.join(sorted(unknown))}")
    source = starting_file(method_named(method), Path("experiment.py"))
    if "\nEXPERIMENT = " not in source:
        raise ValueError(f"{method} needs more than data: start with ssljax new {method} FILE")
    if re.search(r"^SIZE = ", source, flags=re.M):
        source, most = _for_images(source, data)
    elif "LENGTH, VOCAB = 64, 2048" in source:
        source, most = _for_texts(source, data)
    else:  # the length of recordings and the size of a graph do not change the network
        most = None
    made = types.ModuleType("experiment")
    exec(compile(source, "<the starting file>", "exec"), made.__dict__)
    experiment = dataclasses.replace(made.EXPERIMENT, data=data)
    if most is not None and "batch" not in fields:
        # Half of the data at most, so that an epoch has two batches; whole for all devices.
        batch = min(experiment.batch, 1 << max(1, (most // 2).bit_length() - 1))
        experiment = dataclasses.replace(experiment, batch=max(batch, jax.device_count()))
    experiment, warmup = dataclasses.replace(experiment, **fields), experiment.optimizer.warmup
    if "optimizer" not in fields and warmup > experiment.steps / 5:  # a run shorter than the file's
        optimizer = dataclasses.replace(experiment.optimizer, warmup=experiment.steps // 10)
        experiment = dataclasses.replace(experiment, optimizer=optimizer)
    return experiment


def _for_images(source: str, data: str) -> tuple[str, int]:
    """The starting file for the images of `data`, and how many there are."""
    found = open_source(data, split=splits(data)[0])
    rows = np.linspace(0, len(found) - 1, min(len(found), _LOOKED_AT)).astype(int)
    sides = []
    for i in rows:
        with suppress(CorruptExample):
            sides.append(min(Images()(found[int(i)]["image"], found.name(int(i))).shape[:2]))
    if not sides:
        raise ValueError(f"{data}: none of {len(rows)} images can be read")
    most = _SIDES[-1] if jax.default_backend() != "cpu" else _SLOW
    fits = [side for side in _SIDES if side <= most and side <= 1.5 * np.median(sides)]
    size = fits[-1] if fits else _SIDES[0]
    log.info(
        "%s: %d images, of %d pixels in the middle; they are seen at %d",
        data,
        len(found),
        int(np.median(sides)),
        size,
    )
    source = re.sub(r"^SIZE = 32", f"SIZE = {size}", source, flags=re.M)
    classes = len(found.classes or ())
    source = source.replace("classes=10", f"classes={classes}") if classes else source
    return source.replace("examples=1797", f"examples={len(found)}"), len(found)


def _for_texts(source: str, data: str) -> tuple[str, int]:
    """The starting file for the texts of `data`, and how many there are."""
    split = document_splits(data)[0]
    texts = read_documents(data, split=split, unit=Text().unit).texts
    words = np.percentile([len(text.split()) for text in texts], 90)
    # A word is about 1.4 tokens of a small vocabulary, and a row begins and ends with one more.
    length = int(np.clip(16 * np.ceil((1.4 * words + 2) / 16), 16, 256))
    log.info(
        "%s: %d texts, most of at most %d words; rows have %d tokens",
        data,
        len(texts),
        int(words),
        length,
    )
    return source.replace("LENGTH, VOCAB = 64,", f"LENGTH, VOCAB = {length},"), len(texts)
