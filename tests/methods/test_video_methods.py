"""CVRL against NumPy in float64, VideoMAE against transformers, and the clips that are drawn."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_video import CASES, VIEW, videos

from ssljax import nets
from ssljax.data import Arrays
from ssljax.losses.masked import clips_of, tubes_of
from ssljax.methods import VideoMAE
from ssljax.nets import Decoder, VideoViT
from ssljax.views import ImageView

KEY = jax.random.key(2)


def test_cvrl_reference():
    method, rows = replace(CASES["cvrl"].method, temperature=0.3), videos()
    params, extra = jax.jit(method.init)(KEY, rows)
    draw = jax.jit(VIEW.pair)
    pairs = [draw(jax.random.fold_in(KEY, i), clip) for i, clip in enumerate(rows["clip"])]
    x = np.stack([clip for pair in pairs for clip in pair])  # 2i and 2i + 1 are of one video
    run = partial(nets.apply_chain, method.chain, train=True)
    z, _ = jax.jit(run)(params, extra["stats"], x)
    z = np.asarray(z, np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    total = 0.0
    for i in range(32):
        likeness = [z[i] @ z[j] / 0.3 for j in range(32)]
        others = sum(np.exp(s) for j, s in enumerate(likeness) if j != i)
        total += np.log(others) - likeness[i ^ 1]
    value, _ = jax.jit(method.loss)(params, extra, rows, KEY)
    np.testing.assert_allclose(value, total / 32, rtol=1e-5)


def test_frames_of_a_clip_are_moved_alike_and_follow_each_other():
    video = jnp.arange(6.0)[:, None, None, None] / 10 + jnp.zeros((6, 8, 8, 1))
    video = video + jnp.linspace(0, 0.05, 8)[:, None]  # brighter to the right
    flip = replace(VIEW, view=ImageView(size=8, scale=(1.0, 1.0), jitter=0.0, blur=0.0))
    flip = replace(flip, view=replace(flip.view, grayscale=0.0), frames=2, stride=2)
    many = jax.jit(jax.vmap(lambda k: flip(k, video)))
    clips = np.asarray(many(jax.random.split(KEY, 200)))
    rises = np.diff(clips[..., 0, :, 0], axis=-1).mean(-1) > 0  # [200, 2]
    assert (rises[:, 0] == rises[:, 1]).all() and 60 < rises[:, 0].sum() < 140
    numbers = np.round(10 * (clips.mean((2, 3, 4)) - 0.025)).astype(int)
    assert (numbers[:, 1] == numbers[:, 0] + 2).all()
    assert set(numbers[:, 0]) == {0, 1, 2, 3}
    plain = np.asarray(flip.plain((255 * video).astype(np.uint8)[None]))
    np.testing.assert_allclose(plain.mean((0, 2, 3, 4)), [0.125, 0.325], atol=0.01)


def test_clips_near_each_other_are_drawn_more_often():
    video = jnp.arange(6.0)[:, None, None, None] / 10 + jnp.zeros((6, 8, 8, 1))
    still = replace(VIEW, view=replace(VIEW.view, mean=(0.0,), std=(1.0,)))
    many = jax.jit(jax.vmap(lambda k: jnp.stack(still.pair(k, video))))
    two = many(jax.random.split(KEY, 4000))
    start = np.round(10 * np.asarray(two)[:, :, 0].mean((2, 3, 4))).astype(int)  # [4000, 2]
    far = np.bincount(np.abs(start[:, 0] - start[:, 1]), minlength=4) / 4000
    np.testing.assert_allclose(far, np.array([4, 3, 2, 1]) / 10, atol=0.04)
    order = np.mean((start[:, 0] < start[:, 1])[start[:, 0] != start[:, 1]])
    assert 0.45 < order < 0.55
    assert set(start.ravel()) == {0, 1, 2, 3}


def test_bad_input():
    with pytest.raises(ValueError, match="does not fit into the 6 that are stored"):
        replace(VIEW, frames=7).plain(videos()["clip"])
    with pytest.raises(ValueError, match="stride 0 must be at least 1"):
        replace(VIEW, stride=0)
    with pytest.raises(ValueError, match="learns clips, and the data has"):
        CASES["cvrl"].method.check(Arrays({"x": np.zeros(3)}))


def test_what_is_hidden_in_one_frame_is_hidden_in_all():
    method, x = CASES["videomae"].method, jnp.zeros((5, 4, 8, 8, 3))
    keep, hidden = map(np.asarray, method._split(KEY, x))  # 2 times, 16 places
    assert keep.shape == (5, 8) and hidden.shape == (5, 24)
    for kept, gone in zip(keep, hidden, strict=True):
        assert sorted([*kept, *gone]) == list(range(32))
        times = kept.reshape(2, 4)
        np.testing.assert_array_equal(times[1], times[0] + 16)
    assert len({tuple(k) for k in keep}) == 5


def test_tubes_and_back():
    clips = jax.random.normal(KEY, (2, 4, 6, 4, 3))
    tubes = np.asarray(tubes_of(clips, 2, 2))
    assert tubes.shape == (2, 2 * 3 * 2, 8, 3)
    np.testing.assert_array_equal(
        tubes[1, 1 * 6 + 2 * 2 + 1].reshape(2, 2, 2, 3), clips[1, 2:4, 4:6, 2:4]
    )
    np.testing.assert_array_equal(clips_of(tubes, 2, 2, shape=clips.shape), clips)


def test_videomae_reference():
    """VideoMAEForPreTraining with our numbers: its loss, and what it predicts."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    method = VideoMAE(
        encoder=VideoViT(patch=4, width=12, depth=2, heads=2),
        decoder=Decoder(width=8, depth=1, heads=2),
        view=replace(VIEW, frames=4),
        ratio=0.5,
    )
    sizes = {"image_size": 8, "patch_size": 4, "num_channels": 3, "num_frames": 4}
    depth = {"num_hidden_layers": 2, "decoder_num_hidden_layers": 1, "tubelet_size": 2}
    widths = {"hidden_size": 12, "num_attention_heads": 2, "intermediate_size": 48}
    light = {"decoder_hidden_size": 8, "decoder_num_attention_heads": 2}
    config = transformers.VideoMAEConfig(
        **sizes, **depth, **widths, **light, decoder_intermediate_size=32, layer_norm_eps=1e-6
    )
    config.use_mean_pooling = False  # a norm behind the blocks, as when it was pretrained
    peer = transformers.VideoMAEForPreTraining(config).eval()
    rows = {"clip": videos(2)["clip"]}
    params, extra = method.init(KEY, rows)
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(3)
    params = tree.unflatten([rng.normal(0, 0.3, x.shape).astype(np.float32) for x in leaves])
    # Theirs have no bias of keys, and none between encoder and decoder.
    for net in ("encoder", "decoder"):
        for name in [n for n in params[net] if n.startswith("blocks")]:
            bias, width = params[net][name]["attn"]["qkv"]["bias"], params[net][name]["attn"]
            size = width["proj"]["bias"].size
            bias[size : 2 * size] = 0
    params["decoder"]["embed"]["bias"][:] = 0
    peer.load_state_dict({k: torch.tensor(v) for k, v in _of_transformers(params).items()})
    x = np.asarray(method.view.plain(rows["clip"]), np.float32)
    keep, hidden = method._split(KEY, x)
    keep, hidden = np.sort(keep, axis=1), np.sort(hidden, axis=1)  # theirs keep the order
    mask = np.zeros((2, 8), bool)
    mask[np.arange(2)[:, None], hidden] = True
    with torch.no_grad():
        pixels = torch.tensor(x.transpose(0, 1, 4, 2, 3))
        theirs = peer(pixels, bool_masked_pos=torch.tensor(mask))
    said = method.drawn(params, extra["stats"], x, keep, hidden)
    np.testing.assert_allclose(said, theirs.logits.numpy(), rtol=1e-5, atol=1e-5)
    target = method._target(jnp.asarray(x), jnp.asarray(hidden))[0]
    np.testing.assert_allclose(jnp.mean((said - target) ** 2), theirs.loss.item(), rtol=1e-5)


def _of_transformers(params):
    """Our numbers under the names of VideoMAEForPreTraining."""
    encoder, decoder, head = (params[k] for k in ("encoder", "decoder", "head"))
    flat = {
        "videomae.embeddings.patch_embeddings.projection.weight": encoder["patch_embed"][
            "kernel"
        ].transpose(4, 3, 0, 1, 2),
        "videomae.embeddings.patch_embeddings.projection.bias": encoder["patch_embed"]["bias"],
        "encoder_to_decoder.weight": decoder["embed"]["kernel"].T,
        "mask_token": decoder["mask_token"],
        "decoder.norm.weight": decoder["norm"]["scale"],
        "decoder.norm.bias": decoder["norm"]["bias"],
        "videomae.layernorm.weight": encoder["norm"]["scale"],
        "videomae.layernorm.bias": encoder["norm"]["bias"],
        "decoder.head.weight": next(iter(head.values()))["kernel"].T,
        "decoder.head.bias": next(iter(head.values()))["bias"],
    }
    for net, start in ((encoder, "videomae.encoder"), (decoder, "decoder")):
        for name in [n for n in net if n.startswith("blocks_")]:
            layer, block = f"{start}.{'layer' if net is encoder else 'decoder_layers'}", net[name]
            layer = f"{layer}.{name.removeprefix('blocks_')}"
            kernels, biases = (np.split(block["attn"]["qkv"][k], 3, -1) for k in ("kernel", "bias"))
            for part, k, b in zip(("query", "key", "value"), kernels, biases, strict=True):
                flat[f"{layer}.attention.attention.{part}.weight"] = k.T
                flat |= {} if part == "key" else {f"{layer}.attention.attention.{part}.bias": b}
            for ours, theirs in (
                ("attn/proj", "attention.output.dense"),
                ("mlp/fc1", "intermediate.dense"),
                ("mlp/fc2", "output.dense"),
            ):
                first, second = ours.split("/")
                flat[f"{layer}.{theirs}.weight"] = block[first][second]["kernel"].T
                flat[f"{layer}.{theirs}.bias"] = block[first][second]["bias"]
            for ours, theirs in (("norm1", "layernorm_before"), ("norm2", "layernorm_after")):
                flat[f"{layer}.{theirs}.weight"] = block[ours]["scale"]
                flat[f"{layer}.{theirs}.bias"] = block[ours]["bias"]
    return {k: np.ascontiguousarray(v) for k, v in flat.items()}
