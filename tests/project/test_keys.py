"""Messages name keys of the config as it is: each path in the code leads to a key of a block."""

import ast
import re
from pathlib import Path

import pytest

from lib.config import ClassifierZoo, Embedding, FieldZoo, Images, Study
from lib.config.data import Shapes
from lib.config.faults import block_in
from lib.config.spaces import ClassifierSpace, FieldSpace

LIB = Path(__file__).parents[2] / "workflow/lib"
TELLS_OLD_KEYS = {LIB / "config/moved.py"}
# Blocks that a place such as `zoos.<zoo>`, put in front of a key by the caller, may stand for.
PLACES = (ClassifierZoo, FieldZoo, Images, Shapes, ClassifierSpace, FieldSpace, Embedding)
WHOLE = re.compile(r"\b(engine|jobs)\.([a-z_]+)")
BELOW = re.compile(r"\{(?:where|place|ZOO)\}\.(?!ply|csv)([a-z_]+(?:\.[a-z_]+)*)")
OLD = re.compile(
    r"\b(?:zoo\.(?:training|instances|overrides|imported|shard_size|kernels|width|max_memory|"
    r"precision)|singlearch\.\w+|shapes\.(?:source|instances|training|embedder)|explore\.\w+|"
    r"images\.(?:path|source|size)|unseen\.left_out)\b"
)


def texts(path: Path) -> list[str]:
    """The texts in a module that are not docstrings; what is filled in stays in braces."""
    found = []
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            del body[0]
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (
                str(part.value)
                if isinstance(part, ast.Constant)
                else f"{{{ast.unparse(part.value)}}}"
                for part in node.values
            )
            found.append("".join(parts))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            found.append(node.value)
    return found


ALL = {path: texts(path) for path in sorted(LIB.rglob("*.py"))}


def leads(model: type, path: str) -> bool:
    """Whether a path of keys leads somewhere in a block."""
    key, _, rest = path.partition(".")
    if key not in model.model_fields:
        return False
    inside = block_in(model.model_fields[key].annotation)
    return not rest or inside is None or leads(inside, rest)


def test_keys_of_the_whole_study_are_there():
    found = {(m[1], m[2]) for path in ALL for text in ALL[path] for m in WHOLE.finditer(text)}
    found = {pair for pair in found if pair[0] in Study.model_fields}
    assert len(found) > 3
    for block, key in found:
        assert leads(Study, f"{block}.{key}"), f"{block}.{key}"


def test_keys_below_a_place_are_there():
    found = {m[1] for path in ALL for text in ALL[path] for m in BELOW.finditer(text)}
    assert {"training.learning_rate", "shard_size", "path"} <= found
    for key in found:
        assert any(leads(model, key.rstrip(".")) for model in PLACES), key


@pytest.mark.parametrize("path", sorted(ALL.keys() - TELLS_OLD_KEYS), ids=lambda path: path.stem)
def test_no_message_names_a_key_of_old_configs(path):
    for text in ALL[path]:
        assert not OLD.search(text), text


def test_what_the_tests_look_for_would_be_seen():
    assert OLD.search("lower zoo.training.learning_rate") and OLD.search(
        "raise singlearch.instances"
    )
    assert not OLD.search("lower zoos.mine.training.learning_rate")
    assert leads(ClassifierZoo, "training.learning_rate")
    assert not leads(ClassifierZoo, "training.rate")
