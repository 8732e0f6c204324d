"""Every family in transformers: all names load, outputs agree to 1e-5, tensors come back equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transformers_peers as peers
from transformers_peers import CASES, IMAGES, PLACES, SEGMENTS, TOKENS, TYPES, inner, made, run

from ssljax import nets
from ssljax.export.folder import read_model
from ssljax.export.transformers import from_transformers, to_transformers
from ssljax.nets import shared_table, word_table

torch = pytest.importorskip("torch", reason="the other side of these tests is PyTorch's")
transformers = pytest.importorskip("transformers", reason="its models read what we write")

REAL = SEGMENTS > 0
ALONE = {"add_pooling_layer": False}


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def loaded(where, **options):
    """The model of a folder, where not one name is missing, too much or of another shape."""
    config, _ = read_model(where)
    (name,) = config["architectures"]
    options |= ALONE if name in ("BertModel", "ViTModel") else {}
    model, info = getattr(transformers, name).from_pretrained(
        where, output_loading_info=True, **options
    )
    assert not any(info.values()), info
    return model.eval()


def long(x):
    return torch.tensor(np.asarray(x, np.int64))


def call(model, **inputs):
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True)


def close(ours, theirs, where=...):
    ours, theirs = np.asarray(ours), theirs.numpy()
    assert ours.shape == theirs.shape
    assert np.abs(theirs[where]).max() > 1e-3
    np.testing.assert_allclose(ours[where], theirs[where], atol=1e-5, rtol=1e-5)


def text_inputs(net):
    """The same rows for both: with padding on either side, and two types of tokens."""
    types = TYPES if net.types > 1 else np.zeros_like(TYPES)
    ours = {"tokens": TOKENS, "segments": SEGMENTS, "types": types}
    theirs = {
        "input_ids": long(TOKENS),
        "attention_mask": long(SEGMENTS),
        "token_type_ids": long(types),
        "position_ids": long(PLACES + net.first_position),
    }
    return jax.tree.map(jnp.asarray, ours), theirs


def check_bert(model, networks, params):
    net, arrays = networks["encoder"], params["encoder"]
    x, inputs = text_inputs(net)
    out = call(model, **inputs)
    layers = run(net, arrays, x, method="layers")
    assert len(out.hidden_states) == len(layers)
    first = len(layers) - len(out.hidden_states)
    for ours, theirs in zip(layers[first:], out.hidden_states):
        close(ours, theirs, REAL)
    states = layers[-1]
    if "head" in networks:
        table = word_table(arrays)
        logits = run(networks["head"], params["head"], states, table=table)
        theirs = out.prediction_logits if "pair" in networks else out.logits
        close(logits, theirs, REAL)
    if "pair" in networks:
        pooled = run(networks["pooler"], params["pooler"], states)
        # The first token of the third row is padding.
        close(run(networks["pair"], params["pair"], pooled), out.seq_relationship_logits, [0, 1])
    if "real" in networks:
        close(run(networks["real"], params["real"], states), out.logits, REAL)


def check_gpt2(model, networks, params):
    net, arrays = networks["encoder"], params["encoder"]
    x = {"tokens": jnp.asarray(TOKENS), "segments": jnp.asarray(SEGMENTS)}
    inputs = {"attention_mask": long(SEGMENTS), "position_ids": long(PLACES)}
    out = call(model, input_ids=long(TOKENS), **inputs)
    for ours, theirs in zip(run(net, arrays, x, method="layers"), out.hidden_states, strict=True):
        close(ours, theirs, REAL)
    close(run(net, arrays, x, method="logits"), out.logits, REAL)


def check_t5(model, networks, params):
    x = {"tokens": jnp.asarray(TOKENS), "segments": jnp.asarray(SEGMENTS)}
    target = TOKENS[:, ::-1].copy()
    out = call(
        model,
        input_ids=long(TOKENS),
        attention_mask=long(SEGMENTS),
        decoder_input_ids=long(target),
    )
    net, arrays = networks["encoder"], params["encoder"]
    first, *_ = inner(net, arrays, x, "block_0", method="tokens")
    close(first, out.encoder_hidden_states[1], REAL)
    past = run(net, arrays, x, method="tokens")
    close(past, out.encoder_last_hidden_state, REAL)
    given = {"table": shared_table(arrays), "past": past, "seen": jnp.asarray(REAL)}
    decoder, arrays = networks["decoder"], params["decoder"]
    first, *_ = inner(decoder, arrays, jnp.asarray(target), "block_0", **given)
    close(first, out.decoder_hidden_states[1])
    last = inner(decoder, arrays, jnp.asarray(target), "final_layer_norm", **given)
    close(last, out.decoder_hidden_states[-1])
    close(run(decoder, arrays, jnp.asarray(target), **given), out.logits)


def pixels(x=IMAGES):
    return torch.tensor(x.transpose(0, 3, 1, 2).copy())


def check_vit(model, networks, params):
    net, arrays = networks["encoder"], params["encoder"]
    out = call(model, pixel_values=pixels())
    for ours, theirs in zip(run(net, arrays, IMAGES, method="layers"), out.hidden_states[1:]):
        close(ours, theirs)
    close(run(net, arrays, IMAGES, method="tokens"), out.last_hidden_state)


def check_mae(model, networks, params):
    order = np.stack([np.random.default_rng(i).permutation(16) for i in range(2)])
    noise = np.argsort(order, axis=1) / 16.0  # patches stay in this order
    out = call(model, pixel_values=pixels(), noise=torch.tensor(noise))
    keep, removed = order[:, :4], order[:, 4:]
    net, arrays = networks["encoder"], params["encoder"]
    layers = run(net, arrays, IMAGES, method="layers", keep=jnp.asarray(keep))
    close(layers[0], out.hidden_states[1])
    close(layers[-1], out.hidden_states[-1])
    tokens = run(net, arrays, IMAGES, method="tokens", keep=jnp.asarray(keep))
    table = nets.sincos_positions(4, 4, 16)
    places = jnp.pad(table[keep], ((0, 0), (1, 0), (0, 0)))
    given = {"places": places, "wanted": table[removed]}
    drawn = run(networks["decoder"], params["decoder"], tokens, **given)
    logits = run(networks["head"], params["head"], drawn)
    theirs = np.take_along_axis(out.logits.numpy(), removed[..., None], axis=1)
    close(logits, torch.tensor(theirs))


def check_clip(model, networks, params):
    clip = networks["encoder"].pool == "cls"
    tokens, seen = TOKENS.copy(), np.ones_like(TOKENS)
    if clip:  # the end of the text, somewhere in the row, and padding behind it
        tokens[tokens == 40] = 41
        for row, at in enumerate((11, 4, 7)):
            tokens[row, at] = 40
            seen[row, at + 1 :] = 0
    out = call(model, input_ids=long(tokens), attention_mask=long(seen), pixel_values=pixels())
    image, text = networks["encoder"], networks["partner"]
    layers = run(image, params["encoder"], IMAGES, method="layers")
    for ours, theirs in zip(layers, out.vision_model_output.hidden_states, strict=True):
        close(ours, theirs)
    x, valid = jnp.asarray(tokens), {"valid": jnp.asarray(seen > 0)} if clip else {}
    layers = run(text, params["partner"], x, method="layers", **valid)
    for ours, theirs in zip(layers, out.text_model_output.hidden_states, strict=True):
        close(ours, theirs, seen > 0)
    u, v = run(image, params["encoder"], IMAGES), run(text, params["partner"], x, **valid)
    if clip:
        u = run(networks["projector"], params["projector"], u)
    v = run(networks["partner_projector"], params["partner_projector"], v)
    u, v = (z / jnp.linalg.norm(z, axis=1, keepdims=True) for z in (u, v))
    close(u, out.image_embeds)
    close(v, out.text_embeds)
    logits = jnp.exp(params["log_scale"]) * u @ v.T + params.get("bias", 0.0)
    close(logits, out.logits_per_image)


def check_wav2vec2(model, networks, params):
    """The base network knows no padding in transformers: there all samples are real."""
    net, arrays = networks["encoder"], params["encoder"]
    length = peers.LENGTH if net.pre_norm else np.array([400, 400])
    seen = np.arange(400) < length[:, None]
    audio = peers.AUDIO * seen
    x = {"audio": jnp.asarray(audio), "length": jnp.asarray(length)}
    outputs = peers.outputs(net, arrays, x)
    if net.normalize:  # what the feature extractor does
        mean = audio.sum(1) / length
        spread = np.sqrt(((audio - mean[:, None]) ** 2 * seen).sum(1) / length + 1e-7)
        audio = ((audio - mean[:, None]) / spread[:, None] * seen).astype(np.float32)
    mask = {"attention_mask": long(seen)} if net.pre_norm else {}
    out = call(model.wav2vec2, input_values=torch.tensor(audio), **mask)
    real = np.asarray(outputs.real)
    close(outputs.layers[0], out.hidden_states[0], real)
    close(outputs.layers[-1], out.last_hidden_state, real)
    close(outputs.normed, out.extract_features, real)
    if "head" in networks:
        logits = run(networks["head"], params["head"], outputs.layers[-1])
        close(logits, call(model, input_values=torch.tensor(audio), **mask).logits, real)
        return
    with torch.no_grad():
        q, _ = model.quantizer(out.extract_features)
        codes, context = model.project_q(q), model.project_hid(out.last_hidden_state)
    mine = run(networks["quantizer"], params["quantizer"], outputs.normed)[0]
    close(run(networks["code"], params["code"], mine), codes, real)
    close(run(networks["context"], params["context"], outputs.layers[-1]), context, real)


CHECKS = {
    **{"bert": check_bert, "roberta": check_bert, "electra": check_bert, "gpt2": check_gpt2},
    **{"t5": check_t5, "vit": check_vit, "vit_mae": check_mae},
    **{"clip": check_clip, "siglip": check_clip, "wav2vec2": check_wav2vec2},
}


def check(where, networks, params, **options):
    model = loaded(where, attn_implementation="eager", **options)
    CHECKS[model.config.model_type](model, networks, params)


@pytest.mark.parametrize(
    "noise",
    [pytest.param(False, id="fresh", marks=pytest.mark.slow), pytest.param(True, id="noise")],
)
@pytest.mark.parametrize("case", CASES)
def test_all_names_load_and_outputs_agree(case, noise, tmp_path):
    networks, params = peers.exported(case, tmp_path / "model", noise=noise)
    check(tmp_path / "model", networks, params)
    again, back = from_transformers(*read_model(tmp_path / "model"))
    assert again == networks
    jax.tree.map(np.testing.assert_array_equal, back, params)


@pytest.mark.parametrize("case", CASES)
def test_theirs_come_back_bit_for_bit(case, tmp_path):
    """torch -> ssljax -> torch, from a model that transformers has made and written."""
    networks, params, options = made(case)
    config, tensors = to_transformers(networks, params, **options)
    kind = getattr(transformers, config["architectures"][0])
    settings = transformers.AutoConfig.for_model(**config)
    alone = ALONE if kind.__name__ in ("BertModel", "ViTModel") else {}
    model = kind(settings, **alone)
    fixed = "decoder.decoder_pos_embed"
    if fixed in tensors:  # zero in a fresh model, the sin-cos table in published ones
        model.decoder.decoder_pos_embed.data = torch.tensor(tensors[fixed])
    rng = np.random.default_rng(4)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:  # fixed positions stay
                p += 0.1 * torch.tensor(rng.normal(size=tuple(p.shape)), dtype=p.dtype)
    model.save_pretrained(tmp_path)
    written, before = read_model(tmp_path)
    found, arrays = from_transformers(written, before)
    after_config, after = to_transformers(
        found, arrays, **options | {"pad": written.get("pad_token_id", options.get("pad"))}
    )
    usual = {n.replace("decoder_encoder.layer.", "decoder_layers."): v for n, v in before.items()}
    usual = {n if n in after else f"{written['model_type']}.{n}": v for n, v in usual.items()}
    assert after.keys() == usual.keys() == tensors.keys()
    for name, leaf in after.items():
        assert leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, usual[name], err_msg=name)
    same = {k: v for k, v in after_config.items() if k in written and k != "architectures"}
    parts = ("text_config", "vision_config")
    for key, value in same.items():
        if key in parts:
            assert {k: written[key][k] for k in value} == value | {
                k: written[key][k] for k in value if k.endswith("token_id")
            }
        elif not key.endswith("token_id"):
            assert written[key] == value, key


def broken_eps(config, tensors):
    config["layer_norm_eps"] = 1e-4


def broken_activation(config, tensors):
    config["hidden_act"] = "gelu_new"


def swapped(first, second):
    def change(config, tensors):
        tensors[first], tensors[second] = tensors[second], tensors[first]

    return change


def broken_scale(config, tensors):
    tensors["logit_scale"] = np.asarray(tensors["logit_scale"] + np.float32(1e-3))


def broken_pooling(config, tensors):
    config["text_config"]["eos_token_id"] = 41


LAYER = "encoder.layer.1.attention"


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("bert", broken_eps),
        ("bert", broken_activation),
        ("bert", swapped(f"bert.{LAYER}.self.query.weight", f"bert.{LAYER}.self.key.weight")),
        (
            "electra",
            swapped("electra.embeddings.LayerNorm.bias", "electra.embeddings.LayerNorm.weight"),
        ),
        ("gpt2", swapped("transformer.h.0.ln_1.weight", "transformer.h.0.ln_2.weight")),
        ("vit_mae", broken_eps),
        ("clip", broken_scale),
        ("clip", broken_pooling),
    ],
)
def test_one_thing_wrong_is_seen(case, change, tmp_path):
    networks, params = peers.exported(case, tmp_path / "model", changed=change)
    with pytest.raises(AssertionError):
        check(tmp_path / "model", networks, params)


def test_roberta_counts_positions_from_its_padding(tmp_path):
    """Without places given, transformers finds them from the padding: ours moves to fit it."""
    networks, params, _ = made("roberta")
    tokens = np.where(SEGMENTS > 0, TOKENS, 0)[:2]
    config, tensors = to_transformers(networks, params, pad=0)
    assert config["pad_token_id"] == 0
    with peers.folder.whole_folder(tmp_path / "model") as fresh:
        peers.folder.write_model(fresh, config, tensors)
    model = loaded(tmp_path / "model")
    out = call(model, input_ids=long(tokens), attention_mask=long(SEGMENTS[:2]))
    x = {"tokens": jnp.asarray(tokens), "segments": jnp.asarray(SEGMENTS[:2])}
    states = run(networks["encoder"], params["encoder"], x, method="tokens")
    close(states, out.hidden_states[-1], REAL[:2])
