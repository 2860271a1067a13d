"""`python -m lib COMMAND`: what can be done without running the workflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all is well, 1 if something given to it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except InputError as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return 1


def _add_config(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "config",
        help="write README.md, schema.json and config.yaml of a "
        "config folder, from the model of the configuration",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("config"),
        metavar="FOLDER",
        help="the config folder (default: config)",
    )
    parser.add_argument(
        "--check", action="store_true", help="only say which of them are out of date; 1 if any is"
    )
    parser.set_defaults(run=_config)


def _config(options: argparse.Namespace) -> int:
    from lib import config_docs

    names = (config_docs.drift if options.check else config_docs.write)(options.folder)
    for name in names:
        print(f"{options.folder / name}: {'out of date' if options.check else 'written'}")
    if options.check and names:
        print(f"run `python -m lib config {options.folder}`", file=sys.stderr)
    return int(options.check and bool(names))


def _add_encode(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "encode", help="encode networks into a file of latents, with a trained embedder"
    )
    parser.add_argument("embedder", type=Path, metavar="EMBEDDER", help="embedder.safetensors")
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="NETWORK",
        help="safetensors file of a state dict or, with --catalogue, id of a network",
    )
    parser.add_argument(
        "--catalogue", type=Path, metavar="CSV", help="the catalogue that holds the networks"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="safetensors file to write"
    )
    parser.set_defaults(run=_encode)


def _encode(options: argparse.Namespace) -> int:
    from lib.embed import files

    found = files.encode(options.embedder, options.networks, options.out, options.catalogue)
    for name, architecture in found.items():
        print(f"{name}: {architecture}")
    return 0


def _add_decode(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "decode", help="decode latents into networks, one safetensors file and JSON card each"
    )
    parser.add_argument("embedder", type=Path, metavar="EMBEDDER", help="embedder.safetensors")
    parser.add_argument("latents", type=Path, metavar="LATENTS", help="safetensors file of latents")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder to write networks to"
    )
    parser.add_argument(
        "--architecture", metavar="NAME", help="decode as this one, not as the predicted ones"
    )
    parser.set_defaults(run=_decode)


def _decode(options: argparse.Namespace) -> int:
    from lib.embed import files

    found = files.decode(options.embedder, options.latents, options.out, options.architecture)
    for name, architecture in found.items():
        print(f"{options.out / name}.safetensors: {architecture}")
    return 0


# Each adds one subcommand whose `run` imports what it needs, so that none waits for another's.
COMMANDS = (_add_config, _add_encode, _add_decode)


if __name__ == "__main__":
    sys.exit(main())
