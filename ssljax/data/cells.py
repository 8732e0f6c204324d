"""Text files and tables on disk: what they say, row by row, without guessing in silence.

Rows end at newlines alone. A file is UTF-8, or says by its first bytes that it is UTF-16 or UTF-32.
Cells are separated by commas in .csv and by tabs in .tsv; where that makes no table and semicolons,
tabs, commas or bars do, they do, and it is said. Quotes mean nothing in .tsv.
"""

import codecs
import csv
import gzip
import itertools
import logging
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("ssljax")
_BOMS = {  # the longer first: one begins with the other
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OWN = {"csv": ",", "tsv": "\t"}
_OTHERS = (";", "\t", ",", "|")
_SHRINKS, _LEAST = 200, 2**24  # times that text shrinks at most, beyond so many bytes
_SEEN = 20  # rows that tell what separates cells
_RETURN = "\ue00d"  # stands for a carriage return inside of a row while the row is read

Lines = list[tuple[int, list[str]]]
"""Rows of a table: the line where each ends, and its cells."""


def read_text(file: Path) -> str:
    """What is in a file, gunzipped where its name ends with .gz.

    Raises: ValueError that says where it cannot be read.
    """
    data = file.read_bytes()
    if file.suffix.lower() == ".gz":
        most = max(_LEAST, _SHRINKS * len(data))
        try:
            with gzip.open(file) as packed:
                data = packed.read(most + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{file} is not a readable gzip file: {error}") from error
        if len(data) > most:
            raise ValueError(
                f"{file} holds more than {_SHRINKS} times as much as it has bytes, which no text "
                "does: unpack it to see what is in it"
            )
    coding = next((name for bom, name in _BOMS.items() if data.startswith(bom)), "utf-8")
    try:
        text = data.decode(coding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{file}, line {line} is not UTF-8 (byte 0x{data[error.start]:02x}): convert the file "
            "first, as in iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise ValueError(
            f"{file}, line {line} holds zero bytes: is it no text, or UTF-16 without its mark? "
            "Convert it first, as in iconv -f UTF-16LE -t UTF-8"
        )
    return text if "\n" in text else text.replace("\r", "\n")


def read_rows(kind: str, file: Path) -> Lines:
    """Rows of a table that are not empty, all of one width.

    kind: csv or tsv. Raises: ValueError that names the line.
    """
    text = read_text(file)
    mark = re.match(r"sep=(.)\r?\n", text)  # Excel says it so
    own = mark[1] if mark else _OWN[kind]
    separator = own if mark else _separator(kind, text, file)
    rows = [
        (line, row)
        for line, row in _rows(text, separator, file, plain=kind == "tsv" and separator == own)
        if any(cell.strip() for cell in row)
    ][bool(mark) :]
    for line, row in rows:
        if len(row) != len(rows[0][1]):
            raise ValueError(
                f"{file}, line {line} has {len(row)} cells, the first {len(rows[0][1])}: a cell "
                f"that holds {separator!r} needs quotes, and none may be missing"
            )
    return rows


def _separator(kind: str, text: str, file: Path) -> str:
    """What separates the cells: that of the kind, unless another makes a table and it does not."""
    for separator in (_OWN[kind], *_OTHERS):
        plain = kind == "tsv" and separator == "\t"
        try:
            first = list(itertools.islice(_rows(text, separator, file, plain=plain), _SEEN))
        except ValueError:
            continue
        widths = {len(row) for _, row in first if any(cell.strip() for cell in row)}
        if len(widths) == 1 and widths != {1}:
            if separator != _OWN[kind]:
                log.warning("%s: cells are separated by %r", file, separator)
            return separator
    return _OWN[kind]


def _rows(text: str, separator: str, file: Path, *, plain: bool) -> Iterator[tuple[int, list[str]]]:
    """(line where it ends, cells) of each row. plain: quotes mean nothing."""
    lines = (line for line in _lines(text))
    if plain:
        for number, line in enumerate(lines, start=1):
            yield number, line.rstrip("\r\n").split(separator)
        return
    swap = re.search(r"\r(?!\n)", text) is not None
    if swap:
        lines = (re.sub(r"\r(?!\n)", _RETURN, line) for line in lines)
    limit = csv.field_size_limit(2**31 - 1)
    reader, last = csv.reader(lines, delimiter=separator, strict=True), 0
    try:
        for row in reader:
            yield reader.line_num, [c.replace(_RETURN, "\r") for c in row] if swap else row
            last = reader.line_num
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise ValueError(
                f"{file}, line {last + 1}: a quote that begins here is never closed"
            ) from error
        raise ValueError(
            f"{file}, lines {last + 1} to {reader.line_num}: {error}. A quote within a quoted cell "
            "is written twice"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends, of which \\n is the only one."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
