"""What lies below a folder or in a zip, told by its names alone.

Links to folders and files are followed, except those that lead back to where one comes from. A part
of a name that begins with a dot is nothing, and so are the leavings of operating systems. What is
left out is counted and named.
"""

import logging
import os
import stat
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ssljax.data.split_names import SPLITS, normal

log = logging.getLogger("ssljax")
_JUNK = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin"),
    *("system volume information", "lost+found", "__pycache__"),
}


class Found(NamedTuple):
    """names: the files that are wanted, sorted; left: what is not, by reason."""

    names: list[str]
    left: dict[str, list[str]]

    def say(self, what: str) -> None:
        """One line about what is left out of the data `what`, where there is something."""
        parts = [
            f"{len(names):,} {reason} ({_some(names)})"
            for reason, names in sorted(self.left.items())
            if names
        ]
        if parts:
            log.warning("%s: not read: %s", what, "; ".join(parts))


def find(place: str, *, kind: str, suffixes: Collection[str], what: str) -> Found:
    """The files with these endings below a folder or in a zip.

    kind, what: how messages call the data and its files.
    Raises: FileNotFoundError or ValueError where there are none, or names are no text.
    """
    path = Path(place)
    if path.is_dir():
        names, folders, left = _below(path)
    elif path.is_file() and path.suffix.lower() == ".zip":
        names, folders, left = _inside(path, kind)
    else:
        found = "this is a file" if path.exists() else "there is nothing there"
        raise FileNotFoundError(f"{kind}:{place} must be a folder or a .zip, but {found}")
    if strange := [name for name in names if not _is_text(name)]:
        raise ValueError(
            f"{kind}:{place}: {len(strange):,} name(s) are not UTF-8 ({_some(strange)}): rename "
            "the files, as with convmv -f latin1 -t utf8"
        )
    kept = []
    for name in names:
        if hidden(name):
            left.setdefault("hidden", []).append(name)
        elif name.lower().endswith(tuple(suffixes)):
            kept.append(name)
        else:
            ending = PurePosixPath(name).suffix.lower() or "without an ending"
            left.setdefault(ending, []).append(name)
    if not kept:
        found = Found(kept, left)
        found.say(f"{kind}:{place}")
        raise ValueError(f"{kind}:{place} holds no {what} ({', '.join(sorted(suffixes))})")
    full = {str(parent) for name in kept for parent in PurePosixPath(name).parents}
    empty = [f for f in folders if f not in full and str(PurePosixPath(f).parent) in full]
    if empty := [f for f in empty if not hidden(f)]:
        left[f"folder(s) without {what}"] = sorted(empty)
    return Found(sorted(kept), left)


def hidden(name: str) -> bool:
    """Whether a part of a name says that the file is nobody's data."""
    parts = PurePosixPath(name).parts
    return any(p.lower() in _JUNK or (p[0] == "." and p not in (".", "..")) for p in parts)


def layout(files: list[str], what: str) -> dict[str, tuple[str, str]]:
    """(split, class) of each file: the class is the folder directly below the split, or the root.

    Folders that hold everything, such as the one at the root of most zips, are no class. The class
    is "" for a file outside of class folders.
    Raises: ValueError where it is unclear which files belong to a split.
    """
    # What climbs, or starts at the root, is no folder of the data.
    parts = {f: tuple(p for p in PurePosixPath(f).parts if p not in ("/", "..")) for f in files}
    depth = 0
    while len(tops := {p[depth] if len(p) > depth + 1 else "" for p in parts.values()}) == 1:
        if "" in tops or normal(next(iter(tops))) in SPLITS:
            break
        depth += 1
    named = {t for t in tops if normal(t) in SPLITS}
    others = sorted(tops - named)
    if named and others:
        flat = all(len(p) == depth + 2 for p in parts.values() if p[depth] in named)
        if len(named) > 1 or "" in others or not flat:
            where = ", ".join(f"{t}/" if t else "beside them" for t in others[:5])
            raise ValueError(
                f"{what} has the split folders {', '.join(sorted(named))} and also files "
                f"elsewhere ({where}): move those away, or name one folder, as in "
                f"{what}/{min(named)}"
            )
        named = set()  # a class that is called train, among other vehicles
    below = {normal(p[depth + 1]) if len(p) > depth + 2 else "" for p in parts.values()}
    if not named and len(tops) > 1 and len(below) > 1 and below <= set(SPLITS):
        raise ValueError(
            f"{what} has the splits {', '.join(sorted(below))} inside of the classes "
            f"{_some(sorted(tops))}: move them, so that each split holds its classes"
        )
    first = depth + bool(named)
    return {
        f: (normal(p[depth]) if named else "train", p[first] if len(p) > first + 1 else "")
        for f, p in parts.items()
    }


def _below(root: Path) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """(files, folders, what is left out) below a folder, as names from it."""
    files: list[str] = []
    folders: list[str] = []
    left: dict[str, list[str]] = {}
    top = os.path.realpath(root)
    # A folder -> the real places on the way to it.
    real: dict[str, tuple[str, ...]] = {str(root): (top,)}

    def fail(error: OSError) -> None:
        raise ValueError(f"{error.filename} cannot be read: {error.strerror}") from error

    for here, inside, names in os.walk(root, followlinks=True, onerror=fail):
        way = real.pop(here)
        for name in list(inside):
            path = os.path.join(here, name)
            place = os.path.realpath(path) if os.path.islink(path) else f"{way[-1]}/{name}"
            called = Path(path).relative_to(root).as_posix()
            if any(p == place or p.startswith(place.rstrip("/") + "/") for p in way):
                left.setdefault("link(s) that lead back", []).append(called)
                inside.remove(name)
            elif hidden(name):
                left.setdefault("hidden", []).append(f"{called}/")
                inside.remove(name)
            else:
                real[path] = (*way, place)
                folders.append(called)
        for name in names:
            path = Path(here, name)
            if path.is_file():
                files.append(path.relative_to(root).as_posix())
            else:
                reason = "link(s) to nothing" if path.is_symlink() else "special file(s)"
                left.setdefault(reason, []).append(path.relative_to(root).as_posix())
    return files, folders, left


def _inside(path: Path, kind: str) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """The same of a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{kind}:{path} is not a readable zip: {error}") from error
    left: dict[str, list[str]] = {}
    files: dict[str, None] = {}
    for member in members:
        name = member.filename
        if "\\" in member.orig_filename:
            raise ValueError(
                f"{kind}:{path} names its members with backslashes ({member.orig_filename}), which "
                "makes no folders: pack it again"
            )
        if member.is_dir():
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            left.setdefault("link(s) inside of a zip", []).append(name)
        elif name in files:
            left.setdefault("member(s) of one name", []).append(name)
        else:
            files[name] = None
    folders = [m.filename.rstrip("/") for m in members if m.is_dir()]
    return list(files), folders, left


def _some(names: list[str]) -> str:
    few = (name.encode("utf-8", "backslashreplace").decode() for name in names[:3])
    return ", ".join(few) + (", ..." if len(names) > 3 else "")


def _is_text(name: str) -> bool:
    """Whether a name can be written to a file of labels, a report or a terminal."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
