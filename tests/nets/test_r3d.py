"""R3D: features and names of torchvision's `r3d_18`, sizes, and refused input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.export import load, safetensors
from ssljax.export.video_names import r3d_from_torch, r3d_to_torch
from ssljax.nets import R3D
from ssljax.nets.r3d import conv_flat, conv_whole


def trees(module):
    """(params, stats) of random numbers."""
    clip = jax.ShapeDtypeStruct((1, 8, 16, 16, 3), jnp.float32)
    shapes = jax.eval_shape(lambda key: nets.init(module, key, clip), jax.random.key(0))
    rng = np.random.default_rng(0)

    def draw(leaf):
        spread = 1 / np.sqrt(max(np.prod(leaf.shape[:-1]), 1)) if len(leaf.shape) > 1 else 0.3
        x = rng.normal(size=leaf.shape).astype(np.float32) * spread
        return np.float32(x if len(leaf.shape) > 1 else np.abs(x) + 0.5)

    return jax.tree.map(draw, shapes)


def transcribed(t, x, blocks, functional):
    """The forward pass of torchvision's VideoResNet, from a state dict."""

    def conv(x, name, stride):
        w = t[f"{name}.weight"]
        pad = [k // 2 for k in w.shape[2:]]
        return functional.conv3d(x, w, stride=stride, padding=pad)

    def norm(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(t[f"{name}.{p}"] for p in parts), eps=1e-5)

    x = norm(conv(x, "stem.0", (1, 2, 2)), "stem.1").relu()
    for stage in (1, 2, 3, 4):
        for i in range(blocks):
            name, stride = f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1
            y = norm(conv(x, f"{name}.conv1.0", stride), f"{name}.conv1.1").relu()
            y = norm(conv(y, f"{name}.conv2.0", 1), f"{name}.conv2.1")
            if f"{name}.downsample.0.weight" in t:
                x = norm(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = (x + y).relu()
    return x.mean((2, 3, 4))


def test_features_are_those_of_an_independent_transcription(tmp_path):
    torch = pytest.importorskip("torch")
    module = R3D(depth=10, width=4)
    params, stats = trees(module)
    tensors = r3d_to_torch(params, stats)
    x = np.random.default_rng(1).normal(size=(2, 9, 21, 16, 3)).astype(np.float32)  # odd sizes
    ours, _ = nets.apply(module, params, stats, x, train=False)
    with torch.no_grad():
        clip = torch.from_numpy(x).permute(0, 4, 1, 2, 3)
        named = {k: torch.from_numpy(v) for k, v in tensors.items()}
        theirs = transcribed(named, clip, 1, torch.nn.functional).numpy()
    assert ours.shape == (2, 32) and theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, r3d_from_torch(module, tensors), (params, stats))
    safetensors.write(tmp_path / "clips.safetensors", tensors)  # what training begins from
    begun = load(tmp_path / "clips.safetensors", module)
    jax.tree.map(np.testing.assert_array_equal, begun, (params, stats))
    less = {k: v for k, v in tensors.items() if k != "layer2.0.downsample.1.bias"}
    with pytest.raises(ValueError, match=r"missing layer2\.0\.downsample\.1\.bias"):
        r3d_from_torch(module, less | {"fc.bias": np.zeros(3)})


@pytest.mark.parametrize("stride", [(1, 2, 2), (2, 2, 2), (1, 1, 1)])
@pytest.mark.parametrize("frames", [8, 9])
def test_both_ways_to_convolve_agree(frames, stride):
    """What CPUs run, and what all others do; the loop over one place is by hand."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, frames, 6, 7, 3)).astype(np.float32)
    w = rng.normal(size=(3, 5, 3, 3, 4)).astype(np.float32)
    flat, whole = conv_flat(x, w, stride), conv_whole(x, w, stride)
    np.testing.assert_allclose(flat, whole, rtol=1e-5, atol=1e-5)
    t, i, j = 1, 1, 2
    padded = np.pad(x, [(0, 0), (1, 1), (2, 2), (1, 1), (0, 0)])
    at = [k * s for k, s in zip((t, i, j), stride, strict=True)]
    seen = padded[1, at[0] : at[0] + 3, at[1] : at[1] + 5, at[2] : at[2] + 3]
    np.testing.assert_allclose(
        flat[1, t, i, j], np.einsum("thwc,thwcd->d", seen, w), rtol=1e-5, atol=1e-5
    )


@pytest.mark.slow
def test_names_and_features_are_those_of_torchvision():
    torch, vision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    module = R3D()
    params, stats = trees(module)
    model = vision.models.video.r3d_18(weights=None).eval()
    model.fc = torch.nn.Identity()
    named = {k: torch.from_numpy(v) for k, v in r3d_to_torch(params, stats).items()}
    model.load_state_dict(named, strict=True)
    x = np.random.default_rng(1).normal(size=(1, 8, 32, 24, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(x).permute(0, 4, 1, 2, 3)).numpy()
    ours, _ = nets.apply(module, params, stats, x, train=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_sizes_and_bad_input():
    clip = jax.ShapeDtypeStruct((2, 16, 112, 112, 3), jnp.float32)

    def run(key, x, module=R3D()):
        own = nets.init(module, key, x)
        maps, _ = nets.apply(module, *own, x, train=False, method="maps")
        return own[0], maps

    params, maps = jax.eval_shape(run, jax.random.key(0), clip)
    count = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(params))
    assert count + 512 * 400 + 400 == 33_371_472  # the published one tells 400 classes apart
    assert maps.shape == (2, 2, 7, 7, 512)
    with pytest.raises(ValueError, match=r"takes clips \[B, T, H, W, C\]"):
        nets.init(R3D(), jax.random.key(0), clip.update(shape=(2, 112, 112, 3)))
    with pytest.raises(ValueError, match="divide by 255"):
        nets.init(R3D(), jax.random.key(0), clip.update(dtype=jnp.uint8))
    with pytest.raises(ValueError, match="no depth 50"):
        nets.init(R3D(depth=50), jax.random.key(0), clip)
