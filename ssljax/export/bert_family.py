"""BERT, RoBERTa and ELECTRA as transformers has them: one network, three sets of names.

RoBERTa is a `Bert` whose positions do not begin at 0. There the first position is one more than the
number of the padding token, so a tokenizer with another padding token moves the table of positions:
rows are cut off or, never read, added. ELECTRA's discriminator and generator are two models.
"""

from functools import partial
from typing import Any

import numpy as np

from ssljax.export.family import (
    Config,
    Family,
    Flat,
    Networks,
    Setting,
    demand,
    read,
    shapes_of,
    spec,
    write,
)
from ssljax.export.names import Row
from ssljax.nets import MLP, Bert, Pooler, RealHead, TokenHead

_TABLE = "encoder/embeddings/position_embeddings/embedding"
_SETTINGS: tuple[Setting, ...] = (
    ("vocab_size", "vocab", 30522),
    ("hidden_size", "width", 768),
    ("num_hidden_layers", "depth", 12),
    ("num_attention_heads", "heads", 12),
    ("intermediate_size", "hidden", 3072),
    ("type_vocab_size", "types", 2),
    ("layer_norm_eps", "eps", 1e-12),
    ("hidden_act", "activation", "gelu"),
    ("hidden_dropout_prob", "dropout", 0.1),
    ("attention_probs_dropout_prob", "attention_dropout", 0.1),
)
_FIXED = {
    "is_decoder": False,
    "add_cross_attention": False,
    "position_embedding_type": "absolute",
    "tie_word_embeddings": True,
}
_OLD_NORMS = ((r"(.*LayerNorm\.)gamma", r"\1weight"), (r"(.*LayerNorm\.)beta", r"\1bias"))
_CLASSIFIER = r"classifier\.(weight|bias)"
_BUFFERS = (r".*embeddings\.position_ids", r".*embeddings\.token_type_ids")


def _encoder(prefix: str) -> tuple[Row, ...]:
    return (
        ("encoder/embeddings/*", f"{prefix}.embeddings.*"),
        ("encoder/encoder/layer_#/*", f"{prefix}.encoder.layer.#.*"),
    )


BERT_ROWS: tuple[Row, ...] = (
    *_encoder("bert"),
    ("head/dense/*", "cls.predictions.transform.dense.*"),
    ("head/LayerNorm/*", "cls.predictions.transform.LayerNorm.*"),
    ("head/bias", "cls.predictions.bias"),
    ("pooler/dense/*", "bert.pooler.dense.*"),
    ("pair/linear_0/*", "cls.seq_relationship.*"),
    ("classifier/linear_0/*", "classifier.*"),
    ("tagger/linear_0/*", "classifier.*"),
)
ROBERTA_ROWS: tuple[Row, ...] = (
    *_encoder("roberta"),
    ("head/dense/*", "lm_head.dense.*"),
    ("head/LayerNorm/*", "lm_head.layer_norm.*"),
    ("head/bias", "lm_head.bias"),
    ("pooler/dense/*", "roberta.pooler.dense.*"),
    ("tagger/linear_0/*", "classifier.*"),
)
ELECTRA_ROWS: tuple[Row, ...] = (
    *_encoder("electra"),
    ("encoder/embeddings_project/*", "electra.embeddings_project.*"),
    ("real/dense/*", "discriminator_predictions.dense.*"),
    ("real/dense_prediction/*", "discriminator_predictions.dense_prediction.*"),
    ("head/dense/*", "generator_predictions.dense.*"),
    ("head/LayerNorm/*", "generator_predictions.LayerNorm.*"),
    ("head/bias", "generator_lm_head.bias"),
)


def _config(networks: Networks, flat: Flat, *, pad: int | None, **_: Any) -> dict[str, Any]:
    net = networks["encoder"]
    places = {"max_position_embeddings": net.length + net.first_position}
    return write(_SETTINGS, net) | places | {"pad_token_id": pad}


def _electra_config(networks: Networks, flat: Flat, **given: Any) -> dict[str, Any]:
    net = networks["encoder"]
    if net.activation != "gelu":
        raise ValueError(f"ELECTRA has activation 'gelu' only, and this network {net.activation!r}")
    return _config(networks, flat, **given) | {"embedding_size": net.embedding_width or net.width}


def _narrow(config: Config, net: Bert) -> int | None:
    """The width of the embeddings, where it is not that of a token."""
    found = read([("embedding_size", "width", 128)], config)["width"]
    return None if found == net.width else found


def _networks(config: Config) -> dict[str, Any]:
    demand(config, **_FIXED)
    length = read([("max_position_embeddings", "length", 512)], config)["length"]
    first = 0
    if config["model_type"] == "roberta":
        first = 1 + read([("pad_token_id", "pad", 1)], config)["pad"]
    net = Bert(length=length - first, first_position=first, **read(_SETTINGS, config))
    head = {"vocab": net.vocab, "activation": net.activation, "eps": net.eps}
    if config["model_type"] == "electra":
        demand(config, hidden_act="gelu")
        net = net.clone(embedding_width=_narrow(config, net))
        return {"encoder": net, "real": RealHead(), "head": TokenHead(**head)}
    found = {"encoder": net, "head": TokenHead(**head), "pooler": Pooler()}
    if config["model_type"] == "bert":
        found["pair"] = MLP(widths=(2,), norm=False)
    return found


def _shapes(networks: Networks, config: Config) -> Flat:
    net = networks["encoder"]
    states, narrow = spec(1, 1, net.width), net.embedding_width or net.width
    inputs: dict[str, tuple[Any, dict[str, Any]]] = {
        "encoder": ({"tokens": spec(1, 1, dtype=np.int32)}, {}),
        "head": (states, {"table": spec(1, narrow)}),
        "pooler": (states, {}),
        "pair": (spec(1, net.width), {}),
        "real": (states, {}),
    }
    found: Flat = {}
    for name, module in networks.items():
        x, more = inputs[name]
        found |= shapes_of(name, module, x, **more)
    return found


def _ready(
    networks: dict[str, Any], flat: Flat, *, pad: int | None, offset: bool, **_: Any
) -> tuple[dict[str, Any], Flat]:
    """Moves the first position to where the family has it."""
    net = networks["encoder"]
    if "classifier" in networks:
        networks, flat = _through_pooler(networks, flat, offset=offset)
    first = (net.first_position if pad is None else pad + 1) if offset else 0
    if "head" in networks and networks["head"].activation != net.activation:
        raise ValueError("encoder and head have two activations, and config.json room for one")
    table = np.asarray(flat[_TABLE])
    cut = net.first_position - first
    table = table[cut:] if cut >= 0 else np.pad(table, ((-cut, 0), (0, 0)))
    return networks | {"encoder": net.clone(first_position=first)}, flat | {_TABLE: table}


def _through_pooler(
    networks: dict[str, Any], flat: Flat, *, offset: bool
) -> tuple[dict[str, Any], Flat]:
    """A classifier of the first token, where the family has a linear layer and tanh between them:
    the layer divides by 8192, where tanh is the identity to 1e-8, and the classifier multiplies.
    """
    net = networks["encoder"]
    if net.pool != "cls" or offset:
        what = "RoBERTa" if offset else f"pool={net.pool!r}"
        raise ValueError(
            "BertForSequenceClassification classifies the first token of a BERT, and this is a "
            f"classifier behind {what}: train with pool='cls', or export with --no-classifier"
        )
    small, kernel = np.float32(2.0**-13), "classifier/linear_0/kernel"
    pooler = {
        "pooler/dense/kernel": small * np.eye(net.width, dtype=np.float32),
        "pooler/dense/bias": np.zeros(net.width, np.float32),
    }
    flat = flat | pooler | {kernel: np.asarray(flat[kernel], np.float32) / small}
    return networks | {"pooler": Pooler()}, flat


def _bert_model(networks: Networks) -> str:
    if "tagger" in networks:
        return "BertForTokenClassification"
    if "classifier" in networks:
        return "BertForSequenceClassification"
    if {"pooler", "pair"} <= networks.keys():
        return "BertForPreTraining"
    return "BertForMaskedLM" if "head" in networks else "BertModel"


BERT = Family(
    rows=BERT_ROWS,
    model=_bert_model,
    config=_config,
    networks=_networks,
    shapes=_shapes,
    prefix="bert.",
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    renamed=_OLD_NORMS,
    dropped=(*_BUFFERS, _CLASSIFIER),
    ready=partial(_ready, offset=False),
)
ROBERTA = Family(
    rows=ROBERTA_ROWS,
    model=lambda networks: (
        "RobertaForTokenClassification"
        if "tagger" in networks
        else "RobertaForMaskedLM"
        if "head" in networks
        else "RobertaModel"
    ),
    config=lambda networks, flat, *, pad, **given: _config(
        networks, flat, pad=networks["encoder"].first_position - 1, **given
    ),
    networks=_networks,
    shapes=_shapes,
    prefix="roberta.",
    tied={
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    renamed=_OLD_NORMS,
    dropped=(*_BUFFERS, _CLASSIFIER),
    ready=partial(_ready, offset=True),
)
ELECTRA = Family(
    rows=ELECTRA_ROWS,
    model=lambda networks: (
        "ElectraForPreTraining"
        if "real" in networks
        else "ElectraForMaskedLM"
        if "head" in networks
        else "ElectraModel"
    ),
    config=_electra_config,
    networks=_networks,
    shapes=_shapes,
    prefix="electra.",
    tied={"generator_lm_head.weight": "electra.embeddings.word_embeddings.weight"},
    dropped=_BUFFERS,
    ready=partial(_ready, offset=False),
)
