"""Methods of music, small: melodies of 8 events."""

import numpy as np
from laws import Case

from ssljax.methods import MusicVAE
from ssljax.nets import MelodyDecoder, MelodyEncoder

STEPS, EVENTS = 8, 90


def melodies(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    note, other = (rng.integers(*ends, (size, STEPS)) for ends in ((30, 60), (0, 2)))
    return {
        "melody": np.where(rng.random(note.shape) < 0.5, note, other).astype(np.int32),
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
}
