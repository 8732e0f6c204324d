"""Knowledge graphs from files: `triples:PATH`, a folder with train, valid and test.

Each is a table without a head, one triple a line: head, relation, tail, between tabs (.txt, .tsv,
and the same .gz), or .parquet with columns of these names. Entities and relations are those of the
training part, numbered in the order of their names.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ssljax.data.announced_tables import read_table
from ssljax.data.dataset import Rows, Spec
from ssljax.data.split_names import normal
from ssljax.data.triple_data import TripleData

log = logging.getLogger("ssljax")
_FILES = {"train": ("train",), "validation": ("valid", "validation", "dev"), "test": ("test",)}
_KINDS = (".txt", ".tsv", ".txt.gz", ".tsv.gz", ".parquet")
_PARTS = ("head", "relation", "tail")


@dataclass(frozen=True, kw_only=True)
class Triples:
    """How a knowledge graph becomes data."""

    plain_name: ClassVar[str] = "numbers"
    negatives: int = 64
    """Wrong heads, and as many wrong tails, that are drawn for each triple in training."""
    unseen: Literal["refuse", "leave_out"] = "refuse"
    """What to do with triples of an entity or a relation that training does not have. What is left
    out is said: nothing can be told of a name that was never seen."""

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise ValueError(f"negatives {self.negatives} must be at least 1")

    def prepared(self, spec: str, folder: Path | None = None) -> "Triples":
        """Itself: nothing is learnt but the names, which are those of the training part."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """Those of train, validation and test that have a file."""
        return tuple(_files(_folder(spec)))

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> TripleData:
        """The triples of a split. Raises: ValueError that names file and row, FileNotFoundError."""
        del in_memory_bytes, workers
        folder, part = _folder(spec), normal(split)
        offered = _files(folder)
        for needed in ("train", part):
            if needed not in offered:
                names = ", ".join(f"{_FILES[needed][0]}{kind}" for kind in _KINDS)
                raise FileNotFoundError(f"{folder} has no {needed} part: it needs one of {names}")
        words = {name: _read(file) for name, file in offered.items()}
        train = words["train"]
        entities = np.unique(np.concatenate([train[:, 0], train[:, 2]]))
        relations = np.unique(train[:, 1])
        numbers = {}
        for name, names in words.items():
            where = offered[name]
            numbers[name] = self._numbered(names, entities, relations, where, say=name == part)
        return TripleData(
            numbers[part],
            entities=tuple(entities.tolist()),
            relations=tuple(relations.tolist()),
            known=np.concatenate(list(numbers.values())),
            negatives=self.negatives,
        )

    def _numbered(
        self,
        words: np.ndarray,
        entities: np.ndarray,
        relations: np.ndarray,
        file: Path,
        *,
        say: bool,
    ) -> np.ndarray:
        """int32 [T, 3] of names [T, 3]."""
        columns, strange = [], np.zeros(len(words), bool)
        for i, names in enumerate((entities, relations, entities)):
            place = np.minimum(np.searchsorted(names, words[:, i]), len(names) - 1)
            new = names[place] != words[:, i]
            if self.unseen == "refuse" and new.any():
                row = int(np.flatnonzero(new)[0])
                raise ValueError(
                    f"{file}: row {row + 1} has the {_PARTS[i]} {str(words[row, i])!r}, which "
                    f"training does not have, like {int(new.sum())} rows in all. Leave such "
                    'triples out with unseen="leave_out", on the command line '
                    "--reader.unseen leave_out"
                )
            columns.append(place)
            strange |= new
        if strange.any() and say:
            log.warning(
                "%s: %d of %d triples have a name that training does not have, and are left out",
                *(file, strange.sum(), len(words)),
            )
        return np.stack(columns, axis=1).astype(np.int32)[~strange]

    def shapes(self) -> Spec | None:
        """None: how many answers a question has is in the data."""
        return None

    def plain(self, rows: Rows) -> np.ndarray:
        """The numbers [B, 3] of head, relation and tail, which say nothing of them."""
        return np.asarray(rows["triple"], np.float32)


def _folder(spec: str) -> Path:
    kind, _, place = spec.partition(":")
    if kind != "triples" or not place:
        raise ValueError(f"data {spec!r}: knowledge graphs are triples:PATH")
    folder = Path(place)
    if not folder.is_dir():
        raise FileNotFoundError(f"{spec}: there is no such folder")
    return folder


def _files(folder: Path) -> dict[str, Path]:
    """The file of each part that is there."""
    offered = {}
    for part, stems in _FILES.items():
        found = [folder / (stem + kind) for stem in stems for kind in _KINDS]
        found = [file for file in found if file.is_file()]
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise ValueError(f"{folder} has several files of the {part} part: {names}")
        if found:
            offered[part] = found[0]
    return offered


def _read(file: Path) -> np.ndarray:
    """Names [T, 3] of a file, as they stand there."""
    try:
        if file.suffix == ".parquet":
            table = read_table(file)
            missing = [name for name in _PARTS if name not in table.column_names]
            if missing:
                raise ValueError(f"{file} has no column {missing[0]}: it needs {', '.join(_PARTS)}")
            table = table.select(_PARTS).cast(pa.schema([(name, pa.string()) for name in _PARTS]))
        else:
            table = pyarrow.csv.read_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(column_names=_PARTS),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter="\t", quote_char=False, ignore_empty_lines=False
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(_PARTS, pa.string())
                ),
            )
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{file} cannot be read as triples of head, relation and tail between tabs: {error}"
        ) from error
    if not table.num_rows:
        raise ValueError(f"{file} holds no triple")
    words = np.stack([table.column(name).to_numpy() for name in _PARTS], axis=1)
    for i, name in enumerate(_PARTS):
        empty = np.flatnonzero([word is None or not word for word in words[:, i]])
        if len(empty):
            raise ValueError(f"{file}: row {empty[0] + 1} has no {name}")
    return words.astype(str)
