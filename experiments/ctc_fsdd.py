"""Fine-tunes a run on spoken digits as letters, with CTC, beside the same network from scratch.

    python experiments/ctc_fsdd.py RUN

RUN is a run of `wav2vec2_fsdd.py` or `hubert_fsdd.py`. Both networks see the same few recordings of
each digit, spelled "zero" to "nine", under the same budget: Adam, 2e-3 with 10% warm-up and cosine
decay, batch 32, spans of frames hidden. Scored on takes 0 to 4: share of words that are right and
letters wrong over letters, by the best path, and words by beam search on the first 100.

Measured on two CPU cores shared with other jobs, 2026-11-28, one seed, last step, RUN of
`hubert_fsdd.py`, by the command below: 25.0% of the words right and 39.5% of the letters wrong
(from scratch: none right, 70.0% wrong); by beam search 34.0% of 100 words (none).
With 10 recordings of each digit, 200 steps and a rate of 5e-4 no word was right after pretraining.

    python experiments/ctc_fsdd.py RUN --labels 50 --steps 250
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ssljax import nets
from ssljax.losses.ctc import beam_search, silence
from ssljax.nets import MLP
from ssljax.runs.evaluation import untrained
from ssljax.runs.load import load_run
from ssljax.tasks import Transcript
from ssljax.views import hide_frames

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEXT = Transcript(letters="".join(sorted(set("".join(WORDS)))))
TARGETS = jnp.array([TEXT.encode(word, 5) for word in WORDS])
HEAD = MLP(widths=(TEXT.width,), norm=False)
BATCH = 32


def outputs(encoder, params, rows, key=None):
    """Logits [B, T, letters]; with a key in training mode, with spans of frames hidden."""
    x, mask = nets.audio_inputs(rows), None
    length = encoder.frames(x["length"])
    if key is not None:
        keys = jax.random.split(key, len(length))
        frames = encoder.frames(x["audio"].shape[1])
        mask = hide_frames(keys, length, frames=frames, prob=0.3, span=5).mask
    states = nets.apply_speech(encoder, params["encoder"], x, mask=mask, key=key).layers[-1]
    logits, _ = nets.apply(HEAD, params["head"], {}, states, train=False)
    return silence(logits, length)


def finetune(encoder, start, rows, *, steps, seed):
    """Parameters of encoder and head after `steps` steps on rows {"audio", "length", "label"}."""
    head, _ = nets.init(HEAD, jax.random.key(seed), jnp.zeros((1, 1, encoder.width)))
    params = {"encoder": start, "head": head}
    rate = optax.warmup_cosine_decay_schedule(0.0, 2e-3, max(1, steps // 10), steps)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))

    def loss(params, rows, key):
        target = TARGETS[rows["label"]]
        return jnp.mean(TEXT.loss(outputs(encoder, params, rows, key), target, 1.0))

    @jax.jit
    def step(params, opt, rows, key):
        value, grads = jax.value_and_grad(loss)(params, rows, key)
        updates, opt = tx.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt, value

    opt, rng = tx.init(params), np.random.default_rng(seed)
    for i in range(steps):
        at = rng.choice(len(rows["label"]), BATCH)
        key = jax.random.fold_in(jax.random.key(seed), i)
        params, opt, _ = step(params, opt, {k: v[at] for k, v in rows.items()}, key)
    return params


def score(encoder, params, test):
    """Words right, letters wrong, and words right by beam search on the first 100."""
    run = jax.jit(partial(outputs, encoder))
    found, right = {"accuracy": [], "letter_errors": []}, []
    for rows in test.once(100):
        logits = run(params, {k: rows[k] for k in ("audio", "length")})
        for name, values in TEXT.metrics(logits, TARGETS[rows["label"]]).items():
            found[name].extend(np.asarray(values)[rows["mask"]])
        if not right:
            best = [TEXT.decode(beam_search(row, beam=8)[0][0]) for row in logits]
            right = [word == WORDS[i] for word, i in zip(best, rows["label"])]
    return {name: float(np.mean(v)) for name, v in found.items()} | {"beam": float(np.mean(right))}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--labels", type=int, default=10, help="recordings of each digit")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    experiment, method, state, _, _ = load_run(options.run)
    reader = replace(experiment.reader, label=r"^(\d)_", test=r"_[0-4]\.wav$")
    train, test = replace(experiment, reader=reader).load()
    rng = np.random.default_rng(options.seed)
    groups = (np.flatnonzero(train.labels() == digit) for digit in range(10))
    few = train.take(np.concatenate([rng.permutation(g)[: options.labels] for g in groups]))
    rows = {k: few[k] for k in ("audio", "length", "label")}
    encoder = experiment.method.encoder.clone(feature_gradient=1.0)
    results = {}
    for name, one in (("pretrained", state), ("random", untrained(experiment, method, train))):
        start = method.backbone(one)[0]
        params = finetune(encoder, start, rows, steps=options.steps, seed=options.seed)
        results[name] = score(encoder, params, test)
        print(name, *(f"{key} {value:.3f}" for key, value in results[name].items()), flush=True)
    return results


if __name__ == "__main__":
    main()
