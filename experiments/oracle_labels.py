"""What rounds could give at best: the examples that they chose, with their true labels.

    python experiments/oracle_labels.py DATA LABELS OUT

DATA is data with all its labels, such as parquet:path/to/gtsrb. LABELS is the labels.parquet of a
round (RUN/seed0/rounds/02/labels.parquet); OUT a new .csv file with the same examples and weights
and the true class of each. A network is trained on it by, for instance,

    ssljax selftrain experiments/selftrain_gtsrb.py --data DATA --labels OUT --seeds 0
        --rounds.count 0 --no-full

(one line), whose "supervised" is the ceiling: what is missing there to all labels was lost by the
choice, and what the run of LABELS lacks to it by wrong labels. The examples must lie in memory in
the order in which they are stored, of which none was held out: data with a test split of its own.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ssljax.data import load
from ssljax.files import atomically


def main(data: str, labels: Path, out: Path) -> None:
    """Writes the table and says how many of the labels were right."""
    if out.exists():
        raise SystemExit(f"{out} is there already, and is left as it is: choose another name")
    pool = load(data)
    truth, classes = pool.labels(), pool.classes
    if truth is None or classes is None:
        raise SystemExit(f"{data} has no labels, of which the true ones could be taken")
    table = pq.read_table(labels)
    index = table["index"].to_numpy()
    place = {int(row): i for i, row in enumerate(pool.origin)}
    true = np.array([truth[place[int(i)]] for i in index])
    said = np.array(table["target"].to_pylist())
    weight = np.array(table["weight"].to_pylist(), np.float64)
    used = (weight > 0) & (true >= 0)

    def fill(fresh: Path) -> None:
        with fresh.open("w", newline="") as file:
            write = csv.writer(file)
            write.writerow(["index", "class", "weight"])
            for i, k, w in zip(index[used], true[used], weight[used], strict=True):
                write.writerow([i, classes[k], f"{w:g}"])

    atomically(out, fill)
    right = (said[used] == true[used]).mean() if said.ndim == 1 else float("nan")
    print(f"{used.sum()} examples, of which {right:.1%} were labelled rightly: {out}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit("python experiments/oracle_labels.py DATA LABELS OUT")
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
