"""prepare: pictures written once, small, for training to read fast."""

from pathlib import Path

from ssljax.cli.console import Parser, say
from ssljax.data.part import part_of
from ssljax.data.prepare import prepare as prepared


def prepare(arguments: list[str]) -> None:
    """`ssljax prepare`."""
    parser = Parser(
        "prepare",
        "Writes the pictures of some data once, small, as Parquet shards of which training reads "
        "each picture by itself: --data parquet:OUT gives the same examples in the same order, "
        "the pixels of larger ones as JPEG of quality 95 keeps them. A call that was killed goes "
        "on where it was.",
    )
    parser.add_argument("data", metavar="SPEC", help="such as folder:PATH or tfds:imagenet2012")
    parser.add_argument("--out", required=True, help="folder to write, new or begun by this")
    parser.add_argument(
        "--size", type=int, default=256, help="shorter side in pixels (default: 256)"
    )
    parser.add_argument("--label", help="column of Parquet files that is the class")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        default="0/1",
        help="each N-th shard alone, from I on (0 to N - 1): for N machines, or a job array",
    )
    args = parser.parse_all(arguments)
    part = part_of(args.shard)
    done = prepared(args.data, Path(args.out), size=args.size, label=args.label, part=part)
    say(
        f"{args.out} holds {done.pictures:,} pictures in {done.written + done.there} of "
        f"{done.shards} shards, {done.written} of them new"
    )
    if done.left_out:
        more = f"\n  and {len(done.left_out) - 20} more" if len(done.left_out) > 20 else ""
        named = "\n  ".join(done.left_out[:20])
        say(f"{len(done.left_out)} that cannot be read are left out:\n  {named}{more}")
    if done.written + done.there == done.shards:
        say(f"train from it with --data parquet:{args.out}")
