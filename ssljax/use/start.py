"""Pretraining in one call on data of one's own.

What is trained is what `ssljax new METHOD` writes, small enough for a laptop, with sizes that
follow the data: the side of the images, the length of the texts, the batch.
"""

import ast
import dataclasses
import logging
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
    made = _made(source)
    if type(made) is not Experiment:  # a class of its own asks for a run to go on from
        raise ValueError(f"{method} needs more than data: start with ssljax new {method} FILE")
    most = None  # the length of recordings and the size of a graph do not change the network
    if isinstance(made.reader, Images):
        size, most, classes = _images(data)
        made = _made(source, SIZE=size)
        # Where a method asks for them: how many there are is in the data alone.
        counts = {"examples": most} | ({"classes": classes} if classes else {})
        known = {f.name for f in dataclasses.fields(made.method)}
        counts = {name: count for name, count in counts.items() if name in known}
        made = dataclasses.replace(made, method=dataclasses.replace(made.method, **counts))
    elif isinstance(made.reader, Text) and made.reader.layout != "windows":
        length, most = _texts(data)
        made = _made(source, LENGTH=length)
    made = dataclasses.replace(made, data=data)
    if most is not None and "batch" not in fields:
        # Half of the data at most, so that an epoch has two batches; whole for all devices.
        batch = min(made.batch, 1 << max(1, (most // 2).bit_length() - 1))
        made = dataclasses.replace(made, batch=max(batch, jax.device_count()))
    experiment, warmup = dataclasses.replace(made, **fields), made.optimizer.warmup
    if "optimizer" not in fields and warmup > experiment.steps / 5:  # a run shorter than the file's
        optimizer = dataclasses.replace(experiment.optimizer, warmup=experiment.steps // 10)
        experiment = dataclasses.replace(experiment, optimizer=optimizer)
    return experiment


def _made(source: str, **sizes: int) -> Any:
    """The EXPERIMENT of a starting file, if it has one, with other numbers for names at its top."""
    file = ast.parse(source)
    for line in file.body:
        if isinstance(line, ast.Assign):
            pairs = [(line.targets[0], line.value)]
            if isinstance(line.targets[0], ast.Tuple) and isinstance(line.value, ast.Tuple):
                pairs = zip(line.targets[0].elts, line.value.elts, strict=True)
            for name, value in pairs:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    value.value = sizes.get(name.id, value.value)
    names: dict[str, Any] = {"__name__": "experiment"}
    exec(compile(file, "<the starting file>", "exec"), names)
    return names.get("EXPERIMENT")


def _images(data: str) -> tuple[int, int, int]:
    """(side at which the images of `data` are seen, how many there are, their classes)."""
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
    return size, len(found), len(found.classes or ())


def _texts(data: str) -> tuple[int, int]:
    """(tokens of a row for the texts of `data`, how many there are)."""
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
    return length, len(texts)
