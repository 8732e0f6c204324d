"""Texts through rounds: tones for words, a linear head on two bands, a manifest at the end."""

import json
import wave

import numpy as np
import pytest

from ssljax.cli import commands as cli

SOURCE = '''
import flax.linen as nn
import jax.numpy as jnp

from ssljax import Optimizer, SelfTraining
from ssljax.data import Audio, Strings
from ssljax.nets import SpeechOutputs, mean_frames
from ssljax.pseudolabels.refine import Weigh
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.tasks import SoundInput, Task, Transcript
from ssljax.views import LogMel, MelFrames


class Bands(nn.Module):
    """The frames themselves: each tone is in a band of its own."""

    def outputs(self, x, train=False):
        real = jnp.arange(x["mel"].shape[1]) < x["length"][:, None]
        return SpeechOutputs(x["mel"], x["mel"], [x["mel"]], real)

    def __call__(self, x, train=False):
        outputs = self.outputs(x)
        return mean_frames(outputs.layers[-1], outputs.real)


SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=SoundInput(frames=MelFrames(mel=LogMel(rate=8000, window=80, hop=80, mels=6))),
            encoder=Bands(),
            target=Transcript(letters="ab ", least=2),
        ),
        optimizer=Optimizer(name="adamw", learning_rate=0.1, per_batch=None, weight_decay=0.0),
        steps=60,
        batch=8,
    ),
    reader=Strings(
        audio=Audio(rate=8000, seconds=0.05, label=r"^(\\d)_", test=r"_0\\.wav$"),
        words=("a", "b"),
        letters="ab ",
        count=(2, 3),
        gap=(0.02, 0.03),
        seconds=0.3,
        train=16,
        test=4,
    ),
    few=6,
    rounds=Rounds(count=1, select=Greedy(budget=5), refine=(Weigh(),)),
    seeds=(0,),
)
'''


def tone(path, hertz):
    """400 samples of a sine at 8 kHz, as a WAV file."""
    x = np.rint(20000 * np.sin(2 * np.pi * hertz * np.arange(400) / 8000)).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, len(x), "NONE", ""))
        out.writeframes(x.tobytes())


@pytest.mark.turns
def test_rounds_of_texts(tmp_path):
    (tmp_path / "words").mkdir()
    for k, hertz in enumerate((500, 2500)):
        for take in range(2):
            tone(tmp_path / "words" / f"{k}_ann_{take}.wav", hertz)
    file, run, out = (tmp_path / name for name in ("mine.py", "run", "labels.jsonl"))
    file.write_text(SOURCE)
    cli.main(
        ["selftrain", str(file), "--data", f"audio:{tmp_path / 'words'}", "--workdir", str(run)]
    )
    results = json.loads((run / "results.json").read_text())
    assert results["measure"]["key"] == "wer"
    first, last = results["seeds"][0]["rounds"]
    assert first["test"]["score"] == first["test"]["wer"]
    assert last["test"]["cer"] < 1  # some letters are heard in so few steps
    assert last["quality"]["coverage"] == 0.5 and last["quality"]["f1"] > 0  # 5 of 10
    cli.main(["label", str(run), "--experiment", str(file), "--out", str(out)])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 16 and all(0.1 < row["duration"] <= 0.3 for row in rows)
    sure = np.array([row["confidence"] for row in rows])
    assert (sure == 1).sum() >= 6  # what was given
    assert all(len(row["text"]) >= 2 for row in rows if row["confidence"] > 0)
