"""What a study leaves open, filled in: kinds, architectures, embedders, experiments.

All of it follows from what the study says elsewhere. What cannot be filled in is said in lines such
as "spaces.mine.zoo: there is no zoo mien; did you mean mine? zoos are mine".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from lib.config.faults import NO_NAME, nearest, shown
from lib.config.layers import Layers, over
from lib.config.spaces import (
    FIELDS,
    ONE,
    SEVERAL,
    ClassifierExperiments,
    Experiments,
    FieldExperiments,
)
from lib.config.types import Name
from lib.config.zoos import Instances
from lib.core.errors import InputError

# The zoos that can be made of each kind of data.
ZOO_OF = {"images": "classifiers", "shapes": "fields"}
EXPERIMENTS = {"classifiers": ClassifierExperiments, "fields": FieldExperiments}
# What lies beside the folders of spaces, and in which no space can put its own.
TAKEN = ("data", "zoos", "logs", "benchmarks", "bench", "digests", "images", "report")
NAME = re.compile(get_args(Name)[1].metadata[0].pattern)

# Networks of each split that a zoo holds, by architecture.
Holds = Callable[[str], Mapping[str, Mapping[str, int]]]


def resolved(layers: Layers, holds: Holds) -> tuple[dict[str, Any], list[str]]:
    """The study as plain data with what follows filled in, and what is wrong with it.

    Args:
        layers: the study as its layers say it.
        holds: how many networks a zoo at a path holds; it may raise `InputError`.
    """
    problems: list[str] = []
    raw = dict(layers.raw)
    for group in ("data", "zoos", "spaces"):
        if isinstance(raw.get(group), Mapping):
            raw[group] = _named(group, raw[group], problems)
    data, zoos, spaces = (_blocks(raw.get(group)) for group in ("data", "zoos", "spaces"))
    for name, zoo in zoos.items():
        _fill_zoo(f"zoos.{name}", zoo, _all(raw, "data", data), holds, problems)
    for name, space in spaces.items():
        asked = {experiment for owner, experiment in layers.asked if owner == name}
        _fill_space(f"spaces.{name}", space, _all(raw, "zoos", zoos), asked, problems)
    if layers.chosen is not None:
        problems += _misnamed(layers.chosen, _all(raw, "spaces", spaces))
    for group, blocks in (("zoos", zoos), ("spaces", spaces)):
        if isinstance(raw.get(group), Mapping):
            raw[group] = raw[group] | blocks
    return raw, problems


def _all(raw: Mapping[str, Any], group: str, blocks: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a group by name, empty where one is no block (which Pydantic will say)."""
    entries = raw.get(group)
    return dict.fromkeys(entries if isinstance(entries, Mapping) else (), {}) | dict(blocks)


def _named(group: str, entries: Mapping[Any, Any], problems: list[str]) -> dict[str, Any]:
    """The entries whose names files can have, and no two of which would share a file."""
    kept: dict[str, Any] = {}
    for name, entry in entries.items():
        place, twin = f"{group}.{name}", name.lower() if isinstance(name, str) else ""
        alike = [other for other in kept if other.lower() == twin]
        if not isinstance(name, str) or not NAME.fullmatch(name):
            problems.append(f"{group}.{shown(name).strip(chr(39))}: {NO_NAME}")
        elif alike:
            problems.append(
                f"{place}: differs from {group}.{alike[0]} in case alone, and would replace its "
                "results where files are named without regard to case; give it another name"
            )
        elif group == "spaces" and twin in TAKEN:
            problems.append(
                f"{place}: the study keeps files of its own in results/{name}; give the space "
                "another name"
            )
        else:
            kept[name] = entry
    return kept


def _blocks(entries: Any) -> dict[str, dict[str, Any]]:
    """Copies of the entries that are blocks."""
    found = entries if isinstance(entries, Mapping) else {}
    return {name: dict(entry) for name, entry in found.items() if isinstance(entry, Mapping)}


def _fill_zoo(
    place: str, zoo: dict[str, Any], data: Mapping[str, Any], holds: Holds, problems: list[str]
) -> None:
    found = _looked_up(f"{place}.data", zoo.get("data"), data, ("data", "data are"), problems)
    kind = ZOO_OF.get(str(found.get("kind")))
    if kind and zoo.setdefault("kind", kind) != kind and _known(zoo["kind"]):
        problems.append(
            f"{place}.data: {zoo['data']} is {found['kind']}, which make a zoo of {kind}, not of "
            f"{zoo['kind']} (`kind`); a zoo over other data needs a name of its own"
        )
    zoo.setdefault("kind", "classifiers")
    if zoo["kind"] != "classifiers":
        return
    imported = zoo.get("imported")
    counts = _imported(place, imported, zoo.get("architectures"), holds, problems)
    if zoo.get("architectures") is None:
        names = list(imported) if isinstance(imported, Mapping) else list(counts)
        zoo["architectures"] = names or None
        if imported is None:
            problems.append(f"{place}.architectures: is required unless `imported` names a zoo")
    if zoo.get("instances") is None:
        zoo["instances"] = {}
        if isinstance(zoo.get("overrides", {}), Mapping):
            zoo["overrides"] = counts | dict(zoo.get("overrides", {}))
    problems += _too_few(place, zoo, counts)


def _too_few(
    place: str, zoo: Mapping[str, Any], counts: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Where a study asks for more networks than an imported zoo has."""
    lines = []
    for architecture, held in counts.items():
        overrides = zoo["overrides"] if isinstance(zoo.get("overrides"), Mapping) else {}
        own = architecture in overrides
        wanted = overrides[architecture] if own else zoo["instances"]
        if not isinstance(wanted, Mapping):
            continue
        key = f"overrides.{architecture}" if own else "instances"
        asked_for = Instances.model_construct(**wanted).model_dump(warnings=False)
        lines += [
            f"{place}.{key}.{split}: asks for {asked_for[split]} networks, the imported zoo holds "
            f"{count} healthy ones of {architecture}"
            for split, count in held.items()
            if isinstance(asked_for[split], int) and asked_for[split] > count
        ]
    return lines


def _imported(
    place: str, imported: Any, architectures: Any, holds: Holds, problems: list[str]
) -> dict[str, dict[str, int]]:
    """How many networks of each split an imported zoo has, by architecture."""
    if isinstance(imported, str):
        sources = [(None, imported)]
    elif isinstance(imported, Mapping):
        sources = list(imported.items())
    else:
        return {}
    wanted = _names(architectures)
    counts: dict[str, dict[str, int]] = {}
    for name, path in sources:
        if not isinstance(path, str) or not path:
            continue
        where = f"{place}.imported" + (f".{name}" if name else "")
        try:
            found = holds(path)
        except InputError as error:
            problems.append(f"{where}: {error}")
            continue
        for one in [name] if name else list(wanted or found):
            if one not in found:
                problems.append(f"{where}: {path} holds no {one}; {nearest(one, found, 'it has')}")
                continue
            lacking = [split for split, count in found[one].items() if not count]
            if lacking:
                problems.append(f"{where}: {path} holds no healthy {lacking[0]} network of {one}")
                continue
            counts[one] = dict(found[one])
    return counts


def _fill_space(
    place: str,
    space: dict[str, Any],
    zoos: Mapping[str, Any],
    asked: set[str],
    problems: list[str],
) -> None:
    zoo = _looked_up(f"{place}.zoo", space.get("zoo"), zoos, ("zoo", "zoos are"), problems)
    kind = zoo.get("kind")
    if _known(kind) and space.setdefault("kind", kind) != kind:
        if _known(space["kind"]):
            problems.append(
                f"{place}.zoo: {space['zoo']} is a zoo of {kind}, this is a space of "
                f"{space['kind']} (`kind`); a space over another kind of zoo needs a name of its "
                "own"
            )
    kind = space.setdefault("kind", "classifiers")
    if not _known(kind):
        return
    names = _names(space.get("architectures"))
    if kind == "classifiers" and space.get("architectures") is None:
        names = _names(zoo.get("architectures"))
        space["architectures"] = names or None
    preset = FIELDS if kind == "fields" else ONE if len(names) == 1 else SEVERAL
    if isinstance(given := space.get("embedder", {}), Mapping):
        space["embedder"] = over(preset.model_dump(), given)
    wanted = space.get("experiments", dict.fromkeys(EXPERIMENTS[kind].model_fields, {}))
    if isinstance(wanted, Mapping):
        space["experiments"] = _possible(
            f"{place}.experiments", wanted, EXPERIMENTS[kind], names, asked, problems
        )
    elif isinstance(wanted, Sequence):
        problems.append(f"{place}.experiments: must be names of experiments, got {shown(wanted)}")
        del space["experiments"]


def _known(kind: Any) -> bool:
    return isinstance(kind, str) and kind in EXPERIMENTS


def _names(value: Any) -> list[Any]:
    """What a list holds; nothing where it is none."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []


def _possible(
    place: str,
    wanted: Mapping[Any, Any],
    model: type[Experiments],
    architectures: list[Any],
    asked: set[str],
    problems: list[str],
) -> dict[str, Any]:
    """The experiments that can be made; what was asked for by name and cannot be is a problem."""
    made = {name: cfg for name, cfg in wanted.items() if name in model.model_fields}
    for name in wanted:
        if name not in made:
            problems.append(f"{place}.{name}: {_unknown(name, model)}")
    for name in list(made):
        if made[name] is None:
            continue
        if why := _impossible(name, made, model, architectures):
            if name in asked:
                problems.append(f"{place}.{name}: {why}")
            made[name] = None
    if len(architectures) == 1 and isinstance(cfg := made.get("interpolation"), Mapping):
        made["interpolation"] = {**cfg, "pairs": 0}  # of the first and the last architecture
    return made


def _unknown(name: Any, model: type[Experiments]) -> str:
    for kind, other in EXPERIMENTS.items():
        if name in other.model_fields:
            return f"is asked of spaces of {kind} alone; experiments here are " + ", ".join(
                model.model_fields
            )
    return f"no such experiment; {nearest(name, model.model_fields, 'experiments are')}"


def _impossible(
    name: str, made: Mapping[str, Any], model: type[Experiments], architectures: list[Any]
) -> str | None:
    """Why an experiment makes no sense for these architectures; None where it does."""
    if model is FieldExperiments:
        return None
    (block,) = (
        one for one in get_args(model.model_fields[name].annotation) if one is not type(None)
    )
    count, these = len(architectures), ", ".join(map(str, architectures))
    if architectures and count < block.architectures:
        return (
            f"needs {block.architectures} architectures or more, this space has {count} ({these})"
        )
    if name == "unseen_finetune" and made.get("unseen") is None:
        return "trains further what `unseen` generates; ask for `unseen` as well"
    cfg = made[name]
    if name == "interpolation" and isinstance(cfg, Mapping) and cfg.get("pairs_within") == 0:
        if count == 1 or cfg.get("pairs") == 0:
            return "has nothing to walk between; give `pairs_within` (of one architecture)"
    return None


def _looked_up(
    place: str,
    name: Any,
    known: Mapping[str, Any],
    words: tuple[str, str],
    problems: list[str],
) -> Mapping[str, Any]:
    """The entry of this name; empty, and a problem where it is a name, if there is none."""
    if isinstance(name, str) and name in known:
        return known[name]
    if isinstance(name, str):
        problems.append(f"{place}: there is no {words[0]} {name}; {nearest(name, known, words[1])}")
    return {}


def _misnamed(chosen: list[Any], spaces: Mapping[str, Any]) -> list[str]:
    """What is wrong with a list of spaces."""
    if not chosen:
        return ["spaces: an empty list; name the spaces to make"]
    lines = [
        f"spaces: there is no space {shown(name).strip(chr(39))}; "
        + nearest(name, spaces, "spaces are")
        for name in chosen
        if name not in list(spaces)
    ]
    twice = sorted({str(name) for name in chosen if chosen.count(name) > 1})
    return lines + [f"spaces: {name} is named twice" for name in twice]
