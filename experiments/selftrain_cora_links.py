"""The same as `selftrain_cora.py`, but the first labels spread over the citations.

    ssljax selftrain experiments/selftrain_cora_links.py --data graph:path/to/cora

No network is asked in the first round: a paper is what the papers are that it cites or that cite
it, and those around them (label spreading, Zhou et al. 2004). From then on the network labels.

Measured on two shared CPU cores, 2026-11-30, three seeds, last step, from 3 of each field: 64.4 +-
2.7 supervised, 69.1 +- 7.3 after three rounds, 85.3 +- 0.1 with all labels; 80.9, 85.0, 85.1 of the
pseudo-labels right. The network's own first labels (84.8) are no worse, and its rounds vary less.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.pseudolabels.generate import Model, Neighbors
from ssljax.runs.record import load_file

_SAME = load_file(Path(__file__).with_name("selftrain_cora.py")).SELFTRAIN

SELFTRAIN = replace(
    _SAME, rounds=replace(_SAME.rounds, generate=(Neighbors(by="links"), Model(), Model()))
)
