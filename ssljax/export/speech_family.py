"""wav2vec 2.0 as transformers has it: with the quantizer and both projections of pretraining, or
with a linear layer "head" for letters and blank (CTC).

config.json does not say whether recordings are normalised first: networks with layer norms behind
their convolutions (large) are taken to be those that want it.
"""

from typing import Any

import numpy as np

from ssljax.export.family import (
    Config,
    Family,
    Flat,
    Networks,
    Setting,
    check_number,
    demand,
    read,
    shapes_of,
    spec,
    write,
)
from ssljax.export.names import TURNED, Row
from ssljax.nets import MLP, Quantizer, Wav2Vec2Encoder

_PLACES = "wav2vec2.encoder.pos_conv_embed.conv"
_SETTINGS: tuple[Setting, ...] = (
    ("hidden_size", "width", 768),
    ("num_hidden_layers", "depth", 12),
    ("num_attention_heads", "heads", 12),
    ("intermediate_size", "hidden", 3072),
    ("feat_extract_norm", "conv_norm", "group"),
    ("conv_bias", "conv_bias", False),
    ("do_stable_layer_norm", "pre_norm", False),
    ("num_conv_pos_embeddings", "position_kernel", 128),
    ("num_conv_pos_embedding_groups", "position_groups", 16),
    ("layer_norm_eps", "eps", 1e-5),
    ("hidden_dropout", "dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("feat_proj_dropout", "input_dropout", 0.0),
    ("layerdrop", "layer_drop", 0.1),
)
_QUANTIZER: tuple[Setting, ...] = (
    ("num_codevector_groups", "groups", 2),
    ("num_codevectors_per_group", "entries", 320),
    ("codevector_dim", "width", 256),
    ("feat_quantizer_dropout", "dropout", 0.0),
)
_CONVS = {
    "conv_dim": (512,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
}
WAV2VEC2_ROWS: tuple[Row, ...] = (
    ("encoder/masked_spec_embed", "wav2vec2.masked_spec_embed"),
    (
        "encoder/feature_extractor/conv_layers_#/*",
        "wav2vec2.feature_extractor.conv_layers.#.*",
    ),
    ("encoder/feature_projection/*", "wav2vec2.feature_projection.*"),
    ("encoder/encoder/pos_conv_embed/bias", f"{_PLACES}.bias"),
    ("encoder/encoder/pos_conv_embed/g", f"{_PLACES}.parametrizations.weight.original0", TURNED),
    ("encoder/encoder/pos_conv_embed/v", f"{_PLACES}.parametrizations.weight.original1", TURNED),
    ("encoder/encoder/layer_norm/*", "wav2vec2.encoder.layer_norm.*"),
    ("encoder/encoder/layers_#/*", "wav2vec2.encoder.layers.#.*"),
    ("quantizer/*", "quantizer.*"),
    ("context/linear_0/*", "project_hid.*"),
    ("code/linear_0/*", "project_q.*"),
    ("head/linear_0/*", "lm_head.*"),
)


def _config(networks: Networks, flat: Flat, **_: Any) -> dict[str, Any]:
    net = networks["encoder"]
    convs = zip(_CONVS, zip(*net.convs, strict=True), strict=True)
    found = write(_SETTINGS, net) | {key: list(values) for key, values in convs}
    found |= {"hidden_act": "gelu", "feat_extract_activation": "gelu", "activation_dropout": 0.0}
    if "quantizer" in networks:
        found |= write(_QUANTIZER, networks["quantizer"])
        found["proj_codevector_dim"] = flat["code/linear_0/kernel"].shape[1]
    if "head" in networks:  # number 0 is the blank, as in `losses.ctc`
        found |= {"vocab_size": flat["head/linear_0/kernel"].shape[1], "pad_token_id": 0}
        found |= {"bos_token_id": None, "eos_token_id": None}
    return found


def _convs(config: Config) -> tuple[tuple[int, int, int], ...]:
    parts = [config.get(key, usual) for key, usual in _CONVS.items()]
    fine = all(
        isinstance(part, list | tuple) and all(type(n) is int for n in part) for part in parts
    )
    if not fine or len({len(part) for part in parts}) != 1:
        raise ValueError(f"config.json has {', '.join(_CONVS)} that are no lists of one length")
    for key, part in zip(_CONVS, parts, strict=True):
        for n in part:
            check_number(key, n)
    return tuple(zip(*parts, strict=True))


def _networks(config: Config) -> dict[str, Any]:
    demand(config, hidden_act="gelu", feat_extract_activation="gelu", add_adapter=False)
    fields = read(_SETTINGS, config)
    if fields["conv_norm"] not in ("group", "layer"):
        raise ValueError(f"config.json has feat_extract_norm {fields['conv_norm']!r}")
    normalize = fields["conv_norm"] == "layer"
    line = MLP(widths=(read([("proj_codevector_dim", "w", 256)], config)["w"],), norm=False)
    return {
        "encoder": Wav2Vec2Encoder(convs=_convs(config), normalize=normalize, **fields),
        "quantizer": Quantizer(**read(_QUANTIZER, config)),
        "context": line,
        "code": line,
        "head": MLP(widths=(read([("vocab_size", "letters", 32)], config)["letters"],), norm=False),
    }


def _shapes(networks: Networks, config: Config) -> Flat:
    net = networks["encoder"]
    quantizer = networks["quantizer"]
    samples = {"audio": spec(1, net.window), "length": spec(1, dtype=np.int32)}
    return {
        **shapes_of("encoder", net, samples),
        **shapes_of("quantizer", quantizer, spec(1, 1, net.convs[-1][0])),
        **shapes_of("context", networks["context"], spec(1, 1, net.width)),
        **shapes_of("code", networks["code"], spec(1, 1, quantizer.width)),
        **shapes_of("head", networks["head"], spec(1, 1, net.width)),
    }


def _model(networks: Networks) -> str:
    if "quantizer" in networks:
        return "Wav2Vec2ForPreTraining"
    return "Wav2Vec2ForCTC" if "head" in networks else "Wav2Vec2Model"


WAV2VEC2 = Family(
    rows=WAV2VEC2_ROWS,
    model=_model,
    config=_config,
    networks=_networks,
    shapes=_shapes,
    prefix="wav2vec2.",
    renamed=(
        (r"(.*pos_conv_embed\.conv\.)weight_g", r"\1parametrizations.weight.original0"),
        (r"(.*pos_conv_embed\.conv\.)weight_v", r"\1parametrizations.weight.original1"),
    ),
    settings={
        "num_negatives": "negatives",
        "contrastive_logits_temperature": "temperature",
        "diversity_loss_weight": "diversity",
    },
)
