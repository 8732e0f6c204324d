"""A run to transformers and back through the command line: weights, tokenizer, and a new start."""

import contextlib
import json

import jax
import numpy as np
import pytest

from ssljax.cli import commands as cli
from ssljax.cli.flags import load_experiment
from ssljax.data import tokens as tok
from ssljax.export import load_start
from ssljax.runs.folder import prepare
from ssljax.runs.load import load_run
from ssljax.training.train import fit

pytest.importorskip("tokenizers", reason="text readers need it")
WORDS = ("the", "cat", "saw", "a", "dog", "and", "sun", "fell", "on", "old", "stones", "door")
TEXT = """
from ssljax.data import Text
from ssljax.runs.experiment import Experiment
from ssljax.methods import {method}
from ssljax.nets import {net}
from ssljax.training.optimizers import Optimizer
from ssljax.probes import Evaluation
from ssljax.training.train import Cadence

EXPERIMENT = Experiment(
    method={method}(encoder={net}(vocab=60, width=16, depth=1, heads=2, {fields})),
    data="text:{data}", reader=Text(length=16, vocab=60, unit="line"{reader}),
    optimizer=Optimizer(learning_rate=0.1, per_batch=None, warmup=0), steps=2, batch=8,
    cadence=Cadence(log=1, save=2, evaluate=0, monitor=0),
)
"""
IMAGES = """
from ssljax.runs.experiment import Experiment
from ssljax.methods import MAE
from ssljax.nets import Decoder, ViT
from ssljax.training.train import Cadence
from ssljax.views import ImageView

EXPERIMENT = Experiment(
    method=MAE(
        encoder=ViT(patch=2, width=16, depth=1, heads=2, positions="sincos"),
        decoder=Decoder(width=8, depth=1, heads=2), view=ImageView(size=8),
    ),
    steps=2, batch=32, cadence=Cadence(log=1, save=2, evaluate=0, monitor=0),
)
"""
BERT_FIELDS = "hidden=32, length=16, dropout=0.0, attention_dropout=0.0"
FEW = ["--evaluation.few-shot.draws", "1", "--evaluation.split-seeds", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))) for _ in range(200)]
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text("\n".join(lines))
    return path


def written(folder, source):
    """An experiment file and what it defines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.py").write_text(source)
    return load_experiment(folder / "experiment.py")


def trained(folder, source):
    """A run folder with a checkpoint, without the evaluation at the end."""
    experiment, run = written(folder, source), folder / "run"
    prepare(experiment, run)
    data, _ = experiment.load(run)
    options = {"steps": experiment.steps, "batch": experiment.batch, "folder": run}
    fit(experiment.build(data), data, cadence=experiment.cadence, **options)
    return run


@pytest.fixture(scope="module")
def bert(data, tmp_path_factory):
    """(the experiment's text, its run, what was exported, what was imported again)."""
    folder = tmp_path_factory.mktemp("bert")
    fields = {"method": "BERT", "net": "Bert", "fields": BERT_FIELDS, "reader": ""}
    source = TEXT.format(data=data, **fields)
    run = trained(folder, source)
    cli.main(["export", str(run), "--format", "transformers", "--out", str(folder / "model")])
    cli.main(["import", str(folder / "model"), "--out", str(folder / "w.safetensors")])
    return source, run, folder / "model", folder / "w.safetensors"


def state_of(run):
    return jax.device_get(load_run(run)[2])


def test_weights_and_tokenizer_of_a_run_load(bert, data):
    transformers = pytest.importorskip("transformers", reason="its models read what we write")
    _, run, model, _ = bert
    auto = transformers.AutoModelForMaskedLM
    _, info = auto.from_pretrained(model, output_loading_info=True)
    assert not any(info.values()), info
    read = transformers.AutoTokenizer.from_pretrained(model)
    experiment, *_, train, _ = load_run(run)
    rows = next(train.once(200))
    texts = data.read_text().split("\n")
    found = read(texts, padding="max_length", truncation=True, max_length=16)
    theirs = set(zip(map(tuple, found["input_ids"]), map(tuple, found["attention_mask"])))
    mine = rows["tokens"].tolist(), (rows["segments"] > 0).astype(int).tolist()
    different = {(tuple(t), tuple(m)) for t, m in zip(*mine)} - theirs
    assert len(different) <= 1  # the training split ends within a line
    assert 0 in rows["segments"]
    pair = read("the cat", "a dog")
    assert pair["token_type_ids"] == sorted(pair["token_type_ids"])
    assert sum(pair["token_type_ids"]) == 3
    special = (read.pad_token_id, read.unk_token_id, read.cls_token_id, read.sep_token_id)
    assert (*special, read.mask_token_id) == (0, 1, 2, 3, 4)
    assert read.model_max_length == experiment.reader.length
    assert read.decode(read("the cat saw")["input_ids"], skip_special_tokens=True) == "the cat saw"


def test_training_begins_from_imported_weights(bert, tmp_path, capsys):
    source, run, model, _ = bert
    cli.main(["import", str(model), "--out", str(tmp_path / "again.safetensors")])
    shown = capsys.readouterr().out
    assert "bert with encoder, head" in shown
    flags = shown.strip().splitlines()[-1].split()
    assert flags[:2] == ["--begin", str(tmp_path / "again.safetensors")]
    still = ["--optimizer.learning-rate", "0.0", "--optimizer.weight-decay", "0.0"]
    written(tmp_path, source)
    few = ["--evaluation.few-shot.draws", "1", "--evaluation.split-seeds", "1"]
    new = tmp_path / "new"
    file = str(tmp_path / "experiment.py")
    cli.main(["train", file, "--workdir", str(new), *flags, *still, *few])
    old, begun = state_of(run).params, state_of(new).params
    jax.tree.map(np.testing.assert_array_equal, begun, old)
    assert (new / tok.FILE).read_text()
    found = json.loads((new / "results.json").read_text())["evaluation"]["encoders"]
    assert found["trained"] != found["random"]  # which stays what it was


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(a) for a in arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_refused(bert, tmp_path, capsys):
    source, run, model, weights = bert
    written(tmp_path, source)
    train = ("train", tmp_path / "experiment.py", "--workdir", tmp_path / "run")
    error = refused(capsys, *train, "--begin", weights, "--method.encoder.heads", "4")
    assert "heads is 2 in the file and 4 here" in error
    assert "there is no file" in refused(capsys, *train, "--begin", tmp_path / "no.safetensors")
    out = ("--format", "transformers", "--out", model)
    assert "there already" in refused(capsys, "export", run, *out)
    out = ("--format", "timm", "--out", tmp_path / "t.safetensors")
    assert "choose transformers for texts" in refused(capsys, "export", run, *out)
    assert not (tmp_path / "run").exists()
    assert "no config.json" in refused(capsys, "import", tmp_path, "--out", tmp_path / "w")


@pytest.mark.parametrize("command", ["export", "import"])
def test_help(command, capsys):
    with contextlib.suppress(SystemExit):
        cli.main([command, "--help"])
    shown = capsys.readouterr().out
    assert f"usage: ssljax {command}" in shown
    assert "transformers" in shown


def test_a_gpt_of_windows(data, tmp_path):
    transformers = pytest.importorskip("transformers", reason="its models read what we write")
    reader = ', tokenizer="characters", layout="windows"'
    fields = {"method": "GPT", "net": "GPT2", "fields": "length=16", "reader": reader}
    run = trained(tmp_path, TEXT.format(data=data, **fields))
    out = tmp_path / "model"
    cli.main(["export", str(run), "--format", "transformers", "--out", str(out)])
    _, info = transformers.AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(info.values()), info
    read = transformers.AutoTokenizer.from_pretrained(out)
    experiment, *_ = load_run(run)
    mine = experiment.reader.prepared(experiment.data, run)
    text = "the cat saw a dog"
    assert read(text)["input_ids"] == mine.encode(text).tolist()
    assert read.decode(read(text)["input_ids"]) == text


def test_an_mae_of_images(tmp_path):
    transformers = pytest.importorskip("transformers", reason="its models read what we write")
    run, out = trained(tmp_path, IMAGES), tmp_path / "model"
    cli.main(["export", str(run), "--format", "transformers", "--out", str(out)])
    kind = transformers.AutoModelForPreTraining
    model, info = kind.from_pretrained(out, output_loading_info=True)
    assert not any(info.values()), info
    config = model.config
    assert (config.image_size, config.num_channels, config.mask_ratio) == (8, 1, 0.75)
    assert config.norm_pix_loss is True
    told = json.loads((out / "preprocessor_config.json").read_text())
    assert told["size"] == {"height": 8, "width": 8}
    assert len(told["image_mean"]) == 1  # one channel
    weights = tmp_path / "w.safetensors"
    cli.main(["import", str(out), "--out", str(weights)])
    experiment, _, state, *_ = load_run(run)
    params, stats = load_start(weights, experiment.method.networks)
    assert stats == {}
    jax.tree.map(np.testing.assert_array_equal, params, jax.device_get(state.params))
