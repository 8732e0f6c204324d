"""How many spoken digits a recogniser hears right: real ones, resynthesised ones, spoken ones.

    python experiments/synthesis_score.py RUN

RUN is a run of `fastspeech_fsdd.py`. The recogniser, a transformer over log-mel frames that tells
ten words, learns from real recordings alone, those that the run learnt from. Scored are 300 real
recordings of takes 0 to 4; the same after Griffin's and Lim's algorithm has made sound of their
log-mel frames; and all words in all voices at five paces, spoken by the run.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ssljax import Optimizer
from ssljax.data import Arrays
from ssljax.data.strings import DIGITS
from ssljax.nets import MelEncoder
from ssljax.pseudolabels.labels import Labels
from ssljax.runs.load import load_run
from ssljax.selftraining.learners import Network
from ssljax.tasks import OneOf, SoundInput, Task
from ssljax.views import LogMel, MelFrames, SpecAugment, WaveView, sound_of

PACES = (0.8, 0.9, 1.0, 1.1, 1.2)
RECOGNISER = Network(
    task=Task(
        inputs=SoundInput(
            frames=MelFrames(
                mel=LogMel(rate=8000, window=200, hop=80, mels=40),
                wave=WaveView(snr=(15.0, 40.0)),
                augment=SpecAugment(bands=1, width=6, times=1, frames=10, share=0.2),
            )
        ),
        encoder=MelEncoder(
            width=96, depth=2, heads=4, hidden=256, channels=16, position_kernel=16
        ),
        target=OneOf(classes=10),
        dropout=0.1,
    ),
    optimizer=Optimizer(
        name="adamw", learning_rate=1e-3, per_batch=None, warmup=50, weight_decay=0.01, clip=1.0
    ),
    steps=300,
    batch=32,
)  # fmt: skip


def digits_of(text, letters):
    """int [N], the digit that each text [N, L] spells."""
    words = ["".join(letters[i - 1] for i in row if i > 0) for row in np.asarray(text)]
    return np.array([DIGITS.index(word) for word in words], np.int32)


def of_words(rows, digits):
    """Recordings with a digit as their label."""
    heard = {name: np.asarray(rows[name]) for name in ("audio", "length")}
    return Arrays(heard | {"label": digits}, classes=DIGITS)


def recogniser(data, index, digits, *, seed, folder):
    """A teacher that has heard the recordings `index` of `data` alone, whose digits are given."""
    learner = replace(RECOGNISER, batch=min(RECOGNISER.batch, len(index)))
    return learner.train(data, Labels.given(index, digits), Path(folder), seed=seed)


def right(teacher, rows, digits):
    """The share of recordings that it hears right."""
    guess = np.asarray(teacher.guess(of_words(rows, digits)).target)
    return float(np.mean((guess if guess.ndim == 1 else guess.argmax(1)) == digits))


def resynthesised(method, rows):
    """Recordings whose phases are made anew."""
    keys = jax.random.split(jax.random.key(0), len(rows["audio"]))
    frames, count = method.frames({name: jnp.asarray(rows[name]) for name in ("audio", "length")})
    again = jax.jit(jax.vmap(lambda x, n, k: sound_of(x, n, k, method.mel)))
    audio = np.asarray(again(method.level + method.scale * frames, count, keys))
    length = (np.asarray(count) - 1) * method.mel.hop + method.mel.window
    return {"audio": padded(audio, rows["audio"].shape[1]), "length": length.astype(np.int32)}


def spoken(method, state, letters, voices, samples):
    """(recordings of all words in all voices at five paces, their digits)."""
    texts = np.zeros((len(DIGITS), max(map(len, DIGITS))), np.int32)
    for row, word in zip(texts, DIGITS):
        row[: len(word)] = [1 + letters.index(c) for c in word]
    digit, voice = (x.ravel() for x in np.meshgrid(np.arange(10), np.arange(voices)))
    batch = {"text": texts[digit], "label": voice.astype(np.int32)}
    seconds, rate = samples / method.mel.rate, method.mel.rate
    speak = jax.jit(method.speak, static_argnames=("seconds", "pace"))
    made = [
        speak(state, jax.random.key(i), batch, seconds=round(seconds * rate) / rate, pace=pace)
        for i, pace in enumerate(PACES)
    ]
    audio = np.concatenate([padded(np.asarray(a), samples) for a, _ in made])
    length = np.concatenate([np.asarray(n) for _, n in made]).astype(np.int32)
    return {"audio": audio, "length": length}, np.tile(digit, len(PACES)).astype(np.int32)


def padded(audio, samples):
    """Rows of so many samples."""
    return np.pad(audio, ((0, 0), (0, samples - audio.shape[1])))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the recogniser")
    options = parser.parse_args(arguments)
    experiment, _, state, train, test = load_run(options.run)
    method, letters = experiment.method, experiment.method.letters
    known, rows = train.take(np.arange(len(train))), test.take(np.arange(len(test)))
    taught, truth = (digits_of(x["text"], letters) for x in (known, rows))
    with tempfile.TemporaryDirectory() as folder:
        data = of_words(known, taught)
        teacher = recogniser(data, np.arange(len(data)), taught, seed=options.seed, folder=folder)
    made, said = spoken(method, state, letters, len(train.classes), rows["audio"].shape[1])
    found = {
        "real": right(teacher, rows, truth),
        "resynthesised": right(teacher, resynthesised(method, rows), truth),
        "spoken": right(teacher, made, said),
    }
    print(json.dumps(found))
    return found


if __name__ == "__main__":
    main()
