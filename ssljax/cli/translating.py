"""translate: sentences of one's own through a run."""

from pathlib import Path

from ssljax.cli.console import Parser, say
from ssljax.data.cells import read_text
from ssljax.use.translate import Translator, write_table


def translate(arguments: list[str]) -> None:
    """`ssljax translate`."""
    parser = Parser(
        "translate",
        "Translates sentences with the last network of a self-training run, by beam search unless "
        "a temperature says to draw. The data of the run is not needed.",
    )
    parser.add_run()
    parser.add_argument("--text", help="one sentence")
    parser.add_argument("--file", help="a text file with a sentence a line, maybe gzipped")
    parser.add_argument(
        "--out",
        help="table to write: text, translation and confidence, apart by tabs; --reader.back of a "
        "run in the other direction learns from it",
    )
    parser.add_argument("--beams", type=int, help="beginnings to keep; 1: the likeliest token")
    parser.add_argument(
        "--penalty", type=float, help="exponent of the length that log p is divided by"
    )
    parser.add_argument("--temperature", type=float, help="above 0: draw tokens, without beams")
    parser.add_argument("--top-k", type=int, help="only the k likeliest tokens")
    parser.add_argument("--top-p", type=float, help="only so much probability")
    parser.add_argument("--seed", type=int, help="of the draws")
    args = parser.parse_all(arguments)
    if (args.text is None) == (args.file is None):
        raise ValueError("name what to translate: either --text or --file")
    names = ("beams", "penalty", "temperature", "top_k", "top_p", "seed")
    how = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    texts = [args.text]
    if args.file is not None:
        if not Path(args.file).is_file():
            raise FileNotFoundError(f"there is no file {args.file}")
        texts = read_text(Path(args.file)).removesuffix("\n").split("\n")
    found = Translator(args.run, file=args.experiment, **how)(texts)
    if args.out is None:
        for one in found:
            print(one.translation)
        return
    write_table(args.out, found)
    mean = sum(one.confidence for one in found) / len(found)
    say(f"wrote {len(found):,} translations to {args.out}, mean confidence {mean:.3f}")
