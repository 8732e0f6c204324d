"""`ssljax sample --prompt --out`: a text as a WAV file, and the page of its run with players."""

import base64
import re

import numpy as np
import pytest

from ssljax import Cadence, Experiment
from ssljax.cli.commands import main
from ssljax.data import Audio, Strings
from ssljax.data.wav import read_wav
from ssljax.methods import FastSpeech
from ssljax.nets import FrameWriter, TextReader
from ssljax.probes import Evaluation
from ssljax.report.sounds import wav_of
from ssljax.runs.run import run
from ssljax.views import LogMel


def test_a_run_speaks(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for word in (0, 1):
        for voice in ("ann", "bob"):
            for take in range(3):
                tone = 0.5 * np.sin((0.3 + word) * np.arange(60) + rng.uniform(0, 6))
                (tmp_path / f"{word}_{voice}_{take}.wav").write_bytes(wav_of(tone, 8000))
    small = {"width": 8, "depth": 1, "heads": 2, "hidden": 8}
    experiment = Experiment(
        method=FastSpeech(
            encoder=TextReader(letters=5, **small),
            decoder=FrameWriter(mels=6, kernel=4, groups=2, **small),
            mel=LogMel(rate=8000, window=16, hop=5, mels=6),
            letters="entow",
        ),
        reader=Strings(
            audio=Audio(rate=8000, seconds=0.01, label=r"^(\d)_", test=r"_0\.wav$"),
            words=("one", "two"),
            letters="entow",
            count=(1, 1),
            gap=(0.0, 0.001),
            seconds=0.02,
            train=12,
            test=4,
        ),
        data=f"audio:{tmp_path}",
        steps=2,
        batch=8,
        cadence=Cadence(monitor=0),
        evaluation=Evaluation(
            linear=None, knn=None, few_shot=None, clustering=None, retrieval=None
        ),
    )
    folder, out = tmp_path / "run", tmp_path / "out.wav"
    found = run(experiment, folder)["evaluation"]["encoders"]["trained"]
    assert found["heldout_mel_error"] > 0 and found["heldout_length_error"] > 0
    page = (folder / "report.html").read_text()
    sounds = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert len(sounds) == 3 * 8 and "media-src data:" in page
    first, rate = read_wav(base64.b64decode(sounds[0]), "first")
    stored = np.load(folder / "report.npz")["sounds"][0, 0]
    assert rate == 8000 and len(first) > 40
    np.testing.assert_allclose(first[:, 0], stored[: len(first)], atol=1e-4)
    assert np.abs(stored[len(first) :]).max(initial=0) <= 1e-4
    for voice in ("ann", "bob"):
        main(["sample", str(folder), "--prompt", "two", "--out", str(out), "--voice", voice])
        assert "out.wav holds 0.0" in (text := capsys.readouterr().out) and voice in text
        audio, rate = read_wav(out.read_bytes(), "out")
        assert rate == 8000 and len(audio) >= 16 and np.abs(audio).max() > 0
    for arguments, said in (
        (["--prompt", "six", "--out", str(out)], "'i' is none of the letters 'entow'"),
        (["--prompt", "", "--out", str(out)], "the prompt is empty"),
        (["--prompt", "one", "--out", str(out), "--voice", "cy"], "none of ann, bob"),
        (["--prompt", "one", "--out", str(tmp_path / "x.mp3")], "is a WAV file"),
        (["--out", str(out)], "writes no melodies"),
        (["--prompt", "one"], "speaks with --out FILE.wav"),
    ):
        with pytest.raises(SystemExit):
            main(["sample", str(folder), *arguments])
        assert said in capsys.readouterr().err


def test_what_is_written_is_what_is_read():
    x = np.array([0.0, 0.5, -0.25, 1.0, -1.0, 3.0, np.nan])
    found, rate = read_wav(wav_of(x, 11025), "x")
    assert rate == 11025 and found.shape == (7, 1)
    np.testing.assert_allclose(found[:, 0], [0, 0.5, -0.25, 1, -1, 1, 0], atol=1e-4)
