"""Reproducibility: deterministic torch, digests, versions, code hashes."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from lib.core import devices
from lib.core.atomic import atomic as atomic

LIBRARIES = ("torch", "llvmlite", "numpy", "scipy", "h5py", "pandas", "scikit-learn")
LIBRARIES += ("scikit-image", "open3d", "open3d-cpu", "snakemake")  # PyPI's open3d without CUDA
ROOT = Path(__file__).parents[1]
# What a config says reaches the rules as values; messages, progress, checkpoints, how files reach
# the disk and which of several equal GPUs is used change no result.
UNHASHED = (
    "lib.core.atomic",
    "lib.core.checkpoint",
    "lib.config",
    "lib.core.devices",
    "lib.core.errors",
    "lib.core.progress",
)


def deterministic(threads: int = 1, device: str = "cpu") -> None:
    """Make torch repeatable: fixed thread count, deterministic kernels, no autotuning.

    The thread count is part of the result's definition (sums are split by it), so it comes from
    the config and not from the number of cores a scheduler happens to hand out. With `device`
    "cuda" the process takes a GPU (`lib.core.devices`).
    """
    devices.take(device)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 (hex) over the names, dtypes, shapes and raw bytes of arrays, in order of name.

    Raises:
        TypeError: an array holds Python objects, whose bytes are addresses.
    """
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if array.dtype.hasobject:
            raise TypeError(f"array {name!r} holds Python objects, which have no digest")
        sha.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def file_sha256(path: str | Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on (those installed)."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def code_hash(*modules: str) -> str:
    """Hash of the syntax trees of `lib` modules and of all they import inside `lib`.

    Comments, formatting and docstrings do not count, so editing them makes nothing stale. The
    packages above a module count too, since importing it runs them. Those of `UNHASHED` do not.

    Raises:
        ValueError: there is no such module.
    """
    trees = _trees(modules)
    text = "".join(f"{name}\0{trees[name]}\0" for name in sorted(trees))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_modules(*modules: str) -> list[str]:
    """The `lib` modules that `code_hash` of these modules covers."""
    return sorted(_trees(modules))


def _trees(modules: Sequence[str]) -> dict[str, str]:
    """The syntax trees, as text, of modules and of all they import, by name."""
    for module in modules:
        if not _source(module):
            raise ValueError(f"{module} is not a module of lib")
    todo, looked_at, trees = list(modules), set(modules), {}
    while todo:
        module = todo.pop()
        path = _source(module)
        if not path or any(f"{module}.".startswith(f"{name}.") for name in UNHASHED):
            continue
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        trees[module], imported = _parsed(path.read_bytes(), package)
        found = {module, *imported}
        found |= {name[:at] for name in found for at, letter in enumerate(name) if letter == "."}
        todo += found - looked_at
        looked_at |= found
    return trees


def _source(module: str) -> Path | None:
    if module.split(".")[0] != "lib":
        return None
    base = ROOT.joinpath(*module.split(".")[1:])
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


@cache
def _parsed(source: bytes, package: str) -> tuple[str, frozenset[str]]:
    """A module's syntax tree as text, without docstrings, and the names it imports."""
    tree = ast.parse(source)
    imported = frozenset(_imports(tree, package))
    return ast.dump(_without_docstrings(tree)), imported


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            origin = ".".join([*parents, node.module or ""]) if node.level else node.module
            origin = origin.rstrip(".")
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                del body[0]
    return tree
