"""Scores the samples of a run that can draw images (GAN, VAE), by a classifier of our own.

    python experiments/gan_score.py runs/gan_mnist-... [--samples 10000] [--steps 1000]

Trains a small classifier on the labelled training data of the run, then prints, for as many images
from each source as the test split has (or --samples): the Frechet distance to the test images in
the classifier's last features, the share of each class, the entropy of those shares and the mean
confidence. Two lines bound the scale: real training images (what perfect samples would score) and
uniform noise. These are NOT the FID of papers, whose features are those of Inception v3.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from ssljax.nets import SmallConv
from ssljax.probes.frechet import frechet_distance
from ssljax.probes.judge import train_judge
from ssljax.runs.load import load_run
from ssljax.views import plain_only

_CHUNK = 500


def real(dataset, count):
    """The first `count` images of a data set, uint8."""
    rows = np.concatenate([b["image"][b["mask"]] for b in _until(dataset.once(512), count)])
    return rows[:count]


def _until(batches, count):
    seen = 0
    for batch in batches:
        yield batch
        seen += int(batch["mask"].sum())
        if seen >= count:
            return


def drawn(method, state, count, *, seed):
    """`count` samples of a method, float in [0, 1]."""
    sample = jax.jit(lambda state, key: method.sample(state, key, count=_CHUNK))
    keys = jax.random.split(jax.random.key(seed), -(-count // _CHUNK))
    return np.concatenate([np.asarray(sample(state, key)) for key in keys])[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--samples", type=int, default=10_000, help="images from each source")
    parser.add_argument("--steps", type=int, default=1000, help="training of the classifier")
    parser.add_argument("--seed", type=int, default=0, help="of the samples and the classifier")
    parser.add_argument("--experiment", help="its file, where it defines classes of its own")
    args = parser.parse_args()
    experiment, _, state, train, test = load_run(Path(args.run), file=args.experiment)
    if not hasattr(experiment.method, "sample"):
        parser.error(f"{type(experiment.method).__name__} draws no samples: name a GAN or a VAE")
    if test is None:
        parser.error(f"{experiment.data} has no test split to compare with")
    count = min(args.samples, len(test))
    view = plain_only(size=experiment.method.plain_view.size)
    net = SmallConv(widths=(32, 64, 128))
    judge = train_judge(train, net=net, view=view, steps=args.steps, seed=args.seed)

    held_out = real(test, count)
    labels = np.concatenate([b["label"][b["mask"]] for b in _until(test.once(512), count)])[:count]
    accuracy = np.mean(judge.classes(held_out).argmax(1) == labels)
    print(f"judge: {net}, {args.steps} steps, {accuracy:.2%} right on {count} test images")
    features = judge.features(held_out)
    noise = np.random.default_rng(args.seed).uniform(size=held_out.shape).astype(np.float32)
    sources = {
        "real (training split)": real(train, count),
        "samples": drawn(experiment.method, state, count, seed=args.seed),
        "noise": noise,
    }
    found = {"accuracy of the judge": float(accuracy), "images": count}
    for name, images in sources.items():
        classes = judge.classes(images)
        share = np.bincount(classes.argmax(1), minlength=classes.shape[1]) / len(classes)
        entropy = -(share[share > 0] * np.log(share[share > 0])).sum() / np.log(len(share))
        distance = frechet_distance(features, judge.features(images))
        found[name] = {"frechet": distance, "confidence": float(classes.max(1).mean())}
        found[name] |= {"class_entropy": float(entropy), "share": share.round(4).tolist()}
        print(
            f"{name:22s} Frechet {distance:9.3f}   confidence {classes.max(1).mean():.3f}   "
            f"class entropy {entropy:.3f} of 1   smallest share {share.min():.3f}"
        )
    (Path(args.run) / "gan_score.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
