"""Sound: WAV files of 16 bits, and a section of the page that plays them."""

import base64
import io
import wave

import numpy as np

from ssljax.report.page import section

_NAMES = ("recording", "its frames as sound", "spoken")


def wav_of(audio: np.ndarray, rate: int) -> bytes:
    """A WAV file of samples [T] in [-1, 1], 16 bits, one channel; what is louder is clipped."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(rate))
        whole = np.round(np.clip(np.nan_to_num(audio), -1, 1) * 32767).astype("<i2")
        file.writeframes(whole.tobytes())
    return stream.getvalue()


def sound_section(arrays: dict[str, np.ndarray]) -> str:
    """Players of `sounds` [n, 3, T] at `rate`: recordings, those again from their frames, and the
    same words spoken; "" where there are none."""
    if "sounds" not in arrays:
        return ""
    rate, rows = int(arrays["rate"]), []
    for sounds in arrays["sounds"]:
        players = "".join(
            f"<figure><small>{name}</small>{_player(x, rate)}</figure>"
            for name, x in zip(_NAMES, sounds, strict=True)
        )
        rows.append(f'<div class="strip">{players}</div>')
    note = (
        "Each row: a recording, its log-mel frames as sound again, and "
        "its text spoken in the same voice. The pictures below are of the last two, in this order."
    )
    body = f'<p class="note">{note}</p><div class="sheet">{"".join(rows)}</div>'
    return section("Sounds", body)


def _player(audio: np.ndarray, rate: int) -> str:
    heard = np.flatnonzero(np.abs(audio) > 1e-4)  # silence at the end is not worth its bytes
    data = base64.b64encode(wav_of(audio[: heard.max(initial=0) + 1], rate)).decode()
    return f'<audio controls preload="none" src="data:audio/wav;base64,{data}"></audio>'
