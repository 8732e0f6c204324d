"""chat: a talk with a run."""

import sys

from ssljax.cli.console import Parser
from ssljax.use.chat import Chat


def chat(arguments: list[str]) -> None:
    """`ssljax chat`."""
    parser = Parser(
        "chat",
        "Answers what you type, line by line, with the last network of a run that has learned "
        "answers of dialogues. An empty line begins a new talk, Ctrl-D ends. The data of the run "
        "is not needed.",
    )
    parser.add_run()
    parser.add_argument(
        "--say",
        action="append",
        metavar="TEXT",
        help="say this in place of what is typed, and print the answer alone; repeat it to go on",
    )
    parser.add_argument("--temperature", type=float, help="above 0: draw tokens (default: 0)")
    parser.add_argument("--top-k", type=int, help="only the k likeliest tokens")
    parser.add_argument("--top-p", type=float, help="only so much probability")
    parser.add_argument("--seed", type=int, help="of the draws")
    args = parser.parse_all(arguments)
    names = ("temperature", "top_k", "top_p", "seed")
    how = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    talk = Chat(args.run, file=args.experiment, **how)
    if args.say is not None:
        for text in args.say:
            print(talk(text), flush=True)
        return
    asks = sys.stdin.isatty()
    while True:
        if asks:
            print("> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            break
        if not line.strip():
            talk.said.clear()
        else:
            print(talk(line), flush=True)
