"""Language, small: rows of 13 tokens, some with two documents, some with padding."""

import numpy as np
from laws import Case

from ssljax.methods import BERT, ELECTRA, GPT, T5, DualEncoder, SimCSE
from ssljax.nets import GPT2, MLP, Bert, T5Encoder

VOCAB = 24
BERT_NET = Bert(vocab=VOCAB, width=16, depth=1, heads=2, hidden=24, length=13)
T5_NET = T5Encoder(vocab=VOCAB + 4, width=16, depth=1, heads=2, head_width=8, hidden=24)
GPT_NET = GPT2(vocab=VOCAB, width=16, depth=1, heads=2, length=13)


def text(size: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, VOCAB, (size, 13)).astype(np.int32)
    ends = rng.integers(6, 14, (size, 1))
    at = np.arange(13)
    segments = np.where(at < 4, 1, np.where(at < ends, 2, 0)).astype(np.int32)
    segments[::2] = at < ends[::2]
    tokens[:, 0] = 2
    tokens[np.arange(size), ends[:, 0] - 1] = 3
    return {
        "tokens": np.where(segments > 0, tokens, 0).astype(np.int32),
        "segments": segments,
        "words": np.where(segments > 0, 1 + at // 2, 0).astype(np.int32),
        "bytes": (segments[:, 1:] > 0).sum(1).astype(np.int32),
        "label": np.arange(size, dtype=np.int32) % 4,
        "index": np.arange(size, dtype=np.int32),
    }


def dialogues(size: int = 16) -> dict[str, np.ndarray]:
    rows = text(size)
    turned = {"answer": rows["tokens"][:, ::-1], "answer_segments": rows["segments"][:, ::-1]}
    return rows | turned | {"types": rows["segments"] // 2}


_HEAD = MLP(widths=(8,), norm=False, output_bias=False)
CASES = {
    "bert": Case(BERT(encoder=BERT_NET), text),
    "gpt": Case(GPT(encoder=GPT_NET), text),
    "electra": Case(ELECTRA(encoder=BERT_NET, generator=0.5), text),
    "t5": Case(T5(encoder=T5_NET), text),
    "dual_encoder": Case(
        DualEncoder(encoder=BERT_NET, projector=_HEAD, partner_projector=_HEAD), dialogues
    ),
    "simcse": Case(SimCSE(encoder=BERT_NET.clone(pool="cls")), text),
}
