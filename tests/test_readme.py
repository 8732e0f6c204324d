"""What the README and the pages of docs/ show works as it stands there."""

import dataclasses
import re
import shlex

import numpy as np
import pytest
from conftest import ROOT

from ssljax import methods
from ssljax.cli import commands as cli
from ssljax.cli import pods, training
from ssljax.nets import MLP, SmallConv
from ssljax.probes import Evaluation
from ssljax.runs.record import load_file
from ssljax.runs.run import run
from ssljax.views import ImageView

FRONT = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
PAGES = [
    *FRONT,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())
TWO = """```bash
pip install -e . && ssljax train experiments/simclr_digits.py
pip install -e '.[test]' && python -m pytest -n 2
```"""


def commands() -> list[str]:
    """All `ssljax ...` of code blocks and of sentences, without comments, each once."""
    shown = re.findall(r"```bash\n(.*?)```", ALL, re.S) + re.findall(r"`(ssljax [^`]+)`", ALL)
    lines = [line for block in shown for line in block.replace("\\\n", " ").splitlines()]
    found = {part for line in lines for part in re.findall(r"ssljax [^#&|;]*", line)}
    plain = (one.strip() for one in found)
    return sorted({one if one.count('"') % 2 == 0 else one.removesuffix('"') for one in plain})


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _python(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", TEXTS[page], flags=re.DOTALL)


def test_the_method_in_one_file_trains(tmp_path, capsys):
    (source,) = _python("docs/new-method.md")
    file = tmp_path / "mine.py"
    file.write_text(source)
    folder = tmp_path / "run"
    left_out = ("few-shot", "clustering", "retrieval", "spectrum", "lidar")
    small = ["--steps", "4", "--batch", "32", *(f"--evaluation.no-{name}" for name in left_out)]
    cli.main(["train", str(file), "--workdir", str(folder), *small])
    assert "trained" in capsys.readouterr().out
    assert np.load(folder / "report.npz")["features"].shape[1] == 128


@pytest.mark.turns
def test_an_evaluator_of_ones_own_trains(tmp_path):
    """The class of the page as it stands, with a small network in place of the usual one."""
    file = tmp_path / "mine.py"
    file.write_text(_python("docs/evaluators.md")[-1])
    own = load_file(file).EXPERIMENT
    few = Evaluation(linear=None, knn=None, few_shot=None, clustering=None, retrieval=None)
    view = ImageView(size=8, flip=0.0, grayscale=0.0, blur=0.0)
    small = methods.SimCLR(encoder=SmallConv(widths=(4,)), projector=MLP(widths=(4,)), view=view)
    few = dataclasses.replace(few, lidar=None, more=own.evaluation.more, split_seeds=1)
    results = run(
        dataclasses.replace(own, method=small, evaluation=few, steps=1, batch=32), tmp_path / "run"
    )
    found = results["evaluation"]
    assert found["encoders"]["pixels"]["length"] > found["encoders"]["trained"]["length"] > 0
    assert found["notes"][-1] == "length: mean norm of the features of the training data"
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"{found['encoders']['pixels']['length']:.2f}" in page  # and not in percent


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"(?:experiments|ssljax|tests)/[\w/]+\.py", ALL)))
)
def test_files_that_are_named_exist(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", TEXTS[page], flags=re.S))
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page}: {link}"


def test_every_page_is_linked_from_the_front():
    for front in ("README.md", "README.zh-CN.md"):
        for page in set(TEXTS) - {front}:
            assert f"({page})" in TEXTS[front], f"{front} does not lead to {page}"


def test_nothing_is_left_to_fill_in():
    assert "@@" not in ALL


class Parsed(Exception):
    """Raised in place of the work of a command: its arguments were understood."""


def _parsed(*args, **kwargs):
    raise Parsed


@pytest.mark.parametrize("command", commands())
def test_commands_and_their_flags_are_understood(command, tmp_path, monkeypatch, capsys):
    """Each goes through the real parser; what it would compute is left out."""
    for module, work in (
        *((training, name) for name in ("run", "run_self_training", "run_sweep")),
        *((pods, name) for name in ("compile_report", "profile")),
    ):
        monkeypatch.setattr(module, work, _parsed)
    monkeypatch.chdir(tmp_path)
    name, *arguments = shlex.split(command)[1:] or ["--help"]
    if name.isupper() or name == "...":  # "ssljax COMMAND --help"
        return
    assert name.startswith("--") or name in cli.COMMANDS, f"there is no command {name}"
    if "--coordinator" in arguments:  # would wait for other hosts
        arguments = arguments[: arguments.index("--coordinator")]
    if "..." in arguments or not arguments:
        return
    file = arguments[0]
    if file.startswith("experiments/"):
        arguments[0] = str(ROOT / file)
    elif name == "new":
        arguments = [arguments[0].replace("METHOD", "simclr"), "x.py"]
    elif file == "FILE" or file.endswith(".py"):
        arguments[0] = str(tmp_path / "mine.py")
        cli.main(["new", "student" if name == "selftrain" else "simclr", arguments[0]])
    try:
        cli.main([name, *arguments])
    except Parsed:
        return
    except SystemExit as stopped:
        shown = capsys.readouterr().err
        refused = ("no flag", "usage:", "no command", "no method", "does not define")
        if stopped.code and any(words in shown for words in refused):
            pytest.fail(shown)


@pytest.mark.parametrize("front", ["README.md", "README.zh-CN.md"])
def test_the_front_page_is_one_page_with_two_commands(front):
    text = TEXTS[front]
    rows = [line for line in text.splitlines() if line.startswith("| [")]  # one for each method
    assert len(text.splitlines()) - len(rows) <= 65
    first = re.search(r"```bash\n.*?```", text, re.S)[0]
    assert re.sub(r" +#.*", "", first) == TWO
    assert all(f"| [{name}](ssljax/methods/" in text for name in methods.__all__)


def test_both_front_pages_have_the_same_rows():
    def rows(text: str) -> list[list[str]]:
        """Links and numbers of each row of the table of results."""
        found = [
            line for line in text.splitlines() if line.startswith("| [") and line.count("|") == 5
        ]
        return [re.findall(r"\([^)]*\.py\)|\d[\d.]*", line) for line in found]

    english, chinese = (rows(TEXTS[front]) for front in ("README.md", "README.zh-CN.md"))
    assert len(english) > len(methods.__all__)
    assert english == chinese
