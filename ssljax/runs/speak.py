"""A text as a WAV file, spoken by a run of FastSpeech in one of its voices."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax.files import atomically
from ssljax.report.sounds import wav_of
from ssljax.selftraining.teachers import load_any

_SECONDS = 0.35  # a letter takes less


def speak(
    folder: Path,
    text: str,
    out: Path,
    *,
    voice: str | None = None,
    seed: int = 0,
    file: str | None = None,
) -> str:
    """Writes `out`, a WAV file that is replaced where it is there, and says what it holds.

    voice: a class of the data of the run; None: the first. seed: of the phases. file: the
    experiment file, where the run uses a class of it.
    Raises: ValueError for a run that does not speak, an unknown letter or voice, no text.
    """
    if out.suffix.lower() != ".wav":
        raise ValueError(f"--out {out} with a --prompt is a WAV file: call it {out.name}.wav")
    experiment, _, state, train, _ = load_any(folder, file=file)
    recipe: Any = experiment.method
    if recipe.speak is None:
        raise ValueError(f"{folder} does not speak: train FastSpeech first (melodies take no text)")
    unknown = sorted(set(text) - set(recipe.letters))
    if unknown or not text.strip():
        what = f"{unknown[0]!r} is none of the letters" if unknown else "the prompt is empty:"
        raise ValueError(f"{what} {recipe.letters!r} that this run can say")
    voices = list(train.classes or [""])
    if voice is not None and voice not in voices:
        raise ValueError(f"voice {voice!r} is none of {', '.join(voices)}")
    who = 0 if voice is None else voices.index(voice)
    batch = {
        "text": np.array([[1 + recipe.letters.index(c) for c in text]], np.int32),
        "label": np.array([who], np.int32),
    }
    seconds = _SECONDS * len(text) + 1
    audio, length = recipe.speak(state, jax.random.key(seed), batch, seconds=seconds)
    heard, rate = np.asarray(audio)[0, : int(length[0])], recipe.mel.rate
    atomically(out, lambda fresh: fresh.write_bytes(wav_of(heard, rate)))
    return f"{out} holds {len(heard) / rate:.2f} s{f' by {voices[who]}' if voices[who] else ''}"
