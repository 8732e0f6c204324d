"""Standard MIDI files: notes, tempos and time signatures out of bytes, and notes into bytes.

Formats 0 and 1, whose time counts ticks of a quarter note. Running status, note-ons of velocity 0
and what else is allowed are read; events that are no music (lyrics, controllers, events of a maker)
are passed over. A file that ends too early is refused: half of a tune is another tune.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ssljax.data.corrupt import CorruptExample

DRUMS = 9
"""The channel of percussion, counted from 0: its pitches are instruments."""
_DIVISION = 480
_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}  # that follow a status


class Note(NamedTuple):
    """A note. start, end: ticks, end > start; pitch: 60 is the middle C; channel: 0 to 15."""

    start: int
    end: int
    pitch: int
    channel: int = 0


class Meter(NamedTuple):
    """A time signature from a tick on: numerator / denominator, such as 6/8."""

    tick: int
    numerator: int
    denominator: int


class Score(NamedTuple):
    """What a file says."""

    division: int
    """Ticks of a quarter note."""
    notes: list[Note]
    """Of all tracks, in order of their starts, the lower pitch first."""
    tempos: list[tuple[int, int]]
    """(tick, microseconds of a quarter note) in order; none: 500,000 from the start."""
    meters: list[Meter]
    """In order; none: 4/4 from the start."""
    end: int
    """The tick where the last track ends."""


def read_midi(data: bytes, name: str) -> Score:
    """What is in a file. name: what to call it. Raises: CorruptExample that says what is wrong."""
    if data[:4] != b"MThd" or len(data) < 14:
        kind = "a RIFF file, not a plain MIDI file" if data[:4] == b"RIFF" else "no MIDI file"
        raise CorruptExample(name, f"{kind}: it begins with {data[:4]!r}")
    size = int.from_bytes(data[4:8])
    form, tracks, division = (int.from_bytes(data[i : i + 2]) for i in (8, 10, 12))
    if form > 1:
        raise CorruptExample(name, f"MIDI of format {form}: only 0 and 1 are one piece of music")
    if division >= 0x8000 or division == 0:
        raise CorruptExample(name, "its time counts frames of a film, not parts of a quarter note")
    notes: list[Note] = []
    tempos: list[tuple[int, int]] = []
    meters: list[Meter] = []
    at, end, found = 8 + size, 0, 0
    while found < tracks and at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8])
        if at + 8 + size > len(data):
            raise CorruptExample(
                name, f"ends in the middle of a part: {at + 8 + size - len(data)} bytes are missing"
            )
        if kind == b"MTrk":  # other parts belong to programs that know them
            track = _Track(data[at + 8 : at + 8 + size], f"track {found + 1}", name)
            end = max(end, track.read(notes, tempos, meters))
            found += 1
        at += 8 + size
    if found < tracks:
        raise CorruptExample(name, f"announces {tracks} tracks and holds {found}")
    meters.sort(key=lambda m: m.tick)  # of two at one tick the later one counts
    return Score(
        division,
        sorted(notes, key=lambda n: n[:3:2]),
        sorted(tempos, key=lambda t: t[0]),
        meters,
        end,
    )


class _Track:
    """The bytes of a track, with the place up to which they are read."""

    def __init__(self, data: bytes, what: str, name: str) -> None:
        self.data, self.what, self.name, self.at = data, what, name, 0

    def fail(self, reason: str) -> CorruptExample:
        return CorruptExample(self.name, f"{self.what}, byte {self.at}: {reason}")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if self.at + count > len(self.data):
            raise self.fail("the track ends in the middle of an event")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        """A number of up to four bytes of seven bits each; the last has no high bit."""
        value = 0
        for _ in range(4):
            byte = self.take(1)[0]
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise self.fail("a number of more than four bytes")

    def read(self, notes: list[Note], tempos: list[tuple[int, int]], meters: list[Meter]) -> int:
        """Adds what the track holds; the tick where it ends."""
        tick, status = 0, None
        sounding: dict[tuple[int, int], list[int]] = {}  # (channel, pitch) -> starts
        while self.at < len(self.data):
            tick += self.number()
            first = self.take(1)[0]
            if first < 0x80:  # as the last one, whose status is left out
                if status is None:
                    raise self.fail("an event without a status")
                self.at -= 1
                first = status
            if first == 0xFF:
                kind, said = self.take(1)[0], self.take(self.number())
                if kind == 0x2F:
                    break
                if kind == 0x51 and len(said) == 3:
                    tempos.append((tick, int.from_bytes(said)))
                elif kind == 0x58 and len(said) >= 2:
                    if not said[0] or said[1] > 6:
                        raise self.fail(f"a time signature of {said[0]}/2^{said[1]}")
                    meters.append(Meter(tick, said[0], 2 ** said[1]))
                continue
            if first in (0xF0, 0xF7):
                self.take(self.number())
                continue
            if first > 0xF0:
                raise self.fail(f"an event 0x{first:02x}, which no file may hold")
            status, values = first, self.take(_BYTES[first >> 4])
            if max(values) > 0x7F:
                raise self.fail("a value above 127")
            key = (first & 0xF, values[0])
            if first >> 4 == 0x9 and values[1]:
                sounding.setdefault(key, []).append(tick)
            elif first >> 4 in (0x8, 0x9) and sounding.get(key):
                self._ended(notes, key, sounding[key].pop(0), tick)
        for key, starts in sounding.items():  # whoever wrote it forgot to stop them
            for start in starts:
                self._ended(notes, key, start, tick)
        return tick

    @staticmethod
    def _ended(notes: list[Note], key: tuple[int, int], start: int, tick: int) -> None:
        if tick > start:
            notes.append(Note(start, tick, pitch=key[1], channel=key[0]))


def write_midi(
    notes: Sequence[Note], *, division: int = _DIVISION, tempo: int = 500_000, velocity: int = 90
) -> bytes:
    """A file of format 0 with these notes.

    Args:
      division: ticks of a quarter note. tempo: microseconds of one. velocity: 1 to 127.
    """
    events = [(n.end, 0, bytes([0x80 | n.channel, n.pitch, 0])) for n in notes]
    events += [(n.start, 1, bytes([0x90 | n.channel, n.pitch, velocity])) for n in notes]
    body, last = b"\x00\xff\x51\x03" + tempo.to_bytes(3), 0
    for tick, _, event in sorted(events):  # what ends at a tick ends before the next begins
        body += _number(tick - last) + event
        last = tick
    body += b"\x00\xff\x2f\x00"
    head = b"MThd" + (6).to_bytes(4) + (0).to_bytes(2) + (1).to_bytes(2) + division.to_bytes(2)
    return head + b"MTrk" + len(body).to_bytes(4) + body


def _number(value: int) -> bytes:
    """As `_Track.number` reads it."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(reversed(found))
