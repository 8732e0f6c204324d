"""CoDEx-S as a graph of nodes with one type each, for `selftrain_codex.py`.

    python experiments/codex_graph.py path/to/codex_s --out codex_graph

Reads the training triples, train.txt, and entity_types.json, and writes edges.csv (head, tail,
relation) and target.csv (node, type). An entity of Wikidata has several types; here it has the one
that most entities have, and none where fewer than `--least` entities are left in that.
"""

import argparse
import collections
import csv
import json
from pathlib import Path


def main(arguments: list[str] | None = None) -> dict[str, int]:
    """Writes both tables; how many entities each type has."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, new or empty")
    parser.add_argument("--least", type=int, default=20, help="entities that a type has at least")
    args = parser.parse_args(arguments)
    lines = (args.folder / "train.txt").read_text().split("\n")
    triples = [line.split("\t") for line in lines if line.strip()]
    for i, triple in enumerate(triples):
        if len(triple) != 3:
            parser.error(f"train.txt, triple {i + 1}: not a head, a relation and a tail")
    types = json.loads((args.folder / "entity_types.json").read_text())
    called = json.loads((args.folder / "type_names.json").read_text())
    counts = collections.Counter(t for held in types.values() for t in held)
    best = {e: max(held, key=lambda t: (counts[t], t)) for e, held in types.items() if held}
    left = collections.Counter(best.values())
    kept = {t: n for t, n in left.most_common() if n >= args.least}
    args.out.mkdir(parents=True, exist_ok=True)
    if any(args.out.iterdir()):
        parser.error(f"{args.out} is not empty: name a new folder")
    with (args.out / "edges.csv").open("w", newline="") as file:
        edges = [(head, tail, relation) for head, relation, tail in triples]
        csv.writer(file).writerows([("head", "tail", "relation"), *edges])
    with (args.out / "target.csv").open("w", newline="") as file:
        rows = [(e, called.get(t, t)) for e, t in best.items() if t in kept]
        csv.writer(file).writerows([("node", "type"), *rows])
    found = {called.get(t, t): n for t, n in kept.items()}
    print("\n".join(f"{name}: {n}" for name, n in found.items()))
    return found


if __name__ == "__main__":
    main()
