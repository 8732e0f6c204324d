"""GPT-2 and T5 as transformers has them. GPT-2's linear layers lie there as here, [in, out]."""

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
from ssljax.export.names import AS_IS, Row
from ssljax.nets import GPT2, T5Decoder, T5Encoder

_GPT2: tuple[Setting, ...] = (
    ("vocab_size", "vocab", 50257),
    ("n_embd", "width", 768),
    ("n_layer", "depth", 12),
    ("n_head", "heads", 12),
    ("n_positions", "length", 1024),
    ("activation_function", "activation", "gelu_new"),
    ("layer_norm_epsilon", "eps", 1e-5),
    ("resid_pdrop", "dropout", 0.1),
    ("attn_pdrop", "attention_dropout", 0.1),
)
_T5: tuple[Setting, ...] = (
    ("vocab_size", "vocab", 32128),
    ("d_model", "width", 512),
    ("num_layers", "depth", 6),
    ("num_heads", "heads", 8),
    ("d_kv", "head_width", 64),
    ("d_ff", "hidden", 2048),
    ("layer_norm_epsilon", "eps", 1e-6),
    ("dropout_rate", "dropout", 0.1),
)
GPT2_ROWS: tuple[Row, ...] = (
    ("encoder/wte/*", "transformer.wte.*"),
    ("encoder/wpe/*", "transformer.wpe.*"),
    ("encoder/h_#/*", "transformer.h.#.*", AS_IS),
    ("encoder/ln_f/*", "transformer.ln_f.*"),
)
T5_ROWS: tuple[Row, ...] = (
    ("encoder/shared/*", "shared.*"),
    ("encoder/block_#/layer_#/*", "encoder.block.#.layer.#.*"),
    ("encoder/final_layer_norm/*", "encoder.final_layer_norm.*"),
    ("decoder/block_#/layer_#/*", "decoder.block.#.layer.#.*"),
    ("decoder/final_layer_norm/*", "decoder.final_layer_norm.*"),
)


def _gpt2_config(networks: Networks, flat: Flat, *, pad: int | None, **_: Any) -> dict[str, Any]:
    net = networks["encoder"]
    found = write(_GPT2, net) | {"embd_pdrop": net.dropout, "n_inner": net.hidden}
    # The defaults of these are numbers of GPT-2's own vocabulary.
    return found | {"pad_token_id": pad, "bos_token_id": None, "eos_token_id": None}


def _gpt2_networks(config: Config) -> dict[str, Any]:
    demand(
        config,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
        tie_word_embeddings=True,
    )
    fields = read(_GPT2, config)
    demand(config, embd_pdrop=config.get("resid_pdrop", 0.1))
    inner = config.get("n_inner")
    if inner is not None:
        inner = read([("n_inner", "hidden", 0)], config)["hidden"]
    return {"encoder": GPT2(hidden=inner, **fields)}


def _t5_config(networks: Networks, flat: Flat, *, pad: int | None, **_: Any) -> dict[str, Any]:
    net = networks["encoder"]
    return write(_T5, net) | {
        "num_decoder_layers": networks["decoder"].depth if "decoder" in networks else net.depth,
        "feed_forward_proj": "relu",
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "decoder_start_token_id": 0,  # what the method begins with
        "pad_token_id": 0 if pad is None else pad,
    }


def _t5_networks(config: Config) -> dict[str, Any]:
    demand(
        config,
        feed_forward_proj="relu",
        is_gated_act=False,
        tie_word_embeddings=True,
        scale_decoder_outputs=True,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=128,
    )
    fields = read(_T5, config)
    demand(config, num_decoder_layers=fields["depth"])
    encoder = T5Encoder(**fields)
    shared = {k: v for k, v in fields.items() if k not in ("vocab", "width")}
    return {"encoder": encoder, "decoder": T5Decoder(**shared)}


def _shapes(networks: Networks, config: Config) -> Flat:
    net, tokens = networks["encoder"], spec(1, 1, dtype=np.int32)
    found = shapes_of("encoder", net, {"tokens": tokens})
    if "decoder" in networks:
        past = {"past": spec(1, 1, net.width), "seen": spec(1, 1, dtype=bool)}
        table = spec(1, net.width)
        found |= shapes_of("decoder", networks["decoder"], tokens, table=table, **past)
    return found


GPT_2 = Family(
    rows=GPT2_ROWS,
    model=lambda networks: "GPT2LMHeadModel",
    config=_gpt2_config,
    networks=_gpt2_networks,
    shapes=_shapes,
    prefix="transformer.",
    tied={"lm_head.weight": "transformer.wte.weight"},
    dropped=(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",),  # the causal mask
)
T5 = Family(
    rows=T5_ROWS,
    model=lambda networks: (
        "T5ForConditionalGeneration" if "decoder" in networks else "T5EncoderModel"
    ),
    config=_t5_config,
    networks=_t5_networks,
    shapes=_shapes,
    tied={
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
        "lm_head.weight": "shared.weight",
    },
    # Early files of T5 hold a table that nothing reads.
    dropped=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
    settings={"eos_token_id": "eos"},
)
