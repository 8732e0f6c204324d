"""wav2vec 2.0 against transformers on the same weights; padding; the quantizer; the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import Quantizer, Wav2Vec2Encoder, scale_gradient, wav2vec2
from ssljax.views import LogMel

KEY = jax.random.key(0)
NET = Wav2Vec2Encoder(
    width=16,
    depth=2,
    heads=2,
    hidden=24,
    convs=((8, 10, 5), (8, 3, 2), (12, 2, 2)),
    position_kernel=4,
    position_groups=4,
)
LARGE = NET.clone(conv_norm="layer", conv_bias=True, pre_norm=True, normalize=True)
AUDIO = np.random.default_rng(0).normal(size=(2, 400)).astype(np.float32)
FULL = {"audio": jnp.asarray(AUDIO), "length": jnp.array([400, 400])}


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def apply_speech(net, params, x, mask=None):
    """Everything inside, by one compiled program."""
    return jax.jit(lambda p, x, mask: nets.apply_speech(net, p, x, mask=mask))(params, x, mask)


def flat(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, np.array(value)


def scrambled(params):
    """Biases and norms away from 0 and 1, so that none can be swapped unseen."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(9), len(leaves))
    return tree.unflatten([x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys)])


def torch_state(params):
    """Our parameters under the names of transformers."""
    torch = pytest.importorskip("torch")
    state = {}
    for name, value in flat(params):
        name = name.replace("layers_", "layers.").replace(
            "pos_conv_embed.bias", "pos_conv_embed.conv.bias"
        )
        name = name.replace(
            "pos_conv_embed.g", "pos_conv_embed.conv.parametrizations.weight.original0"
        )
        name = name.replace(
            "pos_conv_embed.v", "pos_conv_embed.conv.parametrizations.weight.original1"
        )
        if value.ndim == 3 and "codevectors" not in name:  # taps first here, last there
            value = value.transpose(2, 1, 0)
        elif name.endswith("kernel"):
            value = value.T
        name = name.replace(".kernel", ".weight").replace(".scale", ".weight")
        state[name] = torch.tensor(np.ascontiguousarray(value))
    return state


def peer(net, params, quantizer):
    """Wav2Vec2ForPreTraining with our weights; only its two heads stay its own."""
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=[c for c, _, _ in net.convs],
        conv_kernel=[k for _, k, _ in net.convs],
        conv_stride=[s for _, _, s in net.convs],
        conv_bias=net.conv_bias,
        feat_extract_norm=net.conv_norm,
        do_stable_layer_norm=net.pre_norm,
        num_conv_pos_embeddings=net.position_kernel,
        num_conv_pos_embedding_groups=4,
        num_codevectors_per_group=5,
        codevector_dim=6,
        proj_codevector_dim=6,
        attn_implementation="eager",
    )
    model = transformers.Wav2Vec2ForPreTraining(config)
    state = {f"wav2vec2.{k}": v for k, v in torch_state(params).items()}
    state |= {f"quantizer.{k}": v for k, v in torch_state(quantizer).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.startswith("project_") for name in missing), missing
    return model.eval()


@pytest.mark.parametrize(
    "net", [NET, LARGE, NET.clone(position_kernel=5)], ids=["base", "large", "odd"]
)
def test_agrees_with_transformers(net):
    torch = pytest.importorskip("torch")
    params = scrambled(nets.init(net, KEY, FULL)[0])
    quantizer = Quantizer(entries=5, width=6)
    codebook = scrambled(nets.init(quantizer, KEY, jnp.zeros((1, 3, 12)))[0])
    model = peer(net, params, codebook)
    outputs = apply_speech(net, params, FULL)
    x = torch.tensor(AUDIO)
    if net.normalize:
        x = (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, correction=0, keepdim=True) + 1e-7)
    with torch.no_grad():
        want = model.wav2vec2(x, output_hidden_states=True)
        q, _ = model.quantizer(want.extract_features)
    assert len(outputs.layers) == len(want.hidden_states) == 3
    # transformers 5 records the last layer without the norm behind it
    for a, b in zip(outputs.layers, [*want.hidden_states[:-1], want.last_hidden_state]):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-5)
    np.testing.assert_allclose(outputs.normed, want.extract_features.numpy(), atol=1e-5)
    found, _, codes = nets.apply(quantizer, codebook, {}, outputs.normed, train=False)[0]
    np.testing.assert_allclose(found, q.numpy(), atol=1e-5)
    assert codes.shape == (2, 19, 2) and outputs.real.all()
    # hidden frames: the transformer sees one learned vector in their place
    mask = np.zeros((2, 19), bool)
    mask[0, 3:7] = mask[1, 10:] = True
    hidden = apply_speech(net, params, FULL, mask)
    model.wav2vec2.config.mask_time_prob = 0.0
    with torch.no_grad():
        want = model.wav2vec2(x, mask_time_indices=torch.tensor(mask)).last_hidden_state
    np.testing.assert_allclose(hidden.layers[-1], want.numpy(), atol=1e-5)


@pytest.mark.parametrize("net", [NET, LARGE], ids=["base", "large"])
def test_what_is_heard_does_not_depend_on_the_padding(net):
    params = scrambled(nets.init(net, KEY, FULL)[0])
    x = {"audio": FULL["audio"].at[1, 250:].set(9.0), "length": jnp.array([400, 250])}
    both = apply_speech(net, params, x)
    alone = {"audio": FULL["audio"][1:, :250]}
    one = apply_speech(net, params, alone)
    n = net.frames(250)
    assert both.real.sum(1).tolist() == [19, n] and one.real.all()
    for a, b in zip(both.layers, one.layers):
        np.testing.assert_allclose(a[1, :n], b[0], atol=1e-5)
    a, b = (nets.apply(net, params, {}, v, train=False)[0] for v in (x, alone))
    np.testing.assert_allclose(a[1], b[0], atol=1e-5)


def test_frames_are_counted_as_in_log_mel():
    mel = LogMel(window=NET.window, hop=NET.hop)
    for n in range(NET.window, 200):
        assert NET.frames(n) == mel.frames(n) == int(NET.frames(jnp.int32(n)))
    assert NET.frames(NET.window) == 1 and NET.frames(NET.window - 1) == 0
    base = wav2vec2("base")
    assert base.frames(16000) == 49 and base.window == 400 and base.hop == 320


def test_hidden_frames_give_the_features_no_gradient():
    params = nets.init(NET, KEY, FULL)[0]
    mask = jnp.ones((2, 19), bool)

    def total(params):
        outputs = apply_speech(NET, params, FULL, mask)
        return jnp.sum(outputs.layers[-1] ** 2)

    grads = jax.jit(jax.grad(total))(params)
    assert not any(np.any(g) for g in jax.tree.leaves(grads["feature_extractor"]))
    assert np.any(grads["masked_spec_embed"])


def test_the_gradient_is_scaled_and_the_value_is_not():
    x = jnp.array([0.1, -3.7])
    value, grads = jax.value_and_grad(lambda x: jnp.sum(scale_gradient(x, 0.1) ** 2))(x)
    assert value == jnp.sum(x**2)
    np.testing.assert_allclose(grads, 0.1 * 2 * x, rtol=1e-6)


def test_the_quantizer_draws_by_its_logits_and_passes_the_soft_gradient():
    net = Quantizer(groups=2, entries=3, width=4, dropout=0.0)
    x = jnp.tile(jnp.array([[0.3, -0.2]]), (20000, 1))
    params = nets.init(net, KEY, x)[0]
    (q, logits, codes), _ = nets.apply(
        net, params, {}, x, train=True, rngs={"gumbel": KEY}, temperature=0.7
    )
    p = jax.nn.softmax(logits[0], axis=-1)
    for g in range(2):
        np.testing.assert_allclose(np.bincount(codes[:, g], minlength=3) / 20000, p[g], atol=0.015)
    table = params["codevectors"].reshape(2, 3, 2)
    want = jnp.concatenate([table[g][codes[:, g]] for g in range(2)], axis=1)
    np.testing.assert_allclose(q, want, atol=1e-6)

    def first(kernel, key):
        inner = params | {"weight_proj": params["weight_proj"] | {"kernel": kernel}}
        return nets.apply(net, inner, {}, x[:1], train=True, rngs={"gumbel": key}, temperature=0.7)[
            0
        ][0].sum()

    assert np.any(jax.jit(jax.grad(first))(params["weight_proj"]["kernel"], KEY))


def test_a_dropped_layer_leaves_its_input():
    net = NET.clone(layer_drop=1.0, dropout=0.0, attention_dropout=0.0, input_dropout=0.0)
    params = nets.init(net, KEY, FULL)[0]
    outputs, _ = nets.apply(
        net, params, {}, FULL, train=True, rngs={"dropout": KEY}, method="outputs"
    )
    np.testing.assert_array_equal(outputs.layers[0], outputs.layers[-1])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (jnp.zeros((2, 400)), "takes {"),
        ({"audio": jnp.zeros((2, 400), jnp.int32)}, "float audio"),
        ({"audio": jnp.zeros((2, 20))}, "a frame of Wav2Vec2 sees 30"),
    ],
)
def test_other_input(x, message):
    with pytest.raises(ValueError, match=message):
        NET.init(KEY, x)
