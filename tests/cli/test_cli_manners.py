"""What a newcomer types before anything is trained: help, misspelt names, a first file."""

import json
import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import tyro
from conftest import ROOT
from PIL import Image

import ssljax
from ssljax import methods
from ssljax.cli import commands as cli
from ssljax.cli import start
from ssljax.cli.fields import fields
from ssljax.cli.flags import _REGISTRY, load_experiment, load_named, override
from ssljax.export import FAMILIES, FORMATS
from ssljax.probes import FineTune
from ssljax.report.sounds import wav_of
from ssljax.selftraining.plan import SelfTraining
from ssljax.training.metrics import Progress
from ssljax.training.steps import initial

SIMCLR = str(ROOT / "experiments" / "simclr_digits.py")


def fails(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*map(str, arguments)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def alone(code: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(code, shell=True, capture_output=True, text=True, cwd=ROOT, **options)


def test_what_needs_no_jax_does_not_import_it():
    for arguments in ("'--help'", "'list'", "'--version'"):
        code = f"import sys; from ssljax.cli.commands import main; main([{arguments}]); "
        done = alone(
            f"{sys.executable} -c \"{code}assert not sys.modules.keys() & {{'jax', 'numpy'}}\""
        )
        assert done.returncode == 0, done.stderr
    code = "import sys; from ssljax.cli.commands import main; main(['trian'])"
    done = alone(f'{sys.executable} -X importtime -c "{code}"')
    assert done.returncode == 2
    assert "did you mean train?" in done.stderr
    assert " jax\n" not in done.stderr


def test_list_is_quiet_where_nobody_reads_on():
    code = "from ssljax.cli.commands import main; main(['list'] )"
    done = alone(f'{sys.executable} -c "{code}" | head -1')
    assert done.stdout == "methods\n"
    assert done.stderr == ""


def test_list_knows_what_the_package_offers():
    assert set(start.methods()) == set(methods.__all__)
    assert start._formats() == FORMATS
    assert FORMATS["transformers"].endswith(", ".join(FAMILIES))


def test_one_version(capsys):
    cli.main(["--version"])
    assert capsys.readouterr().out == f"ssljax {ssljax.__version__}\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "ssljax.__version__"}


def test_the_nearest_flag(tmp_path, capsys):
    wrong = {
        "--stepps": "--steps",
        "--method.temprature": "--method.temperature",
        "--temperature": "--method.temperature",
        "--learning-rate=3": "--optimizer.learning-rate",
        "--wrkdir": "--workdir",
    }
    for flag, right in wrong.items():
        shown = fails(capsys, "train", SIMCLR, flag, "3")
        assert f"no flag {flag.partition('=')[0]}; did you mean {right}?" in shown
    assert "no flag takes this value" in fails(capsys, "train", SIMCLR, "--steps", "3", "4")
    assert "did you mean --format?" in fails(
        capsys, "export", "r", "--format", "timm", "--out", "o", "--fromat"
    )
    assert "did you mean --topology?" in fails(
        capsys, "compile", SIMCLR, "--topology", "v5e:4x4", "--toplogy", "x"
    )
    assert "did you mean BYOL?" in fails(capsys, "new", "byoll", tmp_path / "x.py")


def test_a_value_that_a_field_does_not_take_is_one_line(capsys):
    experiment = load_experiment(SIMCLR)
    wrong = {
        "--steps abc": "--steps abc: expected a whole number",
        "--steps=1e3": "--steps 1e3: expected a whole number",
        "--steps": "--steps needs a whole number",
        "--optimizer.learning-rate 0,3": "--optimizer.learning-rate 0,3: expected a number",
        "--method.encoder.widths 8 x": "--method.encoder.widths 8 x: expected whole numbers",
        "--optimizer.schedule cosin": "; did you mean cosine?",
        "--reader.channels 2": "--reader.channels 2: expected one of 1, 3 or None",
        "--reader.size 0": "size 0: the side of an image in pixels, at least 1",
        "--seed None": "--seed None: expected a whole number",
        "--trackers wandbb": "expected any of wandb, mlflow with spaces between them; did you mean",
    }
    for flags, says in wrong.items():
        with pytest.raises(ValueError, match=re.escape(says)) as caught:
            override(experiment, flags.split())
        assert "\n" not in str(caught.value)
    assert override(experiment, ["--reader.channels", "None", "--steps=7"]).steps == 7
    out = ("export", "r", "--out", "o", "--format")
    shown = fails(capsys, *out, "safetensor")
    assert shown.count("\n") == 1 and "did you mean safetensors?" in shown
    shown = fails(capsys, "sample", "r", "--top-k", "many")
    assert shown == "ssljax sample: error: --top-k many: expected a whole number\n"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("import nothing_of_this_name\n", 1, "nothing_of_this_name"),
        ("x = 1\ndef f(:\n", 2, "SyntaxError"),
        ("from ssljax.methods import SimCLR\n\nSimCLR(\n    temprature=3)\n", 3, "temprature"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", 2, "ZeroDivisionError"),
    ],
)
def test_a_broken_file_is_named_by_its_line(tmp_path, capsys, source, line, says):
    file = tmp_path / "broken.py"
    file.write_text(source)
    shown = fails(capsys, "train", file)
    assert f"{file}, line {line}: " in shown
    assert says in shown
    assert "Traceback" not in shown
    assert shown.count("\n") < 5


def test_a_field_of_another_kind_is_named(tmp_path, capsys):
    file = tmp_path / "x.py"
    cli.main(["new", "simclr", str(file)])
    written = file.read_text()
    for old, new, says in (
        ("steps=1000,", 'steps="1000",', "steps is '1000': expected a whole number"),
        ("steps=1000,", "steps=1000, evaluation=None,", "evaluation is None: expected Evaluation"),
        ("rate=2e-3", "rate=None", "optimizer.learning_rate is None: expected a number"),
    ):
        file.write_text(written.replace(old, new))
        assert f"{file}: {says}" in fails(capsys, "train", file, "--workdir", tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_file_for_another_command(tmp_path, capsys):
    cli.main(["new", "student", str(tmp_path / "s.py")])
    assert "use ssljax selftrain" in fails(capsys, "train", tmp_path / "s.py")


def test_short_help_and_long_help(capsys):
    texts = {}
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["train", SIMCLR, flag])
        assert stopped.value.code == 0
        texts[flag] = capsys.readouterr().out
    short, whole = texts["--help"].splitlines(), texts["--help-all"]
    assert len(short) < 60
    assert "  --method.temperature 0.5" in short
    assert "  --workdir DIR" in texts["--help"]
    assert "--method.view.brightness" not in texts["--help"]
    assert "  --method.view.brightness 0.4" in whole.splitlines()


@pytest.mark.parametrize("file", ["simclr_digits", "fixmatch_cifar10", "byol_cifar10"])
def test_the_fields_that_help_shows_are_those_that_are_read(capsys, file):
    experiment = load_experiment(str(ROOT / "experiments" / f"{file}.py"))
    with pytest.raises(SystemExit), _REGISTRY:
        tyro.cli(
            type(experiment),
            default=experiment,
            args=["--help"],
            config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff),
        )
    theirs = set(re.findall(r"--[a-z0-9.-]+[a-z0-9]", capsys.readouterr().out))
    ours = {f.flag for f in fields(experiment) if not f.leaves_out}  # of which tyro knows nothing
    in_sentences = {"--format", "--method.temperature"}
    assert ours <= theirs
    assert theirs - ours <= in_sentences | {"--help"}


@pytest.fixture(scope="module")
def starting_files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("new")
    found = {name: folder / f"{name.lower()}.py" for name in start.methods()}
    for name, file in found.items():
        file.write_text(start.starting_file(name, file))
    return found


def loaded(file: Path):
    if file.stem in ("student", "unimatch"):
        return load_named(str(file), "SELFTRAIN", SelfTraining)
    return load_experiment(str(file))


def test_every_method_has_a_starting_file_and_every_field_is_described(starting_files):
    for name, file in starting_files.items():
        experiment = loaded(file)
        if name not in ("Student", "UniMatch"):
            assert type(experiment.method).__name__ == name
            experiment.cadence.check(experiment.steps)
        silent = [field.flag for field in fields(experiment) if not field.text]
        assert not silent, name
    assert all(field.text for field in fields(FineTune()))


def test_a_starting_file_is_written_once(tmp_path, capsys):
    file = tmp_path / "deep" / "mine.py"
    cli.main(["new", "SIM-CLR", str(file)])
    assert f"ssljax train {file}" in capsys.readouterr().out
    before = file.read_text()
    assert "is there already" in fails(capsys, "new", "byol", file)
    assert file.read_text() == before
    assert "mine.py" in fails(capsys, "new", "byol", tmp_path / "mine.txt")


def traced(file: Path, folder: Path, **fields) -> None:
    """Builds what `file` describes and traces one step, without compiling it."""
    experiment = override(load_experiment(str(file)), [f"--{k}={v}" for k, v in fields.items()])
    train, _ = experiment.load(folder)
    feed = experiment.feed(train)
    method = experiment.build(feed)
    state = jax.eval_shape(
        partial(initial, method, spec=feed.spec, batch=experiment.batch), jax.random.key(0)
    )
    rows = {k: jax.ShapeDtypeStruct((experiment.batch, *s), d) for k, (s, d) in feed.spec.items()}
    after, metrics = jax.eval_shape(method.step, state, rows, jax.random.key(0))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert "loss" in metrics


def test_a_starting_file_runs(starting_files, tmp_path):
    traced(starting_files["SimCLR"], tmp_path)


@pytest.mark.slow
def test_all_starting_files_run(starting_files, tmp_path, shared_data):
    (tmp_path / "t.txt").write_text((shared_data / "tinyshakespeare.txt").read_text()[:60_000])
    own = {"text": f"text:{tmp_path / 't.txt'}", "audio": f"audio:{shared_data / 'fsdd.zip'}"}
    own |= {"graph": f"graph:{shared_data / 'cora'}", "triples": f"triples:{shared_data / 'umls'}"}
    own |= {"interactions": f"interactions:{shared_data / 'ml-100k'}"}
    own |= {"midi": f"midi:{shared_data / 'nottingham.zip'}"}
    own |= {"video": f"video:{tmp_path / 'videos'}", "ts": f"ts:{shared_data / 'basicmotions'}"}
    own |= {"dialogues": f"dialogues:{shared_data / 'sgd'}"}
    own |= {"manifest": f"manifest:{tmp_path / 'said.jsonl'}"}
    said = [json.dumps({"audio_filepath": f"{i}.wav", "text": "hello"}) for i in range(32)]
    (tmp_path / "said.jsonl").write_text("\n".join(said))
    for i in range(32):
        (tmp_path / f"{i}.wav").write_bytes(wav_of(np.zeros(4000), 8000))
    for i in range(2):
        (tmp_path / "videos" / f"{i}").mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "videos" / f"{i}" / "frame.png")
    for name, file in starting_files.items():
        if name in ("Student", "UniMatch", "SCAN", "SelfLabel"):  # no Experiment, or needs a run
            continue
        data = load_experiment(str(file)).data
        folder = tmp_path / name
        folder.mkdir()
        traced(file, folder, data=own.get(data.partition(":")[0], data))


def test_progress_without_a_terminal_is_a_line_now_and_then(caplog):
    caplog.set_level("INFO", logger="ssljax")
    rare, often = Progress(100, every=1e9), Progress(100, every=0.0)
    for progress in (rare, often):
        caplog.clear()
        progress.say("compiling")
        for step in (10, 50, 90, 100):
            progress.write(step, {"loss": 1.5, "machine/examples_per_second": 1234.0})
        progress.write(100, {"eval/knn": 0.5})
        progress.close()
        progress.lines = list(caplog.messages)
    line = "step %d/100  loss 1.5000  1,234 examples/s"
    assert rare.lines == [line % 10, line % 100]  # the first and the last
    assert often.lines == [line % step for step in (10, 50, 90, 100)]
