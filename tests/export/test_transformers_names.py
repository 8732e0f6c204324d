"""The tables without torch: what published files spell otherwise, and what is refused."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers_peers import BERT, CASES, VIT, made

from ssljax.export import (
    FAMILIES,
    export_transformers,
    from_transformers,
    import_transformers,
    load,
    load_networks,
    to_transformers,
)
from ssljax.export.folder import read_model, whole_folder, write_model
from ssljax.nets import ImageTower, SmallConv, roberta, siglip_image
from ssljax.nets.bert import bert
from ssljax.nets.gpt2 import gpt2
from ssljax.nets.t5 import t5
from ssljax.nets.vit import vit
from ssljax.nets.wav2vec2 import wav2vec2


def published(case):
    networks, params, options = made(case)
    config, tensors = to_transformers(networks, params, **options)
    return networks, params, config, tensors


def without(tensors, prefix):
    return {name.removeprefix(prefix): leaf for name, leaf in tensors.items()}


def old_bert(tensors):
    """As files of 2019 spell it, with what later versions tie or keep to themselves."""
    norm = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    for new, old in norm.items():
        tensors = {name.replace(new, old): leaf for name, leaf in tensors.items()}
    return tensors | {
        "bert.embeddings.position_ids": np.arange(16)[None],
        "cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"],
        "cls.predictions.decoder.bias": tensors["cls.predictions.bias"],
    }


def old_gpt2(tensors):
    mask = np.tri(16)[None, None]
    return without(tensors, "transformer.") | {"h.0.attn.bias": mask, "h.1.attn.bias": mask}


def t5_file(tensors):
    table = tensors["shared.weight"]
    name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    names = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    return tensors | dict.fromkeys(names, table) | {name: np.zeros((32, 3))}


def vit_file(tensors):
    more = {"pooler.dense.weight": np.zeros((24, 24)), "pooler.dense.bias": np.zeros(24)}
    return without(tensors, "vit.") | more


def mae_file(tensors):
    return {n.replace("decoder_layers.", "decoder_encoder.layer."): v for n, v in tensors.items()}


def speech_file(tensors):
    """As before torch had parametrizations."""
    old = {"parametrizations.weight.original0": "weight_g"}
    old |= {"parametrizations.weight.original1": "weight_v"}
    for new, name in old.items():
        tensors = {n.replace(new, name): leaf for n, leaf in tensors.items()}
    return tensors


SPELLINGS = {
    "bert": old_bert,
    "bert_alone": lambda tensors: without(tensors, "bert."),
    "roberta": lambda tensors: tensors | {"roberta.embeddings.position_ids": np.zeros((1, 18))},
    "electra_generator": lambda tensors: (
        tensors | {"generator_lm_head.weight": tensors["electra.embeddings.word_embeddings.weight"]}
    ),
    "gpt2": old_gpt2,
    "t5": t5_file,
    "vit": vit_file,
    "vit_mae": mae_file,
    "wav2vec2": speech_file,
    "clip": lambda tensors: tensors | {"text_model.embeddings.position_ids": np.zeros((1, 12))},
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_published_spellings(case):
    networks, params, config, tensors = published(case)
    found, arrays = from_transformers(config, SPELLINGS[case](tensors))
    assert found == networks
    jax.tree.map(np.testing.assert_array_equal, arrays, params)


def test_a_setting_that_is_not_there_has_its_default():
    usual = {
        "bert": bert("base"),
        "electra": bert("base", embedding_width=128),
        "gpt2": gpt2("small"),
        "t5": t5("small"),
        "vit": vit("base", eps=1e-12),
        "vit_mae": vit("base", eps=1e-12),
        "clip": ImageTower(),
        "siglip": siglip_image(),
        "wav2vec2": wav2vec2("base", input_dropout=0.0, layer_drop=0.1),
    }
    for name, encoder in usual.items():
        assert FAMILIES[name].networks({"model_type": name})["encoder"] == encoder
    config = {"vocab_size": 50265, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    config |= {"model_type": "roberta", "max_position_embeddings": 514}
    assert FAMILIES["roberta"].networks(config)["encoder"] == roberta("base")


BAD = [
    ("bert", {"model_type": "bart"}, {}, "model_type 'bart': bert, roberta"),
    ("bert", {"model_type": None}, {}, "model_type None"),
    ("bert", {"hidden_act": "swish"}, {}, "hidden_act 'swish', an activation"),
    ("bert", {"hidden_act": ["gelu"]}, {}, "hidden_act"),
    ("bert", {"hidden_size": "24"}, {}, "hidden_size '24', not int"),
    ("bert", {"num_attention_heads": True}, {}, "num_attention_heads True, not int"),
    ("bert", {"is_decoder": True}, {}, "is_decoder True"),
    ("bert", {"position_embedding_type": "relative_key"}, {}, "position_embedding_type"),
    ("bert", {"num_hidden_layers": 3}, {}, "missing bert.encoder.layer.2.attention.self.query"),
    ("bert", {"num_hidden_layers": 1}, {}, "unexpected bert.encoder.layer.1"),
    ("bert", {}, {"extra.weight": np.zeros(3)}, "unexpected extra.weight"),
    ("bert", {}, {"cls.predictions.bias": np.zeros(3)}, r"bias has shape \(3,\), not \(50,\)"),
    ("bert", {}, {"cls.predictions.decoder.weight": np.zeros((50, 24))}, "is not bert.embed"),
    ("electra", {"hidden_act": "relu"}, {}, "hidden_act 'relu'"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, {}, "inverse_layer_idx True"),
    ("t5", {"feed_forward_proj": "gated-gelu"}, {}, "feed_forward_proj 'gated-gelu'"),
    ("t5", {"num_decoder_layers": 4}, {}, "num_decoder_layers 4"),
    ("vit", {"qkv_bias": False}, {}, "qkv_bias False"),
    ("vit", {"intermediate_size": 25}, {}, "intermediate_size 25, which is no multiple of 24"),
    ("vit_mae", {}, {"decoder.decoder_pos_embed": np.zeros((1, 17, 16))}, "not the sin-cos table"),
    ("clip", {"text_config": 3}, {}, "text_config 3"),
    ("wav2vec2", {"feat_extract_norm": "batch"}, {}, "feat_extract_norm 'batch'"),
    ("wav2vec2", {"conv_dim": [8, 8]}, {}, "no lists of one length"),
    ("wav2vec2", {"add_adapter": True}, {}, "add_adapter True"),
    ("siglip", {"vision_config": {"vision_use_head": False}}, {}, "vision_use_head False"),
]


@pytest.mark.parametrize(("case", "settings", "arrays", "message"), BAD)
def test_refused_models(case, settings, arrays, message):
    _, _, config, tensors = published(case)
    with pytest.raises(ValueError, match=message):
        from_transformers(config | settings, tensors | arrays)


def test_refused_networks():
    networks, params, _ = made("bert")
    with pytest.raises(ValueError, match="no counterpart for SmallConv"):
        to_transformers({"encoder": SmallConv()}, {})
    with pytest.raises(ValueError, match="choose one of bert, roberta"):
        to_transformers(networks, params, model_type="bart")
    narrow, arrays, _ = made("electra_generator")
    with pytest.raises(ValueError, match="no counterpart for encoder/embeddings_project"):
        to_transformers(narrow, arrays)
    other = networks | {"head": networks["head"].clone(activation="relu")}
    with pytest.raises(ValueError, match="two activations"):
        to_transformers(other, params)
    networks, params, _ = made("vit")
    with pytest.raises(ValueError, match="image_size None"):
        to_transformers(networks, params)
    with pytest.raises(ValueError, match="positions for 16 patches"):
        to_transformers(networks, params, image_size=32)
    networks, params, options = made("clip")
    tower = networks["partner"].clone(causal=False)
    with pytest.raises(ValueError, match="pool as"):
        to_transformers(networks | {"partner": tower}, params, **options)


def model_folder(case, where):
    networks, params, config, tensors = published(case)
    with whole_folder(where) as fresh:
        write_model(fresh, config, tensors)
    return networks, params, config, tensors


def test_folders_that_are_read(tmp_path):
    _, params, config, tensors = model_folder("bert", tmp_path / "one")
    back = from_transformers(*read_model(tmp_path / "one" / "model.safetensors"))[1]
    jax.tree.map(np.testing.assert_array_equal, back, params)
    shards = tmp_path / "two"
    shards.mkdir()
    (shards / "config.json").write_text(json.dumps(config))
    names = sorted(tensors)
    files = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
    index = {name: file for file, part in files.items() for name in part}
    (shards / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    for file, part in files.items():
        save_file({name: tensors[name] for name in part}, shards / file)
    back = from_transformers(*read_model(shards))[1]
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_model(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        read_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "pytorch_model.bin").write_text("")
    with pytest.raises(FileNotFoundError, match="a pickle is never read"):
        read_model(tmp_path)
    save_file({"x": np.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="is not JSON"):
        read_model(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="no JSON object"):
        read_model(tmp_path)


def test_a_folder_is_whole_or_not_there(tmp_path):
    networks, params, _ = made("vit")

    def fail():
        with whole_folder(tmp_path / "m") as fresh:
            (fresh / "config.json").write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    with pytest.raises(ValueError, match="image_size"):
        export_transformers(tmp_path / "m", networks=networks, params=params)
    assert not list(tmp_path.iterdir())
    (tmp_path / "m").mkdir()
    options = {"networks": networks, "params": params, "image_size": 16}
    export_transformers(tmp_path / "m", **options)
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="there already"):
        export_transformers(tmp_path / "m", **options)
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_imported_networks_load(tmp_path):
    networks, params, *_ = model_folder("bert", tmp_path / "bert")
    file = tmp_path / "weights.safetensors"
    found, family = import_transformers(tmp_path / "bert", file)
    assert (family, found) == ("bert", networks)
    back, stats = load(file, BERT)
    jax.tree.map(np.testing.assert_array_equal, back, params["encoder"])
    assert stats == {}
    back = load_networks(file, networks)
    jax.tree.map(np.testing.assert_array_equal, back, params)
    assert load_networks(file, {"encoder": BERT}).keys() == {"encoder"}
    with pytest.raises(ValueError, match="heads is 3 in the file and 4 here"):
        load(file, BERT.clone(heads=4))
    with pytest.raises(ValueError, match="type is 'Bert' in the file and 'ViT' here"):
        load(file, VIT)
    with pytest.raises(ValueError, match="does not hold an encoder"):
        load_networks(file, {"other": BERT})


def test_numbers_come_with_the_whole_model_only(tmp_path):
    networks, *_ = model_folder("clip", tmp_path / "clip")
    import_transformers(tmp_path / "clip", tmp_path / "w.safetensors")
    assert "log_scale" in load_networks(tmp_path / "w.safetensors", networks)
    alone = {"encoder": networks["encoder"]}
    assert load_networks(tmp_path / "w.safetensors", alone).keys() == {"encoder"}


def test_electra_becomes_two_models(tmp_path):
    networks, params, _ = made("electra")
    small, weights, _ = made("electra_generator")
    networks |= {"generator": small["encoder"], "guess": small["head"]}
    table = params["encoder"]["embeddings"]
    apart = {k: v for k, v in weights["encoder"].items() if k != "embeddings"}
    params = params | {"generator": apart, "guess": weights["head"]}
    export_transformers(tmp_path / "e", networks=networks, params=params)
    config = json.loads((tmp_path / "e" / "config.json").read_text())
    assert config["architectures"] == ["ElectraForPreTraining"]
    config = json.loads((tmp_path / "e" / "generator" / "config.json").read_text())
    assert config["architectures"] == ["ElectraForMaskedLM"]
    _, arrays = from_transformers(*read_model(tmp_path / "e" / "generator"))
    jax.tree.map(np.testing.assert_array_equal, arrays["encoder"]["embeddings"], table)
    found, _ = import_transformers(tmp_path / "e", tmp_path / "w.safetensors")
    assert found == networks
    back = load_networks(tmp_path / "w.safetensors", networks)
    jax.tree.map(np.testing.assert_array_equal, back, params)
    other = from_transformers(*read_model(tmp_path / "e"))[1]
    assert other.keys() == {"encoder", "real"}
    config, tensors = read_model(tmp_path / "e" / "generator")
    tensors = {k: v + 1 if "word_embeddings" in k else v for k, v in tensors.items()}
    write_model(tmp_path / "e" / "generator", config, tensors)
    with pytest.raises(ValueError, match="embeddings of its own"):
        import_transformers(tmp_path / "e", tmp_path / "v.safetensors")
    assert not (tmp_path / "v.safetensors").exists()


def test_all_families_are_tried():
    tried = {to_transformers(*made(c)[:2], **made(c)[2])[0]["model_type"] for c in CASES}
    assert tried == set(FAMILIES)


ABSURD = [
    ("bert", {"num_hidden_layers": 10**6}, r"encoder has 1,000,000 layers.*holds 2 arrays"),
    ("bert", {"num_hidden_layers": 10**9}, "num_hidden_layers 1000000000, which no network has"),
    ("bert", {"hidden_size": 10**8}, "hidden_size 100000000, which no network has"),
    ("vit", {"num_attention_heads": 0}, "num_attention_heads 0, which no network has"),
    ("vit", {"patch_size": -16}, "patch_size -16, which no network has"),
    ("t5", {"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon nan, which no network has"),
    ("clip", {"vision_config": {"num_hidden_layers": 10**6}}, "1,000,000 layers"),
    ("wav2vec2", {"conv_stride": [10**9] * 7}, "conv_stride 1000000000, which no network has"),
    ("bert", {"num_hidden_layers": 1, "num_attention_heads": 7}, "no network of bert: "),
]


@pytest.mark.parametrize(("name", "wrong", "message"), ABSURD, ids=range(len(ABSURD)))
def test_an_absurd_config_is_refused_before_anything_is_built(name, wrong, message):
    arrays = {"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}
    with pytest.raises(ValueError, match=message) as caught:
        from_transformers({"model_type": name} | wrong, arrays)
    assert "\n" not in str(caught.value)


def test_a_config_that_is_nested_without_end_is_named(tmp_path):
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text('{"a":' + "[" * 10**5)
    with pytest.raises(ValueError):
        read_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": ["../../x"]}')
    with pytest.raises(ValueError, match=r"index\.json has no weight_map"):
        read_model(tmp_path)
