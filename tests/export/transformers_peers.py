"""Networks small enough to compare with transformers, their parameters, and folders between."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from ssljax import nets
from ssljax.export import folder
from ssljax.export.transformers import to_transformers
from ssljax.nets import (
    GPT2,
    MLP,
    Bert,
    Decoder,
    ImageTower,
    Pooler,
    Quantizer,
    RealHead,
    T5Decoder,
    T5Encoder,
    TextTower,
    TokenHead,
    ViT,
    Wav2Vec2Encoder,
    word_table,
)

KEY = jax.random.key(0)
V, L = 50, 12
TOKENS = np.random.default_rng(0).integers(5, V, (3, L)).astype(np.int32)
# Rows that end early, and one that begins late: places are then no longer 0 to L - 1.
SEGMENTS = np.stack([np.arange(L) < 12, np.arange(L) < 7, np.arange(L) > 3]).astype(np.int32)
PLACES = np.maximum(np.arange(L) - np.array([[0], [0], [4]]), 0)
TYPES = ((np.arange(L) > 5) * SEGMENTS).astype(np.int32)
IMAGES = np.random.default_rng(1).normal(size=(2, 16, 16, 3)).astype(np.float32)
TEXT = {"vocab": V, "width": 24, "depth": 2, "heads": 3}

BERT = Bert(hidden=40, length=16, **TEXT)
ROBERTA = BERT.clone(first_position=2, types=1, eps=1e-5)
NARROW = BERT.clone(embedding_width=12)
GPT = GPT2(length=16, **TEXT)
ENCODER = T5Encoder(head_width=6, hidden=40, **TEXT)
DECODER = T5Decoder(depth=2, heads=3, head_width=6, hidden=40)
SPEECH = Wav2Vec2Encoder(
    convs=((8, 10, 5), (8, 3, 2), (12, 2, 2)),
    position_kernel=4,
    position_groups=4,
    hidden=40,
    **{k: v for k, v in TEXT.items() if k != "vocab"},
)
LARGE = SPEECH.clone(
    conv_norm="layer", conv_bias=True, pre_norm=True, normalize=True, position_kernel=5
)
AUDIO = np.random.default_rng(2).normal(size=(2, 400)).astype(np.float32)
LENGTH = np.array([400, 290])
VIT = ViT(patch=4, width=24, depth=2, heads=3)
SIDE = {"depth": 2, "heads": 3, "hidden": 40}


def scrambled(params, scale=0.1):
    """Biases and norms away from 0 and 1, so that none can be swapped unseen."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(9), len(leaves))
    moved = [x + scale * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys)]
    return jax.tree.map(np.asarray, tree.unflatten(moved))


def start(module, x, **inputs):
    return nets.init(module, KEY, x, **inputs)[0]


def rows(**more):
    return {"tokens": jnp.asarray(TOKENS), "segments": jnp.asarray(SEGMENTS), **more}


def bert_params(net, **others):
    """Parameters of a Bert and of the networks behind it."""
    params = {"encoder": start(net, rows())}
    for name, module in others.items():
        states = jnp.zeros((1, 2, net.width))
        more = {"table": word_table(params["encoder"])} if isinstance(module, TokenHead) else {}
        states = states[:, 0] if isinstance(module, MLP) else states
        params[name] = start(module, states, **more)
    return {"encoder": net, **others}, params


def t5_params():
    params = {"encoder": start(ENCODER, rows())}
    past = jnp.zeros((1, 2, 24))
    table = params["encoder"]["shared"]["embedding"][:1]
    inputs = {"table": table, "past": past, "seen": past[..., 0] == 0}
    params["decoder"] = start(DECODER, jnp.zeros((1, 2), jnp.int32), **inputs)
    return {"encoder": ENCODER, "decoder": DECODER}, params


def mae_params(positions="sincos"):
    networks = {
        "encoder": VIT.clone(positions=positions),
        "decoder": Decoder(width=16, depth=2, heads=2),
        "head": MLP(widths=(48,), norm=False),
    }
    place = jnp.zeros((1, 1, 16))
    params = {
        "encoder": start(networks["encoder"], IMAGES),
        "decoder": start(networks["decoder"], jnp.zeros((1, 1, 24)), places=place, wanted=place),
        "head": start(networks["head"], place),
    }
    return networks, params


def pair_params(clip):
    usual = {"activation": "quick_gelu", "eps": 1e-5}
    if not clip:
        usual = {"activation": "gelu_tanh", "eps": 1e-6}
    text = {"causal": True, "eot": 40} if clip else {"causal": False, "pool": "last"}
    pool = "cls" if clip else "attention"
    networks = {
        "encoder": ImageTower(patch=4, width=24, pool=pool, **SIDE, **usual),
        "partner": TextTower(vocabulary=V, length=L, width=18, **text, **SIDE, **usual),
        "partner_projector": MLP(widths=(24,), norm=False, output_bias=not clip),
    }
    if clip:
        networks["projector"] = MLP(widths=(24,), norm=False, output_bias=False)
    inputs = {
        "encoder": IMAGES,
        "partner": jnp.asarray(TOKENS),
        "projector": jnp.zeros((1, 24)),
        "partner_projector": jnp.zeros((1, 18)),
    }
    params = {name: start(module, inputs[name]) for name, module in networks.items()}
    params |= {"log_scale": jnp.float32(2.5)} | ({} if clip else {"bias": jnp.float32(-8.0)})
    return networks, params


def speech_params(net, letters=False):
    x = {"audio": jnp.asarray(AUDIO), "length": jnp.asarray(LENGTH)}
    states, outputs = jnp.zeros((1, 1, 24)), jnp.zeros((1, 1, 12))
    if letters:
        networks = {"encoder": net, "head": MLP(widths=(9,), norm=False)}
        return networks, {"encoder": start(net, x), "head": start(networks["head"], states)}
    networks = {"encoder": net, "quantizer": Quantizer(entries=5, width=6)}
    networks |= dict.fromkeys(("context", "code"), MLP(widths=(7,), norm=False))
    inputs = {"encoder": x, "quantizer": outputs, "context": states, "code": outputs[..., :6]}
    return networks, {name: start(net, inputs[name]) for name, net in networks.items()}


def head(net):
    return TokenHead(vocab=V, eps=net.eps, activation=net.activation)


PAIR = {"pooler": Pooler(), "pair": MLP(widths=(2,), norm=False)}
CASES = {
    "bert": (lambda: bert_params(BERT, head=head(BERT)), {}),
    "bert_tanh": (
        lambda: bert_params(
            BERT.clone(activation="gelu_tanh"), head=head(BERT.clone(activation="gelu_tanh"))
        ),
        {},
    ),
    "bert_pairs": (lambda: bert_params(BERT, head=head(BERT), **PAIR), {}),
    "bert_alone": (lambda: bert_params(BERT), {}),
    "roberta": (lambda: bert_params(ROBERTA, head=head(ROBERTA)), {}),
    "electra": (lambda: bert_params(NARROW, real=RealHead()), {}),
    "electra_generator": (
        lambda: bert_params(NARROW, head=head(NARROW)),
        {"model_type": "electra"},
    ),
    "gpt2": (lambda: ({"encoder": GPT}, {"encoder": start(GPT, rows())}), {}),
    "t5": (t5_params, {"pad": 0}),
    "vit": (lambda: ({"encoder": VIT}, {"encoder": start(VIT, IMAGES)}), {"image_size": 16}),
    "vit_mae": (mae_params, {"image_size": 16}),
    "vit_mae_learned": (partial(mae_params, "learned"), {"image_size": 16}),
    "clip": (partial(pair_params, True), {"image_size": 16, "pad": 1}),
    "siglip": (partial(pair_params, False), {"image_size": 16, "pad": 1}),
    "wav2vec2": (partial(speech_params, SPEECH), {}),
    "wav2vec2_large": (partial(speech_params, LARGE), {}),
    "wav2vec2_letters": (partial(speech_params, LARGE, True), {}),
}


@cache
def _built(case):
    return CASES[case][0]()


def made(case, *, noise=True):
    """(networks, params, options of `to_transformers`) of a case."""
    (networks, params), options = _built(case), CASES[case][1]
    return dict(networks), scrambled(params, 0.1 if noise else 0.0), options


def exported(case, where, *, noise=True, changed=None):
    """Writes a case into a new folder; `changed` may alter its tensors. Returns its parameters."""
    networks, params, options = made(case, noise=noise)
    config, tensors = to_transformers(networks, params, **options)
    if changed is not None:
        changed(config, tensors)
    with folder.whole_folder(where) as fresh:
        folder.write_model(fresh, config, tensors)
    return networks, params


@cache
def _compiled(module, method):
    return jax.jit(partial(nets.apply, module, stats={}, train=False, method=method))


def run(module, params, x, method="__call__", **inputs):
    """Output of a network in evaluation."""
    return _compiled(module, method)(params=params, x=x, **inputs)[0]


@cache
def _within(module, name, method):
    def run(params, x, inputs):
        shown = {"capture_intermediates": lambda m, _: m.name == name, "method": method}
        found = module.apply({"params": params}, x, **inputs, **shown)[1]
        (value,) = jax.tree.leaves(found, is_leaf=lambda v: isinstance(v, tuple))
        return value[0]

    return jax.jit(run)


def inner(module, params, x, name, method="__call__", **inputs):
    """What the submodule of that name gives, within a network that does not show it."""
    return _within(module, name, method)(params, x, inputs)


@cache
def _hearing(net):
    return jax.jit(partial(nets.apply_speech, net))


def outputs(net, params, x):
    """All that is inside a network of speech."""
    return _hearing(net)(params, x)
