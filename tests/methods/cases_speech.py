"""Speech, small: rows of 150 samples of noise and tones, most of them partly padding."""

import numpy as np
from laws import Case

from ssljax.methods import BestRQ, Data2VecAudio, FastSpeech, HuBERT, Wav2Vec2
from ssljax.nets import FrameWriter, MelEncoder, Quantizer, TextReader, Wav2Vec2Encoder
from ssljax.views import LogMel, MelFrames, WaveView

SPEECH_NET = Wav2Vec2Encoder(
    width=16,
    depth=1,
    heads=2,
    hidden=24,
    convs=((8, 10, 5), (8, 2, 2)),
    position_kernel=4,
    position_groups=2,
)
MEL_NET = MelEncoder(
    width=16, depth=1, heads=2, hidden=24, channels=4, position_kernel=4, position_groups=2
)
VIEW = WaveView(size=140, gain=3.0, sign=True)
SHARED = {"encoder": SPEECH_NET, "view": VIEW, "width": 8, "prob": 0.5, "span": 2}


def speech(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    at, label = np.arange(150), np.arange(size, dtype=np.int32) % 4
    tone = np.sin(at * (0.2 + 0.3 * label[:, None]) + rng.uniform(0, 6, (size, 1)))
    audio = tone * rng.uniform(0, 1, (size, 150)) + 0.1 * rng.normal(size=(size, 150))
    length = rng.integers(60, 151, size).astype(np.int32)
    length[:2] = 150, 20  # a recording of one frame
    return {
        "audio": np.where(at < length[:, None], audio, 0).astype(np.float32),
        "length": length,
        "label": label,
        "index": np.arange(size, dtype=np.int32),
    }


def said(size: int = 16) -> dict[str, np.ndarray]:
    """Recordings with texts of one to four letters, two of which nobody has written down."""
    rng = np.random.default_rng(1)
    text = rng.integers(1, 4, (size, 4)) * (np.arange(4) < rng.integers(1, 5, (size, 1)))
    text[2:4, 0] = -1
    return speech(size) | {"text": text.astype(np.int32)}


CASES = {
    "wav2vec2": Case(
        Wav2Vec2(quantizer=Quantizer(entries=5, width=6), negatives=4, **SHARED), speech
    ),
    "hubert": Case(HuBERT(rate=8000, clusters=(5, 4), layer=1, **SHARED), speech),
    "data2vec_audio": Case(
        Data2VecAudio(encoder=SPEECH_NET, view=VIEW, prob=0.5, span=2, top=1, tau_start=0.5), speech
    ),
    "best_rq": Case(
        BestRQ(
            encoder=MEL_NET,
            view=MelFrames(mel=LogMel(rate=8000, window=16, hop=5, mels=6), wave=VIEW),
            codes=7,
            width=3,
            prob=0.1,
            span=9,
        ),
        speech,
    ),
    "fastspeech": Case(
        FastSpeech(
            encoder=TextReader(letters=3, voices=4, width=8, depth=1, heads=2, hidden=12),
            decoder=FrameWriter(mels=6, width=8, depth=1, heads=2, hidden=12, kernel=4, groups=2),
            mel=LogMel(rate=8000, window=16, hop=5, mels=6),
            letters="abc",
        ),
        said,
    ),
}
