"""Images with captions: what CLIP and its kin learn from.

A row is that of `Images` with {"tokens": int32 [L], "segments": int32 [L]} of `Text` beside it. The
captions come from one of two places, told apart by the name of the data:

    parquet:PATH, folder:PATH, ...   labelled images: class names in templates, "a photo of a {}."
    tsv:PATH, csv:PATH               a table of image files and captions, or a folder of tables,
                                     one a split; its columns image (file, path) and caption (text),
                                     or these two without a head; paths start at the table

A training batch draws a template for each image by (seed, step); a pass in order gives example i
template i mod T. `prompts` of a data set are all templates of all classes, with their labels.
Captions made of class names tell a network the labels: what it then says of the same classes is
called zero-shot for the way it is asked, not because it never saw them.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ssljax.data.dataset import Arrays, Rows, Spec, labelled_part
from ssljax.data.decode import in_memory, size_of
from ssljax.data.documents import document_splits, read_cells
from ssljax.data.images import Images
from ssljax.data.order import rows_of
from ssljax.data.sources import open_source, splits
from ssljax.data.stream import Stream
from ssljax.data.text import Text, TokenText

_IMAGE, _CAPTION = ("image", "file", "path", "filename"), ("caption", "text", "sentence")


@dataclass(frozen=True, kw_only=True)
class Captions:
    """How images and captions become rows: a `Reader`."""

    plain_name: ClassVar[str] = "pixels"

    images: Images = Images()
    text: Text = Text(length=16, vocab=512)
    """Length of a caption and its tokenizer, trained on the captions."""
    templates: tuple[str, ...] = ("a photo of a {}.",)
    """Captions of a class; {} is its name."""
    names: tuple[str, ...] = ()
    """Names of the classes, where those of the data do not say what they are."""

    def __post_init__(self) -> None:
        if self.text.layout != "documents":
            raise ValueError(f"captions are rows of one text: text.layout {self.text.layout!r}")
        for template in self.templates:
            if template.count("{}") != 1:
                raise ValueError(f"template {template!r} needs one {{}} where the class is named")
        if not self.templates:
            raise ValueError("captions of classes need at least one template")

    @property
    def vocab(self) -> int:
        """Largest number of tokens of the vocabulary."""
        return self.text.vocab

    def with_classes(self, classes: tuple[str, ...]) -> "Captions":
        """Itself where it has names, else with those of the classes of its data."""
        return self if self.names else replace(self, names=classes)

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenCaptions":
        """The reader with its tokenizer: that of the run in `folder`, or one trained on `spec`."""
        names = None if is_table(spec) else self._names(spec)

        def texts() -> list[str]:
            if names is None:
                return [caption for _, caption, _ in read_captions(spec, split="train")]
            return [text for name in names for text in self.captions(name)]

        return TokenCaptions(self, self.text.tokenized(texts, folder), names)

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return document_splits(spec) if is_table(spec) else splits(spec)

    def load(self, spec: str, *, split: str = "train", **options: Any) -> "Captioned":
        """As `TokenCaptions.load`, with a tokenizer trained on `spec`."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec | None:
        """Image, tokens and segments; None where the images are as stored."""
        image = self.images.shapes()
        return None if image is None else image | self.text.shapes()

    def plain(self, rows: Rows) -> np.ndarray:
        """Raw pixels [B, H*W*C] in [0, 1]."""
        return self.images.plain(rows)

    def captions(self, name: str) -> list[str]:
        """The captions of a class, one a template."""
        return [template.format(name.replace("_", " ")) for template in self.templates]

    def _names(self, spec: str) -> tuple[str, ...]:
        if self.names:
            return self.names
        source = open_source(spec, split=self.splits(spec)[0])
        if source.classes:
            return source.classes
        labels = source.labels()
        if labels is None:
            raise ValueError(
                f"{spec} has no labels to make captions of: name a table of images and captions, "
                "as in tsv:PATH"
            )
        return tuple(map(str, range(int(labels.max()) + 1)))


class TokenCaptions:
    """A `Captions` with its tokenizer and the names of the classes (None: captions of a table)."""

    plain_name = Captions.plain_name

    def __init__(
        self, captions: Captions, text: TokenText, names: tuple[str, ...] | None = None
    ) -> None:
        self.captions, self.text, self.names = captions, text, names
        self.splits, self.shapes, self.plain = captions.splits, captions.shapes, captions.plain
        self.rows = captions.images.rows

    def prepared(self, spec: str, folder: Path | None = None) -> "TokenCaptions":
        """Itself."""
        del spec, folder
        return self

    def load(
        self,
        spec: str,
        *,
        split: str = "train",
        in_memory_bytes: int = 4 * 2**30,
        workers: int = 2,
    ) -> "Captioned":
        """A split of `spec`.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        options = {"in_memory_bytes": in_memory_bytes, "workers": workers}
        if is_table(spec):
            source = _Files(read_captions(spec, split=split))
            decode = _Decode(self.captions.images)
            if size_of(source, decode) <= in_memory_bytes:
                images = in_memory(source, decode)
            else:
                images = Stream(source, decode, workers=workers)
            return Captioned(images, self._table([[c] for c in source.captions]), classes=None)
        if self.names is None:
            raise ValueError(f"the captions come from a table, and {spec} is none: tsv: or csv:")
        images = self.captions.images.load(spec, split=split, **options)
        classes = images.classes or ()
        if not images.labelled or len(classes) > len(self.names):
            raise ValueError(
                f"{spec} ({split}) has {len(classes)} classes and the captions name "
                f"{len(self.names)}: give a name to each with reader.names"
            )
        table = self._table([self.captions.captions(name) for name in self.names])
        return Captioned(images, table, classes=self.names)

    def _table(self, captions: list[list[str]]) -> Rows:
        """Leaves [K, T, L] of K lists of T captions."""
        flat = self.text.rows([text for several in captions for text in several])
        return {k: v.reshape(len(captions), -1, v.shape[1]) for k, v in flat.items()}


class Captioned:
    """Images, each with one of the captions of its class (or its own): the interface of `Arrays`.

    prompts: `Arrays` of all captions of all classes with their labels; None without classes.
    """

    smallest_batch, held_out = 1, None

    def __init__(
        self, images: Arrays | Stream, captions: Rows, *, classes: tuple[str, ...] | None
    ) -> None:
        """images: of which "label", or "caption" without classes, numbers the captions.

        captions: leaves [K, T, L]. classes: K names, or None for captions that are no classes.
        """
        images = images if classes is None else labelled_part(images)
        self._images, self._captions, self.classes = images, captions, classes
        self.labelled, self.skipped = classes is not None, images.skipped
        self.origin, self.labelled_count = images.origin, images.labelled_count
        self._count = next(iter(captions.values())).shape[1]
        self.spec: Spec = {k: v for k, v in images.spec.items() if k != "caption"}
        self.spec |= {k: (v.shape[2:], v.dtype) for k, v in captions.items()}
        self.prompts = None
        if classes is not None:
            rows = {k: v.reshape(-1, v.shape[2]) for k, v in captions.items()}
            labels = np.repeat(np.arange(len(classes), dtype=np.int32), self._count)
            self.prompts = Arrays(rows | {"label": labels}, classes=classes)

    def __len__(self) -> int:
        return len(self._images)

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As `Arrays.batches`; the templates of a batch are drawn by (seed, step)."""
        found = self._images.batches(batch, seed=seed, start=start, host=host)
        for step, rows in zip(itertools.count(start), found):
            draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, step, 3])))
            which = draw.integers(self._count, size=batch)[rows_of(batch, host)]
            yield self._join(rows, which)

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """As `Arrays.once`; example i has template i mod T."""
        for rows in self._images.once(batch, host=host):
            yield self._join(rows, rows["index"] % self._count)

    def labels(self) -> np.ndarray | None:
        """As `Arrays.labels`."""
        return self._images.labels()

    @property
    def names(self) -> Sequence[str] | None:
        """As of `Arrays`."""
        return self._images.names

    def part(self, index: np.ndarray) -> "Captioned":
        """As `Divisible.part`."""
        return Captioned(self._images.part(index), self._captions, classes=self.classes)

    def _join(self, rows: Rows, which: np.ndarray) -> Rows:
        rows = dict(rows)
        number = rows["label"] if self.labelled else rows.pop("caption")
        return rows | {k: v[number, which] for k, v in self._captions.items()}


class _Files:
    """Image files as a `Source`, each with the number of its row in the table."""

    classes = None

    def __init__(self, rows: list[tuple[Path, str, str]]) -> None:
        self._files = [str(file) for file, _, _ in rows]
        self.captions = [caption for _, caption, _ in rows]
        self._called = [called for _, _, called in rows]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"image": Path(self._files[i]).read_bytes(), "caption": np.int32(i)}

    def labels(self) -> None:
        """There are none."""

    def name(self, i: int) -> str:
        return self._files[i]

    def key(self, i: int) -> str:
        return self._called[i]


@dataclass(frozen=True)
class _Decode:
    """The image of a row, beside the number of its caption."""

    images: Images

    def __call__(self, record: dict[str, Any], name: str) -> Rows:
        return self.images.decode(record, name) | {"caption": record["caption"]}


def is_table(spec: str) -> bool:
    """Whether data of this name is a table of image files and captions."""
    return spec.partition(":")[0] in ("tsv", "csv")


def read_captions(spec: str, *, split: str) -> list[tuple[Path, str, str]]:
    """(image file, caption, file and line) of each row of a table: see the head of this module.

    Raises: ValueError or FileNotFoundError that say what was found.
    """
    found = []
    for file, table in read_cells(spec, split=split):
        image, caption = 0, 1
        head = [cell.strip().lower() for cell in table[0][1]] if table else []
        if set(head) & {*_IMAGE} and set(head) & {*_CAPTION}:
            image = next(head.index(name) for name in _IMAGE if name in head)
            caption = next(head.index(name) for name in _CAPTION if name in head)
            table = table[1:]
        for line, row in table:
            if len(row) <= max(image, caption) or not row[caption].strip():
                raise ValueError(f"{file}: row {line} has no image with a caption: {row}")
            called = f"{file.name}:{line}"
            found.append((file.parent / row[image].strip(), row[caption].strip(), called))
    if not found:
        raise ValueError(f"{spec} ({split}) holds no captions")
    return found
