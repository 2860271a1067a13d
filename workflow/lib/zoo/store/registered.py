"""Whether a shard's layout is that of the architecture registered under its name.

Apart from the rest of the package, because it needs the networks themselves: torch and `lib.nets`.
"""

from __future__ import annotations

import torch

from lib import nets
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout
from lib.zoo.store.format import ShardError, problem
from lib.zoo.store.header import Header


def check_layout(header: Header) -> bool:
    """Compare a shard's layout with the architecture's own, built with the stored arguments.

    Returns:
        False if there is nothing to compare with: the architecture is not registered here, or the
        shard does not say what it was built for.

    Raises:
        ShardError: the layouts differ, or the architecture cannot be built with these arguments.
    """
    name, arguments = header.architecture, header.arguments
    if name not in (*nets.names(), *nets.fields()) or not arguments:
        return False
    said = ", ".join(f"{key} {value}" for key, value in sorted(arguments.items()))
    # Arguments are data: on the device "meta" whatever size they ask for takes no memory.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            field = name in nets.fields()
            module = (nets.build_field if field else nets.build)(name, **arguments)
            module = fused_skeleton(module)
        except Exception as error:  # arguments are data: whatever they make a builder do
            raise problem(
                header.path,
                f"the attribute 'arguments': {name} cannot be built with {said}: {error}",
            ) from error
    if what := _difference(header.layout, Layout.of(module).to_json()):
        raise problem(
            header.path, f"the attribute 'layout' is not that of {name} with {said}: {what}"
        )
    return True


def problems(header: Header) -> list[str]:
    """The same as a list of problems, for `lib.zoo.store.verify`."""
    try:
        check_layout(header)
    except ShardError as error:
        return [str(error)]
    return []


def _difference(stored: list[dict], expected: list[dict]) -> str:
    """The first entry in which two layouts differ; empty if none does."""
    for one, other in zip(stored, expected, strict=False):
        if one != other:
            return f"{_shown(one)} is stored, {_shown(other)} expected"
    if len(stored) != len(expected):
        return f"{len(stored)} parameters are stored, {len(expected)} expected"
    return ""


def _shown(entry: dict) -> str:
    return f"{entry['name']} {entry['shape']} ({entry['kind']})"
