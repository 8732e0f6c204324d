"""U-Net: logits and names of segmentation-models-pytorch, the paper's sizes, and refused input."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.export.torch_names import unet_from_torch, unet_to_torch
from ssljax.nets import ResNet, UNetDecoder, UNetEncoder

torch = pytest.importorskip("torch")
F = torch.nn.functional


def trees(encoder, decoder, size=32):
    """(params, stats) of both, from random numbers."""
    image = jnp.zeros((1, size, size, 3))

    def init(key):
        first, second = jax.random.split(key)
        own = nets.init(encoder, first, image)
        levels, _ = nets.apply(encoder, *own, image, train=False, method="levels")
        return own, nets.init(decoder, second, levels)

    shapes = jax.eval_shape(init, jax.random.key(0))
    rng = np.random.default_rng(0)

    def draw(leaf):
        spread = 1 / np.sqrt(max(np.prod(leaf.shape[:-1]), 1)) if len(leaf.shape) > 1 else 0.3
        x = rng.normal(size=leaf.shape).astype(np.float32) * spread
        return np.float32(x if len(leaf.shape) > 1 else np.abs(x) + 0.5)

    (params, stats), (head, head_stats) = jax.tree.map(draw, shapes)
    return {"encoder": params, "head": head}, {"encoder": stats, "head": head_stats}


def logits(encoder, decoder, params, stats, x):
    levels, _ = nets.apply(
        encoder, params["encoder"], stats["encoder"], x, train=False, method="levels"
    )
    return nets.apply(decoder, params["head"], stats["head"], levels, train=False)[0]


def transcribed(t, x, blocks):
    """The forward pass of segmentation-models-pytorch's Unet on a ResNet of two-layer blocks, read
    off its documented structure, from a state dict."""
    t = {name: torch.from_numpy(np.asarray(v)) for name, v in t.items()}

    def conv(x, name, stride=1):
        w = t[f"{name}.weight"]
        return F.conv2d(x, w, t.get(f"{name}.bias"), stride=stride, padding=w.shape[-1] // 2)

    def norm(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(t[f"{name}.{p}"] for p in parts), training=False, eps=1e-5)

    x = torch.relu(norm(conv(x, "encoder.conv1", 2), "encoder.bn1"))
    found = [x]
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(blocks, start=1):
        for i in range(count):
            name, stride = f"encoder.layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1
            y = torch.relu(norm(conv(x, f"{name}.conv1", stride), f"{name}.bn1"))
            y = norm(conv(y, f"{name}.conv2"), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in t:
                x = norm(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = torch.relu(x + y)
        found.append(x)
    skips = [*found[-2::-1], None]
    for i, skip in enumerate(skips):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = x if skip is None else torch.cat([x, skip], 1)
        for j in (1, 2):
            name = f"decoder.blocks.{i}.conv{j}"
            x = torch.relu(norm(conv(x, f"{name}.0"), f"{name}.1"))
    return conv(x, "segmentation_head.0")


def test_logits_are_those_of_an_independent_transcription():
    encoder, decoder = ResNet(width=8), UNetDecoder(classes=3, widths=(32, 16, 8, 8, 4))
    params, stats = trees(encoder, decoder)
    x = np.random.default_rng(1).normal(size=(2, 64, 32, 3)).astype(np.float32)
    ours = logits(encoder, decoder, params, stats, x)
    tensors = unet_to_torch(params, stats)
    with torch.no_grad():
        theirs = transcribed(tensors, torch.from_numpy(x).permute(0, 3, 1, 2), (2, 2, 2, 2))
    assert ours.shape == (2, 64, 32, 3) and float(theirs.std()) > 0.05
    np.testing.assert_allclose(ours, theirs.permute(0, 2, 3, 1).numpy(), atol=1e-4)
    again = unet_from_torch(encoder, decoder, tensors)
    jax.tree.map(np.testing.assert_array_equal, again, (params, stats))
    less = {k: v for k, v in tensors.items() if k != "segmentation_head.0.bias"}
    with pytest.raises(ValueError, match=r"missing segmentation_head\.0\.bias"):
        unet_from_torch(encoder, decoder, less)


def test_names_and_logits_are_those_of_the_published_unet():
    smp = pytest.importorskip("segmentation_models_pytorch")
    encoder, decoder = ResNet(), UNetDecoder(classes=3)
    params, stats = trees(encoder, decoder)
    model = smp.Unet("resnet18", encoder_weights=None, classes=3).eval()
    model.load_state_dict(
        {k: torch.from_numpy(v) for k, v in unet_to_torch(params, stats).items()}, strict=True
    )
    x = np.random.default_rng(1).normal(size=(1, 64, 32, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(logits(encoder, decoder, params, stats, x), theirs, atol=1e-4)


def shapes(encoder, decoder, image):
    def run(key, x):
        own = nets.init(encoder, key, x)
        levels, _ = nets.apply(encoder, *own, x, train=False, method="levels")
        head = nets.init(decoder, key, levels)
        return own[0], head[0], nets.apply(decoder, *head, levels, train=False)[0]

    return jax.eval_shape(run, jax.random.key(0), jax.ShapeDtypeStruct(image, jnp.float32))


def test_sizes():
    *params, out = shapes(ResNet(), UNetDecoder(classes=3), (2, 64, 96, 3))
    assert out.shape == (2, 64, 96, 3)
    assert sum(int(np.prod(x.shape)) for x in jax.tree.leaves(params)) == 14_328_499
    # The paper's 31.0 million: double convolutions 1 -> 64 ... 1024 and back, and 3x3 at the end.
    paper = UNetDecoder(classes=2, widths=(512, 256, 128, 64), up="learnt", norm=False)
    *params, out = shapes(UNetEncoder(), paper, (1, 64, 64, 1))
    down, up = (1, 64, 128, 256, 512, 1024), (1024, 512, 256, 128, 64)
    count = sum(9 * a * b + b + 9 * b * b + b for a, b in pairwise(down))
    count += sum(4 * a * b + b + 9 * a * b + b + 9 * b * b + b for a, b in pairwise(up))
    count += 9 * 64 * 2 + 2
    assert sum(int(np.prod(x.shape)) for x in jax.tree.leaves(params)) == count
    assert out.shape == (1, 64, 64, 2)
    # Odd sizes, and a stem that keeps the size.
    assert shapes(ResNet(), UNetDecoder(classes=2), (1, 45, 37, 3))[-1].shape == (1, 45, 37, 2)
    small = UNetDecoder(classes=2, widths=(8, 8, 4, 4))
    assert shapes(ResNet(stem="cifar", width=8), small, (1, 20, 20, 1))[-1].shape == (1, 20, 20, 2)


def test_bad_networks():
    with pytest.raises(ValueError, match="has 4 widths, and this encoder needs 5"):
        shapes(ResNet(), UNetDecoder(classes=2, widths=(8, 8, 4, 4)), (1, 64, 64, 3))
    with pytest.raises(ValueError, match="has 7 widths"):
        shapes(ResNet(), UNetDecoder(classes=2, widths=(8,) * 7), (1, 64, 64, 3))
    with pytest.raises(ValueError, match="needs images of 16 pixels"):
        shapes(UNetEncoder(), UNetDecoder(classes=2), (1, 8, 8, 3))
