"""WAV files to arrays, and changes of their sample rate, with NumPy alone.

RIFF/WAVE as Microsoft and IBM describe it (1991): PCM of 8 bits (unsigned), 16, 24 and 32 bits, and
floats of 32 and 64 bits, also under the "extensible" header and as RF64. Anything compressed is
refused. Programs that write into a pipe do not know how long the sound will be, and announce 0 or
about 2 or 4 GiB: such a sound lasts to the end of the file.
"""

import math
import struct
from typing import NamedTuple

import numpy as np

from ssljax.data.corrupt import CorruptExample

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN = 2**31 - 2**16  # bytes: what is announced and not there is no length but a wish
_KNOWN = (b"fmt ", b"data", b"LIST", b"fact", b"bext", b"cue ", b"smpl", b"JUNK", b"id3 ", b"PEAK")
_FASTEST = 1_000_000  # samples a second
_ZEROS = 16  # zero crossings of the filter on each side of a sample
_FILTERS = 256  # made at once
_BETA = 9.0  # of its Kaiser window: about 90 dB
_ROLLOFF = 0.95  # where it begins to cut, in units of the lower of the two limits


class Wav(NamedTuple):
    """A WAV file before its samples are read. body: bytes of whole frames of all channels."""

    body: memoryview
    code: int
    channels: int
    rate: int
    bits: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.body) // (self.channels * self.bits // 8) / self.rate


def read_wav(data: bytes, name: str) -> tuple[np.ndarray, int]:
    """(samples float32 [N, channels], of whole numbers in [-1, 1); samples a second) of a file.

    Raises: CorruptExample with `name` and the reason.
    """
    wav = open_wav(data, name)
    return samples(wav, name), wav.rate


def open_wav(data: bytes, name: str) -> Wav:
    """The header of a file, and where its samples are. Raises: as `read_wav`."""
    if len(data) < 12 or data[:4] not in (b"RIFF", b"RF64") or data[8:12] != b"WAVE":
        raise CorruptExample(name, "not a WAV file (it does not begin with RIFF ... WAVE)")
    form: bytes | None = None
    large = None  # what RF64 announces for its samples
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        start = at + 8
        if kind == b"ds64" and size >= 16 and start + 16 <= len(data):
            large = struct.unpack_from("<Q", data, start + 8)[0]
        elif kind == b"fmt ":
            form = data[start : start + size]
        elif kind == b"data":
            if form is None:
                raise CorruptExample(name, "samples come before the header that describes them")
            size = large if large and size == 0xFFFFFFFF else size
            left = len(data) - start
            unknown = (left < size and size >= _UNKNOWN) or (not size and not _chunks(data, start))
            if left < size and not unknown:
                raise CorruptExample(name, f"cut off: {size} bytes announced, {left} there")
            if not unknown and (more := _samples_after(data, _end(data, start, size))):
                raise CorruptExample(
                    name, f"{more} bytes of samples come in a second piece: convert it into one"
                )
            body = memoryview(data)[start:] if unknown else memoryview(data)[start : start + size]
            return _described(body, form, name, whole=not unknown)
        at = _end(data, start, size)
    raise CorruptExample(name, "holds no samples")


def _end(data: bytes, start: int, size: int) -> int:
    """Where the next chunk begins: at an even place, but some programs forget to go there."""
    after = start + size
    return after if data[after : after + 4] in _KNOWN else after + size % 2


def _samples_after(data: bytes, at: int) -> int:
    """Bytes of samples in the chunks from here on."""
    found = 0
    while at + 8 <= len(data) and data[at : at + 4].isascii():
        size = struct.unpack_from("<I", data, at + 4)[0]
        found += size if data[at : at + 4] == b"data" else 0
        at = _end(data, at + 8, size)
    return found


def _chunks(data: bytes, at: int) -> bool:
    """Whether all from here to the end is chunks, as after the samples of an empty sound."""
    while at + 8 <= len(data):
        if not data[at : at + 4].isascii():
            return False
        at = _end(data, at + 8, struct.unpack_from("<I", data, at + 4)[0])
    return at in (len(data), len(data) + 1)


def _described(body: memoryview, form: bytes, name: str, *, whole: bool) -> Wav:
    if len(form) < 16:
        raise CorruptExample(name, "its header is cut off")
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", form)
    if code == _EXTENSIBLE and len(form) >= 26:
        code = struct.unpack_from("<H", form, 24)[0]
    known = channels and 0 < rate <= _FASTEST and bits and not bits % 8
    if not known or block != channels * bits // 8:
        raise CorruptExample(name, f"{channels} channels of {bits} bits at {rate} Hz make no sense")
    if not whole:  # a pipe may end in the middle of a frame
        body = body[: len(body) // block * block]
    if not body or len(body) % block:
        raise CorruptExample(name, f"{len(body)} bytes are no samples of {block} bytes each")
    return Wav(body, code, channels, rate, bits)


def samples(wav: Wav, name: str, *, most: int | None = None) -> np.ndarray:
    """Samples float32 [N, channels], at most the first `most` of each channel."""
    _, code, channels, _, bits = wav
    body = wav.body if most is None else wav.body[: most * channels * bits // 8]
    if code == _FLOAT and bits in (32, 64):
        x = np.frombuffer(body, f"<f{bits // 8}").astype(np.float32)
        if not np.isfinite(x).all():
            raise CorruptExample(name, "NaN or infinite samples")
    elif code == _PCM and bits == 8:
        x = (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128
    elif code == _PCM and bits in (16, 32):
        x = (np.frombuffer(body, f"<i{bits // 8}") / 2.0 ** (bits - 1)).astype(np.float32)
    elif code == _PCM and bits == 24:
        wide = np.zeros((len(body) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(
            -1, 3
        )  # the upper bytes: keeps the sign
        x = (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    else:
        raise CorruptExample(name, f"format {code} with {bits} bits: convert it to PCM or float")
    return x.reshape(-1, channels)


def resample(x: np.ndarray, rate: int, new: int) -> np.ndarray:
    """Samples [N] at `rate` Hz as samples [ceil(N new / rate)] float32 at `new` Hz.

    Band-limited interpolation (Smith, Gossett 1984): each new sample is a sum of the old ones times
    a Kaiser-windowed sinc that cuts at 0.95 of the lower Nyquist frequency.
    """
    if rate == new:
        return x.astype(np.float32)
    common = math.gcd(rate, new)
    up, down = new // common, rate // common
    cut = _ROLLOFF * min(1.0, up / down)
    half = math.ceil(_ZEROS / cut)
    size = -(-len(x) * up // down)
    padded = np.pad(x.astype(np.float64), (half, half + down + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    out = np.empty(size)
    # Output j lies j down / up old samples from the start: `up` different filters in turn.
    for phases in np.array_split(np.arange(min(up, size)), -(-min(up, size) // _FILTERS)):
        distance = np.arange(-half, half + 1) - ((phases * down % up) / up)[:, None]
        shape = np.i0(_BETA * np.sqrt(np.maximum(1 - (distance / (half + 1)) ** 2, 0)))
        filters = cut * np.sinc(cut * distance) * shape / np.i0(_BETA)
        for phase, weights in zip(phases, filters, strict=True):
            j = np.arange(phase, size, up)
            out[j] = windows[j * down // up] @ weights
    return out.astype(np.float32)
