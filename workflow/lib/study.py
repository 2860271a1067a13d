"""A study from plain data, files and the command line: checked as a whole, before any work."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lib import nets
from lib.config import ClassifierSpace, ConfigError, FieldSpace, FieldZoo, Images, Space, Study
from lib.config.checks import problems
from lib.config.faults import MOST as MOST_FAULTS
from lib.config.faults import faults
from lib.config.layers import Layers, merged
from lib.config.moved import moved
from lib.config.resolve import resolved
from lib.core.errors import InputError
from lib.core.untrusted import regular
from lib.embed.arm import FieldArm, SettingError, find_arm

MOST = 100_000  # values in a config; aliases in YAML can stand for any number of them
NOTHING = {"null": None, "~": None}  # as `--config` gives them inside blocks


def study_of(config: Mapping[str, Any], settings: Any) -> Study:
    """The study of a run of Snakemake.

    From below: the workflow's `config/config.yaml`, the files given with `--configfile`, and
    `--config`. Where `config` is not what these make (the workflow is a module of another, which
    gives it a config, or is included there), it is taken as a layer over the default study.

    Args:
        config: Snakemake's merged config.
        settings: its `workflow.config_settings`.

    Raises:
        ConfigError: see `parse_study`.
    """
    lowest = read(Path(__file__).parents[2] / "config/config.yaml")
    files = {str(path): read(path) for path in settings.configfiles}
    layers = [lowest, *files.values(), settings.config]
    if _as_snakemake(layers) != config:
        return parse_study(config)
    where = ", ".join([*files, *(["--config"] if settings.config else [])])
    return _parse(merged_checked(where, *layers[:-1], _with_nothing(settings.config)), where)


def parse_study(raw: Any, where: str = "config") -> Study:
    """A checked study from plain data, over the default study.

    Raises:
        ConfigError: naming each field at fault, its value and what is allowed.
    """
    return _parse(merged_checked(where, Study().model_dump(), raw), where)


def load_study(*paths: str | Path) -> Study:
    """A checked study from YAML files, each over the one before, the first over the default study.

    Raises:
        ConfigError: a file cannot be read, is not plain YAML, or they are no valid study.
    """
    where = ", ".join(map(str, paths))
    return _parse(merged_checked(where, Study().model_dump(), *map(read, paths)), where)


def merged_checked(where: str, lowest: Mapping[str, Any], *layers: Any) -> Layers:
    """Layers over the lowest one (see `merged`), none of which is too large or of an older form.

    Raises:
        ConfigError: one of them is.
    """
    for layer in layers:
        if not _modest(layer):
            raise _invalid(where, [f"it holds more than {MOST} values"])
        if isinstance(layer, Mapping) and (lines := moved(layer)):
            told = "\n".join(f"  {line}" for line in lines)
            raise ConfigError(
                f"{where} is of an older version; data, zoos and spaces have names now "
                f"(config/README.md), and keys have moved:\n{told}"
            )
    return merged(lowest, *layers)


def read(path: str | Path) -> Any:
    """The plain data of a YAML file; an empty one is an empty block.

    Raises:
        ConfigError: it cannot be read, is not plain YAML, or holds a key twice.
    """
    try:
        raw = yaml.load(regular(path).read_text(encoding="utf-8"), Loader)  # noqa: S506 (it is safe)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    # Impossible dates and endless integers are ValueErrors, endless nesting is a RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not plain YAML: {error}") from None
    return raw if raw is not None else {}


class Loader(yaml.SafeLoader):
    """YAML's safe loader, for which a key that stands twice in a block is an error."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """See `yaml.composer.Composer`."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    problem = f"the key {key.value} stands twice in one block"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return node


def _parse(layers: Layers, where: str) -> Study:
    raw, lines = layers.raw, []
    if isinstance(raw, Mapping):
        raw, lines = resolved(layers, _holds)
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise _invalid(where, [*lines, *faults(error, Study).strip().split("\n  ")]) from None
    lines += problems(study)
    lines = lines or _unbuildable(study)
    if lines:
        raise _invalid(where, lines)
    chosen = layers.chosen if layers.chosen is not None else layers.named
    return study.making(chosen or study.spaces)


def _invalid(where: str, lines: list[str]) -> ConfigError:
    if len(lines) > MOST_FAULTS + 1:
        lines = [*lines[:MOST_FAULTS], f"and {len(lines) - MOST_FAULTS} more"]
    return ConfigError(f"{where} is not a valid study:\n" + "\n".join(f"  {one}" for one in lines))


def _holds(path: str) -> dict[str, dict[str, int]]:
    from lib.zoo.exchange.opening import healthy

    return healthy(path)


def _unbuildable(study: Study) -> list[str]:
    """What no network or embedder can be built from."""
    lines: list[str] = []
    for name, zoo in study.zoos.items():
        with _noting(f"zoos.{name}.architectures", lines):
            if isinstance(zoo, FieldZoo):
                nets.build_field(zoo.architecture, zoo.widths, zoo.omega)
            else:
                _build(zoo.architectures, study.data[zoo.data])
    for name, space in study.spaces.items():
        place = f"spaces.{name}"
        if isinstance(space, ClassifierSpace) and space.teacher.architecture:
            with _noting(f"{place}.teacher.architecture", lines):
                _build([space.teacher.architecture], study.data[study.zoos[space.zoo].data])
        _check_embedder(f"{place}.embedder", space, lines)
        for variant in space.variants:
            _check_variant(f"{place}.variants.{variant}", space, variant, lines)
    return lines


def _build(architectures: Iterable[str], images: Images) -> None:
    for name in architectures:
        nets.build(name, images.channels, images.size, 10)


def _check_variant(place: str, space: Space, variant: str, lines: list[str]) -> None:
    try:
        changed = space.variant(variant)
    except ValidationError as error:
        found = faults(error, type(space)).strip().split("\n  ")
        lines += [f"{place}.{line}" for line in found]
    except ValueError as error:
        lines.append(f"{place}: {error}")
    else:
        _check_embedder(f"{place}.embedder", changed, lines)


def _check_embedder(place: str, space: Space, lines: list[str]) -> None:
    try:
        arm = find_arm(space.embedder.arm)
    except InputError as error:
        lines.append(f"{place}.arm: {error}")
        return
    if issubclass(arm, FieldArm) and not isinstance(space, FieldSpace):
        lines.append(
            f"{place}.arm: {space.embedder.arm} holds fields, this is a space of {space.kind}"
        )
    try:
        arm.check(space.embedder)
    except SettingError as error:
        lines.append(str(error.at(place)))


@contextmanager
def _noting(place: str, lines: list[str]) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        lines.append(f"{place}: {error}")


def _modest(raw: Any) -> bool:
    """Whether plain data hold at most `MOST` values, those that are named twice counted twice."""
    todo, count = [raw], 0
    while todo and count <= MOST:
        value = todo.pop()
        count += 1
        if isinstance(value, Mapping):
            todo += value.values()
        elif isinstance(value, list | tuple):
            todo += value[: MOST + 1]
    return count <= MOST


def _with_nothing(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block whose values that read `null` are None, at any depth."""
    found = {}
    for key, value in block.items():
        if isinstance(value, Mapping):
            value = _with_nothing(value)
        found[key] = NOTHING.get(value, value) if isinstance(value, str) else value
    return found


def _as_snakemake(layers: list[Any]) -> dict[str, Any]:
    """What Snakemake makes of some layers."""
    found: dict[str, Any] = {}
    for layer in layers:
        _update(found, copy.deepcopy(layer))
    return found


def _update(below: dict[str, Any], above: Any) -> None:
    for key, value in above.items() if isinstance(above, Mapping) else ():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _update(below[key], value)
        else:
            below[key] = dict(value) if isinstance(value, Mapping) else value
