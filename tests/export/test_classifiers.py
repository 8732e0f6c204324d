"""Classifiers in transformers: the peer's logits are ours, and the encoder comes back alone."""

import jax
import numpy as np
import pytest
import transformers_peers as peers
from transformers_peers import IMAGES, SEGMENTS, TOKENS, run, scrambled, start

from ssljax.export import from_transformers
from ssljax.export.folder import read_model
from ssljax.export.pretrained import export_transformers
from ssljax.method import Linear

torch = pytest.importorskip("torch", reason="the other side of these tests is PyTorch's")
transformers = pytest.importorskip("transformers", reason="its models read what we write")

BERT, VIT = peers.BERT.clone(pool="cls"), peers.VIT
NAMES = ("O", "B-X", "I-X")


def linear(reads="__call__"):
    rng = np.random.default_rng(5)
    kernel, bias = rng.normal(size=(24, 3)), rng.normal(size=3)
    return Linear(kernel.astype(np.float32), bias.astype(np.float32), reads)


def export(tmp_path, net, params, classifier, **options):
    return export_transformers(
        tmp_path / "model",
        networks={"encoder": net},
        params={"encoder": params},
        classifier=classifier,
        classes=NAMES,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "net", "reads"),
    [
        ("BertForSequenceClassification", BERT, "__call__"),
        ("BertForTokenClassification", peers.BERT, "tokens"),
        ("ViTForImageClassification", VIT, "__call__"),
    ],
)
def test_logits_of_the_peer(name, net, reads, tmp_path):
    text = name.startswith("Bert")
    x = {"tokens": TOKENS, "segments": SEGMENTS * (np.arange(12) < 7)} if text else IMAGES
    if text:  # rows that begin at once, whose places are then those of the peer
        x["segments"] = (np.arange(12) < np.array([[12], [7], [9]])).astype(np.int32)
    x = jax.tree.map(jax.numpy.asarray, x)
    params, head = scrambled(start(net, x)), linear(reads)
    where = export(tmp_path, net, params, head, image_size=None if text else 16)
    model, info = getattr(transformers, name).from_pretrained(where, output_loading_info=True)
    assert not any(info.values()), info
    assert model.config.id2label == dict(enumerate(NAMES))
    if text:
        inputs = {
            "input_ids": torch.tensor(TOKENS.astype(np.int64)),
            "attention_mask": torch.tensor(np.asarray(x["segments"], np.int64)),
        }
    else:
        inputs = {"pixel_values": torch.tensor(IMAGES).permute(0, 3, 1, 2)}
    with torch.no_grad(), jax.default_matmul_precision("highest"):
        theirs = model.eval()(**inputs).logits.numpy()
        ours = np.asarray(run(net, params, x, method=reads) @ head.kernel + head.bias)
    real = np.asarray(x["segments"]) > 0 if reads == "tokens" else ...
    assert np.abs(theirs[real]).max() > 0.1
    np.testing.assert_allclose(theirs[real], ours[real], atol=1e-5, rtol=1e-5)
    _, again = from_transformers(*read_model(where))
    jax.tree.map(np.testing.assert_array_equal, again["encoder"], params)


def test_classifiers_that_the_families_cannot_express(tmp_path):
    for net, x in ((peers.BERT, {"tokens": TOKENS}), (VIT.clone(pool="mean"), IMAGES)):
        params = start(net, jax.tree.map(jax.numpy.asarray, x))
        with pytest.raises(ValueError, match="--no-classifier"):
            export(tmp_path, net, params, linear(), image_size=16)
    params = start(peers.GPT, {"tokens": jax.numpy.asarray(TOKENS)})
    with pytest.raises(ValueError, match="no model of gpt2 with a classifier"):
        export(tmp_path, peers.GPT, params, linear())


def test_letters_of_recordings(tmp_path):
    """CTC: what a `Transcript` has learnt behind a wav2vec 2.0, number 0 for the blank."""
    net = peers.SPEECH
    x = {"audio": jax.numpy.asarray(peers.AUDIO), "length": jax.numpy.full(2, 400)}
    params, head = scrambled(start(net, x)), linear("outputs")
    where = export(tmp_path, net, params, head)
    model, info = transformers.Wav2Vec2ForCTC.from_pretrained(where, output_loading_info=True)
    assert not any(info.values()), info
    assert model.config.pad_token_id == 0 and model.config.vocab_size == 3
    with torch.no_grad():
        theirs = model.eval()(input_values=torch.tensor(peers.AUDIO)).logits.numpy()
    states = run(net, params, x, "outputs").layers[-1]
    np.testing.assert_allclose(states @ head.kernel + head.bias, theirs, rtol=1e-4, atol=1e-4)
