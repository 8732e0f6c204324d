"""Scores a style-transfer run on test images: is the style taken over, is the content kept?

    python experiments/style_score.py runs/style_transfer-... [--images 2000] [--steps 1500]

Style distance: mean squared difference of Gram matrices to the style image, relative to that of the
untouched content, in the pixels and in the feature maps of a network with random weights that no
run has trained. Content: the share of results in which a classifier of our own, trained with labels
on digits in random colours, sees the digit of the content image; beside it, what it sees in the
untouched content and style images.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ssljax import nets
from ssljax.losses.style import gram
from ssljax.nets import SmallConv, StyleEncoder
from ssljax.probes.judge import train_judge
from ssljax.runs.load import load_run
from ssljax.views import view_batch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--images", type=int, default=2000, help="test images")
    parser.add_argument("--steps", type=int, default=1500, help="training of the classifier")
    parser.add_argument("--seed", type=int, default=0, help="of styles, classifier and features")
    parser.add_argument("--experiment", help="its file, where it defines classes of its own")
    args = parser.parse_args()
    experiment, _, state, train, test = load_run(Path(args.run), file=args.experiment)
    method = experiment.method
    if not hasattr(method, "transfer"):
        parser.error(f"{type(method).__name__} transfers no style: name a run of AdaIN")
    judge = train_judge(
        train,
        net=SmallConv(widths=(32, 64, 128)),
        view=method.content,
        augment=lambda key, images: view_batch(method.style, key, images),
        steps=args.steps,
        seed=args.seed,
    )
    probe = StyleEncoder(widths=(32, 64))
    root = jax.random.key(args.seed)
    size = (1, method.content.size, method.content.size, 3)
    weights, _ = nets.init(probe, root, jnp.zeros(size))

    def grams(x):
        maps = nets.apply(probe, weights, {}, x, train=False, method="levels")[0]
        return [gram(level) for level in (x, *maps)]

    @jax.jit
    def run(state, key, image):
        c = method.content.plain(image)
        s = view_batch(method.style, key, jnp.roll(image, 1, axis=0))
        shown = {
            "content": method.content.denormalize(c),
            "style": method.style.denormalize(s),
            "result": method.transfer(state, c, s),
        }
        found = {name: grams(x) for name, x in shown.items()}

        def distance(name):
            pairs = zip(found[name], found["style"], strict=True)
            return jnp.stack([jnp.mean((a - b) ** 2) for a, b in pairs])

        return shown, distance("content"), distance("result")

    hits, before, after, labels = {}, 0.0, 0.0, []
    for i, rows in enumerate((test or train).once(250)):
        if not rows["mask"].all() or len(labels) * 250 >= args.images:
            break
        shown, b, a = run(state, jax.random.fold_in(root, i), rows["image"])
        before, after = before + np.asarray(b), after + np.asarray(a)
        for name, x in shown.items():
            hits.setdefault(name, []).append(judge.classes(np.asarray(x)).argmax(1))
        labels.append(rows["label"])
    truth = np.concatenate(labels)
    kept = {name: float(np.mean(np.concatenate(x) == truth)) for name, x in hits.items()}
    relative = (after / before).tolist()
    places = ["pixels", "level 1", "level 2"]
    print(f"{len(truth)} test images; style distance of the untouched content = 1")
    print("   ".join(f"{p} {r:.3f}" for p, r in zip(places, relative, strict=True)))
    print(
        f"digit of the content seen in: the content {kept['content']:.1%}, "
        f"the result {kept['result']:.1%}, the style image {kept['style']:.1%} (chance)"
    )
    found = {"images": len(truth), "content_seen_in": kept}
    found["relative_style_distance"] = dict(zip(places, relative, strict=True))
    (Path(args.run) / "style_score.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
