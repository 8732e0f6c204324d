"""MAE, SimMIM, I-JEPA and data2vec against the papers' procedure written out in torch (float64).

The peers do what the authors do and we do not: MAE's decoder puts every patch back into its place
and predicts them all, I-JEPA's contexts and targets have no filling and no masks, SimMIM compares
images. Each test also shows that likely misreadings give other numbers.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cases_masked import CASES

from ssljax import nets
from ssljax.methods import IJEPA, MAE, Data2Vec
from ssljax.views import view_batch

torch = pytest.importorskip("torch")
F = torch.nn.functional
BATCH, KEY = CASES["mae"].batch(6), jax.random.key(3)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def to_torch(tree):
    """Leaves in float64 that take gradients."""
    return jax.tree.map(lambda a: torch.tensor(np.asarray(a, np.float64)).requires_grad_(), tree)


def started(name):
    """Method, parameters away from their start, and extra with a target that differs from them."""
    method = CASES[name].method
    params, extra = jax.jit(method.init)(jax.random.key(0), BATCH)

    rng = np.random.default_rng(0)

    def moved(tree):
        return jax.tree.map(lambda a: a + rng.normal(0, 0.3, a.shape).astype(a.dtype), tree)

    params = moved(params)
    if "target" in extra:
        target = extra["target"]
        extra = extra | {"target": target | {"params": moved(target["params"])}}
    return method, params, extra


def views(method, key):
    return jax.jit(lambda key: view_batch(method.view, key, BATCH["image"]))(key)


def ours(method, params, extra):
    loss = jax.jit(jax.value_and_grad(lambda p: method.loss(p, extra, BATCH, KEY)[0]))
    return loss(params)


def linear(x, p):
    return x @ p["kernel"] + p["bias"]


def norm(x, p):
    return F.layer_norm(x, x.shape[-1:], p["scale"], p["bias"], eps=1e-6)


def block(x, p, heads):
    b, n, d = x.shape
    qkv = linear(norm(x, p["norm1"]), p["attn"]["qkv"]).reshape(b, n, 3, heads, d // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    y = (q @ k.transpose(-1, -2) * (d // heads) ** -0.5).softmax(-1) @ v
    x = x + linear(y.transpose(1, 2).reshape(b, n, d), p["attn"]["proj"])
    y = F.gelu(linear(norm(x, p["norm2"]), p["mlp"]["fc1"]))
    return x + linear(y, p["mlp"]["fc2"])


def blocks(x, p, heads):
    """Outputs of all blocks."""
    outputs = []
    for i in range(sum(name.startswith("blocks_") for name in p)):
        x = block(x, p[f"blocks_{i}"], heads)
        outputs.append(x)
    return outputs


def patches_of(x, patch):
    b, h, w, c = x.shape
    x = x.reshape(b, h // patch, patch, w // patch, patch, c)
    return torch.einsum("nhpwqc->nhwpqc", x).reshape(b, -1, patch * patch * c)


def embedded(x, p, patch):
    """Patch embeddings without positions."""
    kernel = p["patch_embed"]["kernel"]
    flat = kernel.reshape(-1, kernel.shape[-1])
    return patches_of(x, patch) @ flat + p["patch_embed"]["bias"]


def sincos(module, x, width):
    table = nets.sincos_positions(*module.grid(x), width)
    return torch.tensor(np.asarray(table, np.float64))


def gather(x, index):
    return torch.gather(x, 1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def with_class(x, p):
    return torch.cat([p["cls_token"].expand(len(x), -1, -1), x], dim=1)


def assert_same(name, value, loss, params, grads):
    """Value and gradients of all parameters but those named in `name`."""
    np.testing.assert_allclose(value, loss.item(), rtol=1e-5)
    leaves, tree = jax.tree.flatten(params)
    theirs = torch.autograd.grad(loss, leaves, allow_unused=True)
    theirs = tree.unflatten(
        [np.zeros(a.shape) if g is None else g.numpy() for a, g in zip(leaves, theirs, strict=True)]
    )
    paths = jax.tree_util.tree_leaves_with_path(theirs)
    for (path, expected), got in zip(paths, jax.tree.leaves(grads), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5, err_msg=f"{name} {path}")


def mae_peer(method, p, x, order, kept, *, ddof=1, visible=False, restore_wrong=False, swap=False):
    """The authors' forward pass: shuffle, keep, encode; restore, decode all; masked mean."""
    patch, n = method.encoder.patch, order.shape[1]
    tokens = embedded(x, p["encoder"], patch) + sincos(method.encoder, x, method.encoder.width)
    tokens = with_class(gather(tokens, order[:, :kept]), p["encoder"])
    tokens = norm(blocks(tokens, p["encoder"], method.encoder.heads)[-1], p["encoder"]["norm"])
    tokens = linear(tokens, p["decoder"]["embed"])
    back = order if restore_wrong else order.argsort(1)
    holes = p["decoder"]["mask_token"].expand(len(x), n - kept, -1)
    rest = gather(torch.cat([tokens[:, 1:], holes], dim=1), back)
    places = sincos(method.encoder, x, method.decoder.width)
    y = torch.cat([tokens[:, :1], rest + places], dim=1)
    y = norm(blocks(y, p["decoder"], method.decoder.heads)[-1], p["decoder"]["norm"])
    y = linear(y, p["head"]["linear_0"])[:, 1:]
    target = patches_of(x, patch)
    if swap:
        target = target.reshape(len(x), n, patch, patch, 3).permute(0, 1, 4, 2, 3).flatten(2)
    mean, var = target.mean(-1, keepdim=True), target.var(-1, keepdim=True, correction=ddof)
    target = (target - mean) / (var + 1e-6) ** 0.5
    mask = torch.ones(len(x), n, dtype=torch.float64)
    mask[:, :kept] = 0
    mask = gather(mask.unsqueeze(-1), order.argsort(1)).squeeze(-1)
    mask = 1 - mask if visible else mask
    return (((y - target) ** 2).mean(-1) * mask).sum() / mask.sum()


def test_mae_reference():
    method, params, extra = started("mae")
    value, grads = ours(method, params, extra)
    key_view, key_order = jax.random.split(KEY)
    x = views(method, key_view)
    keep, removed = method._split(key_order, x)
    assert keep.shape == (6, 4)  # int(16 * 0.25)
    order = torch.tensor(np.concatenate([keep, removed], axis=1)).long()
    assert (order.sort(1).values == torch.arange(16)).all()
    p, x = to_torch(params), torch.tensor(np.asarray(x, np.float64))
    assert_same("mae", value, mae_peer(method, p, x, order, 4), p, grads)
    for misread in ({"ddof": 0}, {"visible": True}, {"restore_wrong": True}, {"swap": True}):
        other = mae_peer(method, p, x, order, 4, **misread).item()
        assert abs(other - float(value)) > 3e-4 * abs(float(value)), misread


def test_mae_pixels_of_kept_patches_are_no_target():
    """Without normalisation, an encoder that is blind to kept patches leaves only removed ones."""
    method = CASES["mae"].method
    params, extra = jax.jit(method.init)(jax.random.key(0), BATCH)
    x = views(method, KEY)
    keep, removed = method._split(KEY, x)
    target, mean, deviation = method._target(x, removed)
    changed = x.reshape(6, 4, 2, 4, 2, 3)
    for i in range(6):
        for patch in keep[i]:
            changed = changed.at[i, patch // 4, :, patch % 4].set(5.0)
    again, *_ = method._target(changed.reshape(x.shape), removed)
    np.testing.assert_array_equal(again, target)
    predict = jax.jit(method.drawn)
    before = predict(params, extra["stats"], x, keep, removed)
    after = predict(params, extra["stats"], changed.reshape(x.shape), keep, removed)
    assert np.abs(np.asarray(before - after)).max() > 1e-3
    np.testing.assert_allclose(target.std(-1, ddof=1), 1, rtol=1e-3)
    assert mean.shape == deviation.shape == (6, 12, 1)


def test_mae_shows_kept_patches_as_they_are():
    method = CASES["mae"].method
    state = method.build(optax.sgd(0.1), updates=1).init(jax.random.key(0), BATCH)
    views = np.asarray(jax.jit(method.show)(BATCH, KEY, state)["views"])
    original = np.asarray(method.view.denormalize(method.view.plain(BATCH["image"])))
    keep, _ = method._split(KEY, method.view.plain(BATCH["image"]))
    assert views.shape == (6, 2, 8, 8, 3)
    kept = np.zeros((6, 16), bool)
    np.put_along_axis(kept, np.asarray(keep), True, axis=1)
    kept = kept.reshape(6, 4, 4, 1).repeat(2, 1).repeat(2, 2).repeat(3, 3)
    for view in (views[:, 0], views[:, 1]):
        np.testing.assert_allclose(view[kept], original[kept], atol=1e-6)
    np.testing.assert_allclose(views[:, 0][~kept], 0.5, atol=1e-6)  # the mean colour
    assert np.abs(views[:, 1][~kept] - 0.5).max() > 0.05


def simmim_peer(method, p, x, mask, *, squared=False, late=False, everywhere=False):
    """The authors' forward pass and loss on images."""
    encoder, patch = p["encoder"], method.encoder.patch
    tokens = embedded(x, encoder, patch)
    hidden = mask.unsqueeze(-1)
    places = encoder["pos_embed"]
    if late:  # positions before the mask token, which then has none
        tokens = torch.where(hidden, encoder["mask_token"], tokens + places[:, 1:])
        tokens = with_class(tokens, {"cls_token": encoder["cls_token"] + places[:, :1]})
    else:
        tokens = with_class(torch.where(hidden, encoder["mask_token"], tokens), encoder) + places
    tokens = norm(blocks(tokens, encoder, method.encoder.heads)[-1], encoder["norm"])
    drawn = linear(tokens[:, 1:], p["head"]["linear_0"])
    b, side = len(x), x.shape[1] // patch
    drawn = drawn.reshape(b, side, side, patch, patch, 3).permute(0, 1, 3, 2, 4, 5).reshape(x.shape)
    pixels = mask.reshape(b, side, side).repeat_interleave(patch, 1).repeat_interleave(patch, 2)
    pixels = torch.ones_like(pixels) if everywhere else pixels
    error = (x - drawn) ** 2 if squared else (x - drawn).abs()
    return (error * pixels.unsqueeze(-1)).sum() / (pixels.sum() + 1e-5) / 3


def test_simmim_reference():
    method, params, extra = started("simmim")
    value, grads = ours(method, params, extra)
    key_view, key_mask = jax.random.split(KEY)
    x = views(method, key_view)
    mask = np.array(jax.jit(method._mask)(key_mask, x))
    # 60 % of four squares, rounded up: three of them, each 2 x 2 patches
    assert (mask.sum(1) == 12).all()
    assert (mask.reshape(6, 2, 2, 2, 2) == mask.reshape(6, 2, 2, 2, 2)[:, :, :1, :, :1]).all()
    p, x, mask = to_torch(params), torch.tensor(np.asarray(x, np.float64)), torch.tensor(mask)
    assert_same("simmim", value, simmim_peer(method, p, x, mask), p, grads)
    for misread in ({"squared": True}, {"late": True}, {"everywhere": True}):
        other = simmim_peer(method, p, x, mask, **misread).item()
        assert abs(other - float(value)) > 1e-3 * abs(float(value)), misread


def ijepa_peer(method, p, target, x, blocks_drawn, *, normalized=True, leak=False):
    """Image by image and block by block, with index sets as long as they are."""
    module, heads = method.encoder, method.encoder.heads
    places = sincos(module, x, module.width)
    narrow = sincos(module, x, method.predictor.width)
    total, count = 0.0, 0
    with torch.no_grad():
        h = with_class(embedded(x, target, module.patch) + places, target)
        h = norm(blocks(h, target, heads)[-1], target["norm"])[:, 1:]
        h = F.layer_norm(h, h.shape[-1:]) if normalized else h
    for i in range(len(x)):
        context = torch.tensor(blocks_drawn.context[i][blocks_drawn.context_valid[i]]).long()
        seen = torch.arange(len(places)) if leak else context
        z = (embedded(x[i : i + 1], p["encoder"], module.patch) + places)[:, seen]
        z = norm(blocks(with_class(z, p["encoder"]), p["encoder"], heads)[-1], p["encoder"]["norm"])
        z = linear(z[:, 1:], p["predictor"]["embed"]) + narrow[seen]
        for m in range(method.targets):
            valid = blocks_drawn.targets_valid[i, m]
            index = torch.tensor(blocks_drawn.targets[i, m][valid]).long()
            y = torch.cat([z, p["predictor"]["mask_token"] + narrow[index]], dim=1)
            y = blocks(y, p["predictor"], method.predictor.heads)[-1]
            y = linear(norm(y, p["predictor"]["norm"])[:, len(seen) :], p["head"]["linear_0"])
            total = total + F.smooth_l1_loss(y[0], h[i, index], reduction="sum")
            count += h[i, index].numel()
    return total / count


def test_ijepa_reference():
    method, params, extra = started("ijepa")
    value, grads = ours(method, params, extra)
    key_view, key_blocks = jax.random.split(KEY)
    x = views(method, key_view)
    drawn = jax.tree.map(np.asarray, jax.jit(method.blocks)(key_blocks, x))
    assert not drawn.context_valid.all()  # something is filled up, or this test shows little
    p, x = to_torch(params), torch.tensor(np.asarray(x, np.float64))
    target = to_torch(extra["target"]["params"]["encoder"])
    loss = ijepa_peer(method, p, target, x, drawn)
    assert_same("ijepa", value, loss, p, grads)
    for misread in ({"normalized": False}, {"leak": True}):
        other = ijepa_peer(method, p, target, x, drawn, **misread).item()
        assert abs(other - float(value)) > 1e-3 * abs(float(value)), misread


def test_ijepa_target_blocks_do_not_touch_each_other():
    """A block is predicted without the mask tokens of the others: its prediction stays."""
    method, params, extra = started("ijepa")
    x = views(method, KEY)
    drawn, predict = jax.jit(method.blocks)(KEY, x), jax.jit(method._predict)
    y = predict(params, extra["stats"], x, drawn).reshape(6, 2, -1, 16)
    other = drawn._replace(targets=drawn.targets.at[:, 1].set(drawn.targets[:, 1, ::-1]))
    z = predict(params, extra["stats"], x, other).reshape(6, 2, -1, 16)
    np.testing.assert_allclose(z[:, 0], y[:, 0], atol=1e-6)
    assert np.abs(np.asarray(z[:, 1] - y[:, 1])).max() > 1e-4


def test_ijepa_decay_rises_along_a_line():
    """0.997 at a quarter of the run; half a cosine would be at 0.9966."""
    method = IJEPA()
    params = {"encoder": {"w": jnp.ones(3)}}
    extra = {"stats": {}, "target": {"params": {"encoder": {"w": jnp.zeros(3)}}, "stats": {}}}
    for k, tau in ((0, 0.996), (25, 0.997), (50, 0.998), (100, 1.0)):
        moved = method.after(params, extra, jnp.int32(k), updates=100)["target"]["params"]
        np.testing.assert_allclose(1 - moved["encoder"]["w"], tau, atol=1e-6)


def test_ijepa_evaluates_its_target():
    method, params, extra = started("ijepa")
    built = method.build(optax.sgd(0.1), updates=10)
    state = built.init(jax.random.key(0), BATCH)
    state = type(state)(state.step, params, state.opt, extra)
    x = method.view.plain(BATCH["image"])
    target = extra["target"]["params"]["encoder"]
    tokens, _ = nets.apply(method.encoder, target, {}, x, train=False, method="tokens")
    np.testing.assert_allclose(built.embed(state, BATCH), tokens[:, 1:].mean(1), atol=1e-5)
    assert built.backbone(state)[0] is target


def data2vec_peer(method, p, target, x, mask, *, sees_mask=False, once=False, last=False, beta=2.0):
    """Targets of the whole image from the top blocks, and the student's predictions of them."""
    module, heads = method.encoder, method.encoder.heads

    def enter(q, hide):
        tokens = embedded(x, q, module.patch)
        tokens = torch.where(mask.unsqueeze(-1), q["mask_token"], tokens) if hide else tokens
        return with_class(tokens, q) + q["pos_embed"]

    with torch.no_grad():
        layers = blocks(enter(target, sees_mask), target, heads)[-method.top :]
        layers = [layer[:, 1:] for layer in layers[-1 if last else 0 :]]
        if not once:
            layers = [F.layer_norm(layer, layer.shape[-1:]) for layer in layers]
        y = sum(layers) / len(layers)
        y = F.layer_norm(y, y.shape[-1:])
    z = norm(blocks(enter(p["encoder"], True), p["encoder"], heads)[-1], p["encoder"]["norm"])
    z = linear(z[:, 1:], p["head"]["linear_0"])
    return F.smooth_l1_loss(z[mask], y[mask], beta=beta)


def test_data2vec_reference():
    method, params, extra = started("data2vec")
    # The second block far outweighs the first, so that it matters whether each is normalised.
    second = extra["target"]["params"]["encoder"]["blocks_1"]
    second["mlp"]["fc2"]["kernel"] *= 10
    value, grads = ours(method, params, extra)
    key_view, key_mask = jax.random.split(KEY)
    x = views(method, key_view)
    mask = np.array(jax.jit(method._mask)(key_mask, x))
    assert (mask.sum(1) <= 9).all()
    assert len(set(mask.sum(1))) > 1 or mask.sum() == 54
    p, x, mask = to_torch(params), torch.tensor(np.asarray(x, np.float64)), torch.tensor(mask)
    target = to_torch(extra["target"]["params"]["encoder"])
    loss = data2vec_peer(method, p, target, x, mask)
    assert_same("data2vec", value, loss, p, grads)
    for misread in ({"sees_mask": True}, {"once": True}, {"last": True}, {"beta": 1.0}):
        other = data2vec_peer(method, p, target, x, mask, **misread).item()
        assert abs(other - float(value)) > 1e-3 * abs(float(value)), misread


def test_data2vec_decay():
    params = {"encoder": {"w": jnp.ones(3)}, "head": {}}
    extra = {"stats": {}, "target": {"params": {"encoder": {"w": jnp.zeros(3)}}, "stats": {}}}

    def tau(method, k):
        moved = method.after(params, extra, jnp.int32(k), updates=10)["target"]["params"][
            "encoder"
        ]["w"]
        return 1 - float(moved[0])

    for k, expected in ((0, 0.999), (50, 0.9994), (100, 0.9998), (900, 0.9998)):
        np.testing.assert_allclose(tau(Data2Vec(ramp=100), k), expected, atol=1e-6)
    np.testing.assert_allclose(tau(Data2Vec(), 0), 0.9998, atol=1e-6)


def test_data2vec_refuses_more_layers_than_there_are():
    with pytest.raises(ValueError, match="top=7"):
        Data2Vec(encoder=CASES["data2vec"].method.encoder, top=7).init(KEY, BATCH)


def test_defaults_are_the_authors():
    """ViT-B/16 at 224 pixels: sizes that follow from the defaults, without running anything."""
    mae = MAE()
    shapes = jax.eval_shape(
        lambda key: mae.init(key, {"image": jnp.zeros((1, 224, 224, 3), jnp.uint8)}), KEY
    )[0]
    count = sum(int(np.prod(a.shape)) for a in jax.tree.leaves(shapes))
    # The authors' model has 111,907,840 numbers, 252,160 of them fixed positions.
    assert count == 111_907_840 - 197 * 768 - 197 * 512
    assert shapes["decoder"]["blocks_7"]["mlp"]["fc1"]["kernel"].shape == (512, 2048)
