"""Melodies from a run of MusicVAE as MIDI files: new ones, and the way from one to another."""

import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from ssljax.data.melody import notes_of
from ssljax.data.midi_file import Note, write_midi
from ssljax.files import atomically
from ssljax.nets import slerp
from ssljax.selftraining.teachers import load_any
from ssljax.views import piano_rolls

log = logging.getLogger("ssljax")
_SIXTEENTH = 120  # ticks, of 480 a quarter note
_BETWEEN = 8


def compose(
    folder: Path,
    out: Path,
    *,
    count: int = 8,
    temperature: float = 0.5,
    seed: int = 0,
    file: str | None = None,
) -> list[Path]:
    """Writes sample_1.mid and so on, between.mid, in which eight melodies after one another lead
    from one of the test data to another (of training data without any), and their piano rolls as
    sample.png and between.png.

    out: a folder; files of these names that are there are replaced. temperature: of new melodies;
    0 takes the likeliest events. file: the experiment file, where the run uses a class of it.
    Raises: ValueError for a run that writes no melodies, or settings that make no sense.
    """
    if count < 1 or temperature < 0:
        raise ValueError(
            f"count {count} must be at least 1, temperature {temperature} not negative"
        )
    experiment, _, state, train, test = load_any(folder, file=file)
    recipe = experiment.method
    if recipe.compose is None:
        raise ValueError(f"{folder} writes no melodies: train MusicVAE first")
    keys, width = jax.random.split(jax.random.key(seed), 3), recipe.encoder.code
    write = jax.jit(recipe.compose, static_argnames="temperature")
    codes = jax.random.normal(keys[0], (count, width))
    new = np.asarray(write(state, keys[1], codes, temperature=temperature))
    data = train if test is None else test
    pair = data.take(np.random.default_rng(seed).choice(len(data), 2))
    ends = recipe.embed(state, {k: jnp.asarray(v) for k, v in pair.items()})
    arc = slerp(ends[:1], ends[1:], count=_BETWEEN)[0]
    between = np.asarray(write(state, keys[2], arc, temperature=0.0))
    log.info("between.mid leads from %s to %s", *(data.names[i] for i in pair["index"]))
    tunes = {f"sample_{i}.mid": events[None] for i, events in enumerate(new, 1)}
    made = [
        _midi(out / name, events) for name, events in (tunes | {"between.mid": between}).items()
    ]
    return [*made, _picture(out / "sample.png", new), _picture(out / "between.png", between)]


def _midi(path: Path, melodies: np.ndarray) -> Path:
    """Melodies [N, T] after one another; a note that sounds at the end of one ends there."""
    notes = []
    for i, events in enumerate(melodies):
        first = i * len(events) * _SIXTEENTH
        for note in notes_of(events, ticks=_SIXTEENTH):
            notes.append(Note(first + note.start, first + note.end, note.pitch))
    atomically(path, lambda fresh: fresh.write_bytes(write_midi(notes)))
    return path


def _picture(path: Path, melodies: np.ndarray) -> Path:
    """Their piano rolls beside each other."""
    rolls = np.asarray(piano_rolls(jnp.asarray(melodies)))
    sheet = np.concatenate(list(rolls), axis=1)
    whole = Image.fromarray(np.round(sheet * 255).astype(np.uint8))
    atomically(path, lambda fresh: whole.save(fresh, format="png"))
    return path
