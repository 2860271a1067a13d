"""Seeds, digests, atomic files, code hashes and versions."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

import lib
from lib.core import repro
from lib.core.repro import (
    atomic,
    code_hash,
    digest_arrays,
    file_sha256,
    versions,
)

LIB = Path(lib.__file__).parent
NAMES = st.lists(st.integers() | st.text("abc01:", max_size=4), max_size=4)


def test_digests_never_change():
    assert digest_arrays({}) == ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1, 2], np.int64)}
    assert digest_arrays(arrays) == (  # as `sha256sum` finds it for the same bytes
        "2b2ed78c5389956f8c86d981a0ab2392086e66fe993ed7cdff5b442d4f2764ca"
    )


def test_a_digest_is_of_content_not_of_order_or_memory_layout():
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    digest = digest_arrays({"x": rows, "y": rows[0]})
    assert digest_arrays({"y": rows[0].copy(), "x": rows}) == digest
    assert digest_arrays({"x": np.asfortranarray(rows), "y": rows[0]}) == digest
    assert digest_arrays({"x": np.repeat(rows, 2, 0)[::2], "y": rows[0]}) == digest


def test_a_digest_tells_names_dtypes_shapes_and_every_bit_apart():
    zeros = np.zeros(4, np.float32)
    tiny = zeros.copy()
    tiny[3] = np.float32(1e-45)
    negative = zeros.copy()
    negative[0] = -0.0
    variants = [
        {"x": zeros},
        {"y": zeros},
        {"x": zeros, "y": zeros},
        {"x": tiny},
        {"x": negative},
        {"x": zeros.astype(np.int32)},
        {"x": zeros.astype(">f4")},
        {"x": zeros.astype(np.float64)},
        {"x": zeros[None]},
        {"x": zeros.reshape(2, 2)},
        {"x": zeros[:0]},
        {"x": zeros[0]},
        {"x": zeros[:1]},
    ]
    assert len({digest_arrays(variant) for variant in variants}) == len(variants)


def test_python_objects_have_no_digest():
    with pytest.raises(TypeError, match="'x' holds Python objects"):
        digest_arrays({"x": np.array(["a", None], dtype=object)})


def test_file_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_sha256(tmp_path / "f") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_atomic_writes_beside_the_target_and_then_takes_its_place(tmp_path):
    target = tmp_path / "new" / "table.csv"
    with atomic(target) as temporary:
        assert temporary.parent == target.parent and temporary.suffix == ".csv"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    with atomic(target) as temporary:
        temporary.write_text("newer")
        assert target.read_text() == "new"
    assert target.read_text() == "newer"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(error), atomic(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("before", ["old", None])
def test_a_killed_write_leaves_the_old_file_or_none(tmp_path, before):
    target = tmp_path / "table.csv"
    if before:
        target.write_text(before)
    code = (
        "import os, signal, sys; from lib.core.repro import atomic\n"
        "with atomic(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, target], env=os.environ | {"PYTHONPATH": str(LIB.parent)}
    )
    assert ended.returncode == -signal.SIGKILL
    assert (target.read_text() if target.exists() else None) == before


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_an_atomic_file_has_the_permissions_of_any_other(tmp_path, umask, mode):
    old = os.umask(umask)
    try:
        with atomic(tmp_path / "f") as temporary:
            temporary.write_text("x")
        assert os.umask(umask) == umask
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode


FAKE = {
    "__init__.py": '"""Package."""\n',
    "base.py": "def base():\n    return 1\n",
    "middle.py": "from lib.base import base\n\nVALUE = base()\n",
    "top.py": '"""Top."""\nimport lib.middle\n\n\ndef top(x: int) -> int:\n    """Do."""\n'
    "    return x + lib.middle.VALUE\n",
    "other.py": "OTHER = 1\n",
    "lazy.py": "def lazy():\n    from lib import base\n    return base\n",
    "pack/__init__.py": "FLAG = 1\n",
    "pack/near.py": "NEAR = 1\n",
    "pack/relative.py": "from . import near\nfrom .deep import thing\nfrom ..other import OTHER\n",
    "pack/deep/__init__.py": "from .thing import *\n",
    "pack/deep/thing.py": "from ... import base\n",
    "cycle_a.py": "import lib.cycle_b\n",
    "cycle_b.py": "import lib.cycle_a, numpy.linalg\n",
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A small package in the place of `lib`; returns a function that edits one of its files."""
    root = tmp_path / "lib"
    for name, text in FAKE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(repro, "ROOT", root)

    def edit(name, old, new):
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return edit


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + lib.middle.VALUE", "(x  +  # why\n            lib.middle.VALUE)"),
        ('"""Top."""', "# no docstring"),
        ('"""Do."""', '"""Do something else."""'),
        ('    """Do."""\n', ""),
        ("import lib.middle\n", "\n\nimport lib.middle  # needed\n"),
    ],
)
def test_comments_formatting_and_docstrings_do_not_count(fake, old, new):
    before = code_hash("lib.top")
    fake("top.py", old, new)
    assert code_hash("lib.top") == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("top.py", "x +", "x -"),
        ("top.py", "x: int", "x: float"),
        ("middle.py", "VALUE = base()", "VALUE = base() + 0"),
        ("base.py", "return 1", "return 2"),
        ("base.py", "return 1", "return '1'"),
        ("__init__.py", '"""Package."""', "import os"),
    ],
)
def test_code_counts_and_so_does_all_it_imports(fake, name, old, new):
    before = code_hash("lib.top")
    fake(name, old, new)
    assert code_hash("lib.top") != before


def test_code_that_is_not_imported_does_not_count(fake):
    before = code_hash("lib.top")
    fake("other.py", "1", "2")
    fake("pack/near.py", "1", "2")
    fake("lazy.py", "return base", "return None")
    assert code_hash("lib.top") == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pack/near.py", "1", "2"),
        ("pack/deep/thing.py", "import base", "import base as b"),
        ("other.py", "1", "2"),
        ("base.py", "1", "2"),
        ("pack/__init__.py", "1", "2"),
    ],
)
def test_relative_imports_and_packages_above_count(fake, name, old, new):
    before = code_hash("lib.pack.relative")
    fake(name, old, new)
    assert code_hash("lib.pack.relative") != before


def test_imports_inside_functions_count(fake):
    before = code_hash("lib.lazy")
    fake("base.py", "1", "2")
    assert code_hash("lib.lazy") != before


def test_modules_that_import_each_other_and_several_modules(fake):
    assert code_hash("lib.cycle_a") == code_hash("lib.cycle_b")
    assert code_hash("lib.base", "lib.other") == code_hash("lib.other", "lib.base", "lib.other")
    assert code_hash("lib.base", "lib.other") != code_hash("lib.base")


@pytest.mark.parametrize("module", ["lib.nowhere", "numpy", "lib.pack.nowhere"])
def test_a_module_that_is_not_there_is_named(fake, module):
    with pytest.raises(ValueError, match=module):
        code_hash(module)


def test_a_change_of_the_report_or_the_store_does_not_retrain_the_zoo(tmp_path, monkeypatch):
    shutil.copytree(LIB, tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    before = code_hash("lib.engine.training.shard")
    monkeypatch.setattr(repro, "ROOT", tmp_path / "lib")
    assert code_hash("lib.engine.training.shard") == before
    for path in (
        p for part in ("report", "zoo/store") for p in (tmp_path / "lib" / part).rglob("*.py")
    ):
        path.write_text(path.read_text() + "\nCHANGED = 1\n")
    assert code_hash("lib.engine.training.shard") == before
    for name in ("engine/training/loop", "engine/kernels/conv", "engine/ensemble"):
        path = tmp_path / "lib" / f"{name}.py"
        path.write_text(path.read_text() + "\nCHANGED = 1\n")
        assert code_hash("lib.engine.training.shard") != before
        before = code_hash("lib.engine.training.shard")


def test_versions_name_python_and_the_installed_libraries(monkeypatch):
    found = versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    monkeypatch.setattr(repro, "LIBRARIES", ("numpy", "not-a-library"))
    assert versions().keys() == {"python", "numpy"}


@pytest.mark.parametrize(
    "module, independent_of",
    [
        (
            "lib.engine.training.shard",
            ("lib.zoo.store", "lib.embed", "lib.zoo.extract", "lib.report", "lib.config"),
        ),
        (
            "lib.zoo.extract",
            ("lib.embed", "lib.experiments", "lib.report", "lib.config"),
        ),
        ("lib.embed.job", ("lib.experiments", "lib.report")),
        ("lib.experiments.interpolation", ("lib.report",)),
        ("lib.report.page", ("lib.engine.training", "lib.embed")),
    ],
)
def test_a_step_is_stale_only_by_code_below_it(module, independent_of):
    covered = repro.code_modules(module)
    assert module in covered
    assert not [name for name in covered if name.startswith(independent_of)]
