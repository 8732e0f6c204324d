"""The benchmark runs, agrees with its peer, and writes what others read."""

import json
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "experiments" / "benchmarks" / "kmeans.py"


def test_benchmark(tmp_path):
    out = tmp_path / "out.json"
    sizes = ["--rows", "600", "--dimensions", "8", "--clusters", "4", "--rounds", "2"]
    subprocess.run([sys.executable, str(FILE), *sizes, "--json", str(out)], check=True)
    found = json.loads(out.read_text())
    assert [row["what"].split()[1] for row in found["ratios"]] == ["lloyd", "whole"]
    for row in found["ratios"]:
        assert 0 < row["lowest"] <= row["ratio"] <= row["highest"]
    a, b = found["results"][0]["inertia"].values()
    assert abs(a[0] / b[0] - 1) < 1e-5
    assert a[0] == a[1]  # one start, whatever the round
