"""Music on a grid of sixteenths: melodies as events, chords as rolls, and melodies back as notes.

An event of a melody is what happens at a sixteenth, one of 90:

    0        nothing: what sounds goes on, and so does silence
    1        the note ends
    2 to 89  a note begins: the 88 keys of a piano, from MIDI pitch 21 on
"""

from typing import NamedTuple

import numpy as np

from ssljax.data.corrupt import CorruptExample
from ssljax.data.midi_file import DRUMS, Note, Score

HOLD, OFF, FIRST = 0, 1, 2
KEYS, LOWEST = 88, 21
EVENTS = KEYS + FIRST
BAR = 16
"""Sixteenths of a bar of 4/4."""
_LONGEST = 2**18  # sixteenths: no piece has more, a broken file may say so


class Grid(NamedTuple):
    """A piece by sixteenths."""

    start: np.ndarray
    """int [N], where each note begins, in order; of one start the higher pitch last."""
    end: np.ndarray
    """int [N], above start."""
    pitch: np.ndarray
    """int [N], 21 to 108."""
    bars: np.ndarray
    """int [K], where bars begin, up to the end of the piece."""
    moved: int
    """Notes that began an eighth of a sixteenth or more beside the grid."""
    outside: int
    """Notes that no piano has, which are left out."""


def on_grid(score: Score, name: str) -> Grid:
    """The notes of a score by sixteenths, without drums.

    A note that is shorter than a sixteenth lasts one. Raises: CorruptExample for a score without
    notes, which says what it has.
    """
    if not score.notes:
        what = "tempos and time signatures alone" if score.tempos or score.meters else "no notes"
        raise CorruptExample(name, f"it holds {what}")
    notes = [n for n in score.notes if n.channel != DRUMS]
    if not notes:
        raise CorruptExample(name, "it holds drums alone")
    tick = score.division / 4
    if max(n.end for n in notes) > _LONGEST * tick:
        raise CorruptExample(name, f"it is longer than {_LONGEST:,} sixteenths: is its time right?")
    piano = [n for n in notes if LOWEST <= n.pitch < LOWEST + KEYS]
    if not piano:
        raise CorruptExample(name, "no note of it is one of the 88 of a piano")
    exact = np.array([n.start for n in piano]) / tick
    start = np.round(exact).astype(int)
    end = np.maximum(np.round(np.array([n.end for n in piano]) / tick).astype(int), start + 1)
    pitch = np.array([n.pitch for n in piano])
    order = np.lexsort((pitch, start))
    moved = int((np.abs(exact - start) >= 0.125).sum())
    bars = _bars(score, int(end.max()))
    return Grid(start[order], end[order], pitch[order], bars, moved, len(notes) - len(piano))


def _bars(score: Score, end: int) -> np.ndarray:
    """Where bars begin. A new time signature begins one."""
    tick = score.division / 4
    meters = [(m.tick / tick, BAR * m.numerator / m.denominator) for m in score.meters]
    if not meters or meters[0][0] > 0:
        meters = [(0.0, float(BAR)), *meters]
    found: list[float] = []
    for (first, size), (until, _) in zip(meters, [*meters[1:], (end, 0.0)], strict=True):
        found.extend(np.arange(first, min(until, end), max(size, 0.25)))
    return np.unique(np.round(found).astype(int))


def melody(grid: Grid) -> tuple[np.ndarray, np.ndarray, int]:
    """One voice of a piece: (pitch that sounds at each sixteenth, int [S], 0 for none; whether a
    note begins there, bool [S]; notes that are not heard as they are written).

    Of notes that begin together the highest counts, and a note ends where the next begins.
    """
    last = np.append(grid.start[1:] != grid.start[:-1], True)  # the highest of those that begin
    start, pitch = grid.start[last], grid.pitch[last]
    end = np.minimum(grid.end[last], np.append(start[1:], grid.end.max()))
    sounds = np.zeros(grid.end.max(), int)
    begins = np.zeros(len(sounds), bool)
    for first, until, key in zip(start, end, pitch, strict=True):
        sounds[first:until], begins[first] = key, True
    return sounds, begins, int((~last).sum() + (end < grid.end[last]).sum())


def events(sounds: np.ndarray, begins: np.ndarray, start: int, length: int) -> np.ndarray:
    """`length` events [T] from `start` on, of what `melody` gives; behind its end it is silent.

    They stand for themselves: a note that sounds already begins again, and silence is an end.
    """
    here = sounds[start : start + length]
    here = np.pad(here, (0, length - len(here)))
    new = np.pad(begins[start : start + length], (0, max(0, start + length - len(begins))))
    before = np.concatenate([[-1], here[:-1]])
    found = np.where(here > 0, here - LOWEST + FIRST, OFF)
    return np.where(new | (here != before), found, HOLD).astype(np.int32)


def notes_of(found: np.ndarray, *, ticks: int) -> list[Note]:
    """The notes of events [T]. ticks: of a sixteenth."""
    notes: list[Note] = []
    begun: tuple[int, int] | None = None  # start and pitch
    for i, event in enumerate([*np.asarray(found).tolist(), OFF]):
        if event == HOLD:
            continue
        if begun is not None:
            notes.append(Note(begun[0] * ticks, i * ticks, begun[1]))
        begun = (i, event - FIRST + LOWEST) if event >= FIRST else None
    return notes


def roll(grid: Grid) -> np.ndarray:
    """Which keys sound at each sixteenth, uint8 [S, 88]."""
    found = np.zeros((int(grid.end.max()), KEYS), np.uint8)
    for start, end, pitch in zip(grid.start, grid.end, grid.pitch, strict=True):
        found[start:end, pitch - LOWEST] = 1
    return found
