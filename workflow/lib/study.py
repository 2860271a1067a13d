"""A study from plain data or a file: checked as a whole, before any work starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lib import nets
from lib.config import ConfigError, Embedding, Study
from lib.config.faults import faults
from lib.core.errors import InputError
from lib.core.untrusted import regular
from lib.embed.arm import find_arm

MOST = 100_000  # values in a config; aliases in YAML can stand for any number of them


def parse_study(raw: Any, where: str = "config") -> Study:
    """A checked study from plain data.

    Raises:
        ConfigError: naming each field at fault, its value and what is allowed.
    """
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where} is not a valid study:\n{faults(error, Study)}") from None
    if not _modest(raw):
        raise ConfigError(f"{where} is not a valid study: it holds more than {MOST} values")
    names = [("architectures", name) for name in study.architectures]
    names.append(("singlearch.architecture", study.singlearch.architecture))
    if study.teacher.architecture:
        names.append(("teacher.architecture", study.teacher.architecture))
    for field, name in names:
        with _blaming(field, where):
            nets.build(name, study.images.channels, study.images.size, 10)
    with _blaming("embedder.arm", where):
        find_arm(study.embedder.arm).check(study.embedder)
    for name in study.ablations:
        with _blaming(f"ablations.{name}", where):
            try:
                variant = study.variant(name)
            except ValidationError as error:
                raise ConfigError(faults(error, Embedding).strip()) from None
            find_arm(variant.arm).check(variant)
    with _blaming("shapes", where):
        nets.build_field(study.shapes.architecture, study.shapes.widths, study.shapes.omega)
    for field, part in (("singlearch", study.singlearch), ("shapes", study.shapes)):
        with _blaming(f"{field}.embedder.arm", where):
            find_arm(part.embedder.arm).check(part.embedder)
        for name in part.ablations:
            with _blaming(f"{field}.ablations.{name}", where):
                try:
                    variant = part.variant(name)
                except ValidationError as error:
                    raise ConfigError(faults(error, type(part)).strip()) from None
                except ValueError as error:
                    raise ConfigError(str(error)) from None
                find_arm(variant.embedder.arm).check(variant.embedder)
    return study


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


@contextmanager
def _blaming(field: str, where: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise ConfigError(f"{where} is not a valid study:\n  {field}: {error}") from None


def load_study(path: str | Path) -> Study:
    """A checked study from a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not plain YAML, or is no valid study.
    """
    try:
        raw = yaml.safe_load(regular(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    # Impossible dates and endless integers are ValueErrors, endless nesting is a RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not plain YAML: {error}") from None
    return parse_study(raw if raw is not None else {}, str(path))
