"""What has to fit together in a study whose open ends are filled in; each fault in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lib.config.faults import nearest
from lib.config.spaces import ClassifierSpace
from lib.config.study import Study
from lib.config.zoos import ClassifierZoo


def problems(study: Study) -> Iterator[str]:
    """What does not fit together, each with the key at fault."""
    yield from _engine(study)
    for name, zoo in study.zoos.items():
        if isinstance(zoo, ClassifierZoo):
            yield from _zoo(f"zoos.{name}", zoo)
    for name, space in study.spaces.items():
        yield from _variants(f"spaces.{name}.variants", list(space.variants))
        if isinstance(space, ClassifierSpace):
            yield from _space(f"spaces.{name}", space, study)


def _engine(study: Study) -> Iterator[str]:
    if study.device == "cuda" and study.engine.kernels == "compiled":
        yield "engine.kernels: compiled run on the CPU alone; device cuda needs engine.kernels vmap"
    if study.device == "cpu" and study.engine.precision != "float32":
        yield f"engine.precision: {study.engine.precision} needs device cuda"


def _zoo(place: str, zoo: ClassifierZoo) -> Iterator[str]:
    names = zoo.architectures or ()
    yield from _differ(f"{place}.architectures", names)
    named = {"overrides": zoo.overrides}
    if not isinstance(zoo.imported, str):
        named["imported"] = zoo.imported or {}
    for field, by_name in named.items():
        for name in by_name:
            if name not in names:
                yield (
                    f"{place}.{field}.{name}: is none of the zoo's architectures; "
                    f"{nearest(name, names, 'they are')}"
                )


def _space(place: str, space: ClassifierSpace, study: Study) -> Iterator[str]:
    names, zoo = space.architectures or (), study.zoos.get(space.zoo)
    yield from _differ(f"{place}.architectures", names)
    if isinstance(zoo, ClassifierZoo):
        held = zoo.architectures or ()
        for name in names:
            if name not in held:
                yield (
                    f"{place}.architectures: zoo {space.zoo} has no {name}; "
                    f"{nearest(name, held, 'it has')}"
                )
    yield from _teacher(place, space, study)
    if space.experiments.unseen:
        yield from _left_out(
            f"{place}.experiments.unseen.left_out", space.experiments.unseen.left_out, names
        )


def _teacher(place: str, space: ClassifierSpace, study: Study) -> Iterator[str]:
    name, zoo = space.teacher.zoo, study.zoos.get(space.zoo)
    if name is None or zoo is None:
        return
    other = study.zoos.get(name)
    if other is None:
        yield (
            f"{place}.teacher.zoo: there is no zoo {name}; {nearest(name, study.zoos, 'zoos are')}"
        )
    elif space.teacher.architecture:
        return  # it is trained, on the space's own images
    elif not isinstance(other, ClassifierZoo):
        yield f"{place}.teacher.zoo: {name} is a zoo of {other.kind}, which teach no classifiers"
    elif other.data != zoo.data:
        yield (
            f"{place}.teacher.zoo: {name} is a zoo over {other.data}, the space's own, "
            f"{space.zoo}, is over {zoo.data}; a teacher has to know the same images"
        )


def _left_out(
    place: str, sets: Sequence[Sequence[str]] | None, architectures: Sequence[str]
) -> Iterator[str]:
    if sets is None:
        return
    if not sets:
        yield f"{place}: names no set; ask for no `unseen` instead"
    inner = architectures[1:-1]
    for names in sets:
        if not names or len(set(names)) < len(names):
            yield f"{place}: expected different names, got {list(names)}"
        for name in names:
            if name not in inner:
                yield (
                    f"{place}: names {name}, which does not lie between the extremes: what is left "
                    f"out is reached by interpolation between {architectures[0]} and "
                    f"{architectures[-1]}, so it must be one of "
                    f"{', '.join(inner) or 'the architectures between them, here none'}"
                )
    if len({frozenset(names) for names in sets}) < len(sets):
        yield f"{place}: names the same set twice"


def _variants(place: str, names: Sequence[str]) -> Iterator[str]:
    kept: dict[str, str] = {}
    for name in names:
        if (other := kept.setdefault(name.lower(), name)) != name:
            yield (
                f"{place}.{name}: differs from {other} in case alone, and would replace its "
                "results where files are named without regard to case; give it another name"
            )


def _differ(place: str, names: Sequence[str]) -> Iterator[str]:
    if len(set(names)) < len(names):
        yield f"{place}: must differ, got {', '.join(names)}"
