"""Scores an inpainting run on test images: PSNR and SSIM, beside fillings that learn nothing.

    python experiments/inpainting_score.py runs/inpainting_cifar10-... [--images 2000]

PSNR is over the hole alone and over the whole image, SSIM over the whole image, all as means over
images. Fillings: the mean colour of the data set; the mean of each image's own visible part; and
the method of Telea 2004 in OpenCV, where that is installed (pip install "ssljax[vision]").
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from ssljax.losses.quality import psnr, ssim
from ssljax.runs.load import load_run


def telea(images, mask):
    """OpenCV's filling of each image [N, H, W, C] in [0, 1] where mask [H, W], or None without
    it.
    """
    try:
        import cv2
    except ImportError:
        return None
    hole, filled = mask.astype(np.uint8), []
    for image in np.round(images * 255).astype(np.uint8):
        out = cv2.inpaint(image, hole, inpaintRadius=3, flags=cv2.INPAINT_TELEA)
        filled.append(out.reshape(image.shape) / 255)
    return np.stack(filled).astype(np.float32)


def numbers(images, filled, mask):
    """Means over images [N, H, W, C]."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return {
        "psnr of the hole": float(np.mean(psnr(images[box], filled[box]))),
        "psnr": float(np.mean(psnr(images, filled))),
        "ssim": float(np.mean(ssim(images, filled))),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--images", type=int, default=2000, help="test images")
    parser.add_argument("--experiment", help="its file, where it defines classes of its own")
    args = parser.parse_args()
    experiment, _, state, train, test = load_run(Path(args.run), file=args.experiment)
    method, view = experiment.method, experiment.method.view
    if not hasattr(method, "complete"):
        parser.error(f"{type(method).__name__} does not complete images: name an inpainting run")
    complete = jax.jit(lambda state, image: method.complete(state, {"image": image}))
    plain = jax.jit(lambda image: view.denormalize(view.plain(image)))
    images, drawn = [], []
    for rows in (test or train).once(250):
        images.append(np.asarray(plain(rows["image"]))[rows["mask"]])
        drawn.append(np.asarray(complete(state, rows["image"]))[rows["mask"]])
        if sum(map(len, images)) >= args.images:
            break
    images, drawn = (np.concatenate(x)[: args.images] for x in (images, drawn))
    mask = np.asarray(method.mask(images.shape[1]))[0, :, :, 0]
    hole, visible = mask[None, :, :, None], images[:, ~mask].mean(axis=1)[:, None, None]
    fillings = {
        "context encoder": drawn,
        "mean of the data": np.where(hole, np.float32(view.mean), images),
        "mean of the image": np.where(hole, visible, images),
        "Telea (OpenCV)": telea(images, mask),
    }
    print(f"{len(images)} test images, a hole of {mask.any(1).sum()} x {mask.any(0).sum()} pixels")
    found = {"images": len(images)}
    for name, filled in fillings.items():
        if filled is None:
            print(f'{name:18s} not installed: pip install "ssljax[vision]"')
            continue
        found[name] = numbers(images, filled, mask)
        print(f"{name:18s} " + "   ".join(f"{k} {v:7.3f}" for k, v in found[name].items()))
    (Path(args.run) / "inpainting_score.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
