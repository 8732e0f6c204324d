"""What the README shows works as it stands there."""

import re

import numpy as np
import pytest
from conftest import ROOT

from ssljax.cli import commands as cli

README = (ROOT / "README.md").read_text()


def test_the_method_in_one_file_trains(tmp_path, capsys):
    (source,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    file = tmp_path / "mine.py"
    file.write_text(source)
    folder = tmp_path / "run"
    small = ["--steps", "4", "--batch", "32", "--evaluation.draws", "1"]
    cli.main(["train", str(file), "--workdir", str(folder), *small])
    assert "trained" in capsys.readouterr().out
    assert np.load(folder / "report.npz")["features"].shape[1] == 128


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"(?:experiments|ssljax|tests)/[\w/]+\.py", README)))
)
def test_files_that_are_named_exist(path):
    assert (ROOT / path).is_file()


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^ssljax (\w+) ", README, re.M))))
def test_commands_that_are_named_exist(command):
    assert command in cli.COMMANDS
