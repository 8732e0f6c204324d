"""`ssljax sample --out`: melodies of a run as MIDI files."""

import re

import numpy as np
import pytest
from PIL import Image

from ssljax import Cadence, Experiment
from ssljax.cli.commands import main
from ssljax.data import Midi
from ssljax.data.midi_file import Note, read_midi, write_midi
from ssljax.methods import MusicVAE
from ssljax.nets import MelodyDecoder, MelodyEncoder
from ssljax.probes import table
from ssljax.runs.compose import compose
from ssljax.runs.run import run


def test_a_run_writes_melodies(tmp_path, capsys):
    for i in range(10):
        notes = [Note(240 * k, 240 * k + 200, 55 + (i + k) % 12) for k in range(32)]
        (tmp_path / f"{i}.mid").write_bytes(write_midi(notes))
    experiment = Experiment(
        method=MusicVAE(
            encoder=MelodyEncoder(width=4, code=3),
            decoder=MelodyDecoder(steps=16, width=4, layers=1),
        ),
        reader=Midi(bars=1, held=0.2),
        data=f"midi:{tmp_path}",
        steps=2,
        batch=8,
        cadence=Cadence(monitor=0),
    )
    folder, out = tmp_path / "run", tmp_path / "out"
    evaluation = run(experiment, folder)["evaluation"]
    found = evaluation["encoders"]["trained"]
    # What a code costs, in nats, is told as it is, not as a share.
    row = re.search(r"^heldout_kl +(\S+)", table(evaluation), re.MULTILINE)
    assert float(row[1]) == round(found["heldout_kl"], 1)
    assert 0 <= found["heldout_sampled_accuracy"] <= 1 and found["heldout_loss"] > 0
    assert {"views", "interpolations", "samples"} <= set(np.load(folder / "report.npz"))
    main(["sample", str(folder), "--out", str(out), "--count", "2", "--seed", "3"])
    assert "sample_1.mid, sample_2.mid, between.mid, sample.png" in capsys.readouterr().out
    for name, melodies in (("sample_1", 1), ("sample_2", 1), ("between", 8)):
        score = read_midi((out / f"{name}.mid").read_bytes(), name)
        assert score.end <= melodies * 16 * 120
        assert all(n.start % 120 == 0 and 21 <= n.pitch <= 108 for n in score.notes)
    assert Image.open(out / "sample.png").size == (2 * 96, 96)
    assert Image.open(out / "between.png").size == (8 * 96, 96)
    before = (out / "sample_1.mid").read_bytes()
    compose(folder, out, count=2, seed=3)
    assert (out / "sample_1.mid").read_bytes() == before
    for arguments, said in (
        (["--out", f"{out}.wav", "--prompt", "x"], "melodies take no text"),
        (["--out", str(out), "--count", "0"], "must be at least 1"),
        ([], "--out FOLDER"),
    ):
        with pytest.raises(SystemExit):
            main(["sample", str(folder), *arguments])
        assert said in capsys.readouterr().err
