"""`python -m lib COMMAND`: what can be done without running the workflow."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.core.errors import InputError

STEPS_LEFT = 75  # exit status, "temporary failure" in sysexits.h


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
    from lib.config import docs as config_docs

    names = (config_docs.drift if options.check else config_docs.write)(options.folder)
    for name in names:
        print(f"{options.folder / name}: {'out of date' if options.check else 'written'}")
    if options.check and names:
        print(f"run `python -m lib config {options.folder}`", file=sys.stderr)
    return int(options.check and bool(names))


def _add_check(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "check",
        help="check configs of others before Snakemake reads them: they are read as plain data, "
        "where Snakemake would run the expressions of a file that says __use_yte__",
    )
    parser.add_argument("configs", nargs="+", type=Path, metavar="YAML", help="config files")
    parser.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from lib.study import load_study

    for path in options.configs:
        study = load_study(path)
        print(f"{path}: a valid study ({study.name}, results in {study.results})")
    return 0


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


def _add_neighbours(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "neighbours", help="list the networks of a catalogue whose latents are nearest to one's"
    )
    parser.add_argument("embedder", type=Path, metavar="EMBEDDER", help="embedder.safetensors")
    parser.add_argument(
        "network", metavar="NETWORK", help="id of a network of the catalogue, or safetensors file"
    )
    parser.add_argument(
        "--catalogue", type=Path, required=True, metavar="CSV", help="the networks to look among"
    )
    parser.add_argument("--architecture", nargs="+", metavar="NAME", help="only of these")
    parser.add_argument("--split", nargs="+", metavar="SPLIT", help="only of these")
    parser.add_argument("-k", type=int, default=10, metavar="K", help="how many (default: 10)")
    parser.set_defaults(run=_neighbours)


def _neighbours(options: argparse.Namespace) -> int:
    from lib.experiments.neighbours import neighbours

    names = ("architecture", "split", "k")
    chosen = {name: getattr(options, name) for name in names}
    found = neighbours(options.embedder, options.network, options.catalogue, **chosen)
    print(found.to_csv(sep="\t", index=False, float_format="%.6g"), end="")
    return 0


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export", help="write networks of a zoo as safetensors, with a JSON card each"
    )
    parser.add_argument(
        "zoo", type=Path, metavar="ZOO", help="catalogue, shard or folder of shards"
    )
    parser.add_argument("--architecture", nargs="+", metavar="NAME", help="only of these")
    parser.add_argument("--split", nargs="+", metavar="SPLIT", help="only of these")
    parser.add_argument(
        "--status", nargs="+", default=["ok"], metavar="STATUS", help="only of these (default: ok)"
    )
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="only networks that meet it, such as 'validation_accuracy >= 0.9'",
    )
    parser.add_argument("--ids", nargs="+", metavar="ID", help="only these networks")
    parser.add_argument(
        "--checkpoints", action="store_true", help="intermediate checkpoints too, not only results"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder to write networks to"
    )
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from lib.zoo.exchange.export import export

    _show_progress()
    names = ("architecture", "split", "status", "where", "ids", "checkpoints")
    chosen = {name: getattr(options, name) for name in names}
    written = export(options.zoo, options.out, **chosen)
    print(f"{options.out}: {len(written)} networks")
    return 0


def _add_import(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "import", help="make shards and a catalogue of a published zoo or a folder of networks"
    )
    parser.add_argument(
        "format", choices=("small-cnn-zoo", "model-zoo-dataset", "folder"), metavar="FORMAT",
        help="small-cnn-zoo, model-zoo-dataset or folder",
    )  # fmt: skip
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the unpacked folder")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="new folder for the zoo"
    )
    parser.add_argument(
        "--checkpoints",
        metavar="WHICH",
        help="published zoos: final (default), all, or numbers such as 20,86",
    )
    parser.add_argument(
        "--architecture", metavar="NAME", help="folder: architecture of networks without a card"
    )
    parser.add_argument(
        "--table", type=Path, metavar="CSV", help="folder: what is known of its networks"
    )
    parser.add_argument(
        "--size", type=int, metavar="PIXELS", help="image size, where the source leaves it open"
    )
    parser.add_argument(
        "--shares", type=float, nargs=2, default=(0.15, 0.15), metavar=("VALIDATION", "TEST"),
        help="shares of validation and test networks (default: 0.15 0.15)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="decides which those are (default: 0)")
    parser.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> int:
    from lib.zoo.exchange import formats
    from lib.zoo.exchange.importing import describe, write_zoo

    given = {
        name: value
        for name in ("checkpoints", "architecture", "table", "size")
        if (value := getattr(options, name)) is not None
    }
    _show_progress()
    source = formats.read(options.format, options.source, given)
    zoo = write_zoo(source, options.out, tuple(options.shares), options.seed)
    for line in describe(zoo.frame):
        print(line)
    for what, count in source.skipped.items():
        print(f"{count} {what}", file=sys.stderr)
    return 0


def _add_run(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "run", help="work off a plan of a study's steps, without Snakemake (docs/guides/steps.md)"
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="what workflow/plan.py wrote")
    parser.add_argument("--rule", nargs="+", default=[], metavar="RULE", help="only these rules")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="stop after so many; status 75 says that steps are left, for the same command again",
    )
    parser.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="steps side by side (default: 1)"
    )
    parser.add_argument("--list", action="store_true", help="only say which steps are done")
    parser.add_argument("--step", type=int, metavar="K", help="run step K, done or not")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from lib import steps

    if options.step is not None:
        steps.execute(steps.read_plan(options.plan)[options.step])
        return 0
    if options.list:
        for step in steps.chosen(options.plan, options.rule):
            print(f"{step.number:4} {'done' if step.done() else 'to do'}  {step.label}")
        return 0
    left = steps.work_off(options.plan, options.rule, options.minutes, options.at_once)
    print(f"{left} steps are left: run the same command again" if left else "all steps are done")
    return STEPS_LEFT if left else 0


def _show_progress() -> None:
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("lib").setLevel(logging.INFO)


# Each adds one subcommand whose `run` imports what it needs, so that none waits for another's.
COMMANDS = (
    _add_config,
    _add_check,
    _add_encode,
    _add_decode,
    _add_neighbours,
    _add_export,
    _add_import,
    _add_run,
)
