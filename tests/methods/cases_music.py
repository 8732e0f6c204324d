"""Methods of music, small: melodies of 8 events, rolls of 6 frames."""

import numpy as np
from laws import Case

from ssljax.methods import MusicVAE, NextFrame
from ssljax.nets import LSTM, MelodyDecoder, MelodyEncoder

STEPS, EVENTS = 8, 90


def melodies(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    note, other = (rng.integers(*ends, (size, STEPS)) for ends in ((30, 60), (0, 2)))
    return {
        "melody": np.where(rng.random(note.shape) < 0.5, note, other).astype(np.int32),
        "label": (np.arange(size) % 4).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
    }


def rolls(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "frames": (rng.random((size, 6, 88)) < 0.05).astype(np.uint8),
        "steps": np.arange(6) < rng.integers(2, 7, (size, 1)),
        "label": (np.arange(size) % 4).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
    }


ENCODER = MelodyEncoder(width=5, code=3)
CASES = {
    "musicvae": Case(
        MusicVAE(
            encoder=ENCODER,
            decoder=MelodyDecoder(steps=STEPS, width=4, layers=2),
            half=2,
            anneal=2,
            free_bits=0.5,
        ),
        melodies,
    ),
    "musicvae_hierarchical": Case(
        MusicVAE(
            encoder=ENCODER,
            decoder=MelodyDecoder(steps=STEPS, width=4, layers=1, parts=2, conductor=3),
            half=0,
        ),
        melodies,
    ),
    "next_frame": Case(
        NextFrame(encoder=LSTM(width=4, both=False), semitones=2, dropout=0.2), rolls
    ),
}
