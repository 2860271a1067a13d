"""The floors of `lib`: modules import from their own floor and those below, never in a circle."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIB = ROOT / "workflow/lib"
FLOORS = (
    ("core",),
    ("config", "data", "nets"),
    ("engine",),
    ("zoo",),
    ("embed",),
    ("experiments",),
    ("report",),
    ("cli", "study", "steps", "bench", "__main__"),
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def modules() -> dict[str, Path]:
    """Every module of lib, by its name without `lib.`; packages by their own."""
    found = {}
    for path in LIB.rglob("*.py"):
        parts = path.relative_to(LIB).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join(parts)] = path
    del found[""]
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of lib that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
            origin = node.module.removeprefix("lib").removeprefix(".")
            for alias in node.names:
                inside = f"{origin}.{alias.name}".removeprefix(".")
                found.add(inside if inside in known else origin)
        elif isinstance(node, ast.Import):
            found |= {a.name[4:] for a in node.names if a.name.startswith("lib.")}
    return found & known.keys()


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; none if there is no circle."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph[name]):
            if found := walk(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])


def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: imports(path, known) - {name} for name, path in known.items()}


def test_every_module_has_a_floor():
    assert {name.split(".")[0] for name in modules()} == FLOOR.keys()


def test_no_module_imports_from_a_floor_above_its_own():
    climbing = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in others
        if FLOOR[other.split(".")[0]] > FLOOR[name.split(".")[0]]
    ]
    assert not climbing


def test_no_modules_import_each_other_in_a_circle():
    assert not circle(graph())


def test_circles_and_climbing_would_be_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    found = imports(LIB / "embed/product.py", modules())
    assert {"core.errors", "nets"} & found and "zoo.store" in found


def test_rules_use_no_name_of_a_later_file():
    files = re.findall(r'include: "(.*)"', (ROOT / "Snakefile").read_text())
    texts = [(ROOT / file).read_text() for file in files]
    assert len(texts) > 5 and "images_of" in defined(texts[0]) & used(texts[1] + texts[2])
    for number, text in enumerate(texts):
        for earlier in range(number):
            assert not defined(text) & used(texts[earlier]), (files[number], files[earlier])


def defined(text: str) -> set[str]:
    """The functions and constants that a rules file defines."""
    return set(re.findall(r"(?m)^(?:def )?(\w+)(?= = |\()", text)) - {"rule"}


def used(text: str) -> set[str]:
    """The names in the code of a rules file, without keys of calls and parts of other names."""
    code = re.sub(r'"""(?:.|\n)*?"""|"[^"\n]*"|#.*', "", text)
    return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*\b(?!\s*=[^=])", code))
