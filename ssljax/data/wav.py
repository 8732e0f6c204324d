"""WAV files to arrays, and changes of their sample rate, with NumPy alone.

RIFF/WAVE as Microsoft and IBM describe it (1991): PCM of 8 bits (unsigned), 16, 24 and 32 bits, and
floats of 32 and 64 bits, also under the "extensible" header. Anything compressed is refused.
"""

import math
import struct

import numpy as np

from ssljax.data.corrupt import CorruptExample

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ZEROS = 16  # zero crossings of the filter on each side of a sample
_BETA = 9.0  # of its Kaiser window: about 90 dB
_ROLLOFF = 0.95  # where it begins to cut, in units of the lower of the two limits


def read_wav(data: bytes, name: str) -> tuple[np.ndarray, int]:
    """(samples float32 [N, channels], of whole numbers in [-1, 1); samples a second) of a file.

    Raises: CorruptExample with `name` and the reason.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise CorruptExample(name, "not a WAV file (it does not begin with RIFF ... WAVE)")
    form: bytes | None = None
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = data[at + 8 : at + 8 + size]
        if kind == b"fmt ":
            form = body
        elif kind == b"data":
            if form is None:
                raise CorruptExample(name, "samples come before the header that describes them")
            if len(body) < size:
                raise CorruptExample(name, f"cut off: {size} bytes announced, {len(body)} there")
            return _samples(body, form, name)
        at += 8 + size + size % 2  # chunks begin at even places
    raise CorruptExample(name, "holds no samples")


def _samples(body: bytes, form: bytes, name: str) -> tuple[np.ndarray, int]:
    if len(form) < 16:
        raise CorruptExample(name, "its header is cut off")
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", form)
    if code == _EXTENSIBLE and len(form) >= 26:
        code = struct.unpack_from("<H", form, 24)[0]
    if not channels or not rate or bits % 8 or block != channels * bits // 8:
        raise CorruptExample(name, f"{channels} channels of {bits} bits at {rate} Hz make no sense")
    if not body or len(body) % block:
        raise CorruptExample(name, f"{len(body)} bytes are no samples of {block} bytes each")
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
    return x.reshape(-1, channels), rate


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
    for phase in range(min(up, size)):
        j = np.arange(phase, size, up)
        first = j * down // up
        distance = np.arange(-half, half + 1) - (phase * down % up) / up
        shape = np.i0(_BETA * np.sqrt(np.maximum(1 - (distance / (half + 1)) ** 2, 0)))
        out[j] = windows[first] @ (cut * np.sinc(cut * distance) * shape / np.i0(_BETA))
    return out.astype(np.float32)
