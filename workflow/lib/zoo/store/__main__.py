"""`python -m lib.zoo.store verify FILE...` and `python -m lib.zoo.store list CATALOGUE`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lib.core.errors import InputError
from lib.zoo.store import Catalogue, Header, read_header, verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all is well, 1 if a file has a problem."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.zoo.store", description="Look after a zoo."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("verify", help="check shards: one line for each file")
    checking.add_argument("files", nargs="+", type=Path, metavar="FILE")
    listing = commands.add_parser("list", help="count the networks of a catalogue")
    listing.add_argument("catalogue", type=Path, metavar="CATALOGUE")
    options = parser.parse_args(arguments)
    if options.command == "list":
        return _list(options.catalogue)
    try:
        from lib.zoo.store.registered import problems as further
    except ModuleNotFoundError as error:
        print(f"without {error.name} layouts are not compared with architectures", file=sys.stderr)
        further = None
    return max([_verify(path, further) for path in options.files])


def _verify(path: Path, further: Callable[[Header], list[str]] | None) -> int:
    problems = verify(path, further)
    if problems:
        rest = [line.removeprefix(f"{path}: ") for line in problems]
        print(f"{path}: " + "; ".join(" ".join(line.split()) for line in rest))
        return 1
    header = read_header(path)
    print(
        f"{path}: ok ({header.n} networks of {header.architecture}, {header.parameters} "
        f"parameters, content {header.sha256[:16]})"
    )
    return 0


def _list(path: Path) -> int:
    try:
        frame = Catalogue.load(path).frame
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    for (architecture, split, status), group in frame.groupby(
        ["architecture", "split", "status"], sort=False
    ):
        print(f"{architecture}\t{split}\t{status}\t{len(group)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
