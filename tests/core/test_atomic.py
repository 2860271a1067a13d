"""Files are whole or not there: after a kill, on a full disk, in a folder of somebody else's."""

import errno
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

import lib
from disks import disk
from lib.core import atomic as core_atomic
from lib.core.atomic import WriteError, atomic, atomic_hdf5, check_folder, scratch
from lib.core.progress import job
from lib.core.tensors import save_file
from lib.data.meshes import write_mesh
from lib.zoo.store import write_shard
from shards import make

LIB = Path(lib.__file__).parents[1]
KILLED = """
import os, signal, sys
from lib.core.atomic import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_text('half')
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(target):
    """A process that is killed while it writes a file."""
    environment = os.environ | {"PYTHONPATH": str(LIB)}
    ended = subprocess.run([sys.executable, "-c", KILLED, target], env=environment)
    assert ended.returncode == -signal.SIGKILL


def test_what_a_killed_process_left_goes_with_the_next_write_of_that_file_alone(tmp_path):
    one, other = tmp_path / "shard_[0].h5", tmp_path / "shard_[1].h5"
    for target in (one, other):
        killed(target)
    assert len(list(tmp_path.iterdir())) == 2
    with atomic(one) as temporary:
        temporary.write_text("whole")
    left = [path.name for path in tmp_path.iterdir() if path != one]
    assert one.read_text() == "whole" and len(left) == 1 and left[0].startswith(".shard_[1].")


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    target = tmp_path / "table.csv"
    with atomic(target) as first:
        with atomic(target) as second:
            first.write_text("first")
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first" and list(tmp_path.iterdir()) == [target]


def test_an_hdf5_file_is_read_as_it_was_written_and_has_the_same_bytes_again(tmp_path):
    for name in ("a.h5", "b.h5"):
        with atomic_hdf5(tmp_path / name) as file:
            file.attrs["what"] = "numbers"
            rows = file.create_dataset("rows", (0, 3), np.float32, maxshape=(None, 3))
            for k in range(20):
                rows.resize(k + 1, axis=0)
                rows[k] = k
            file.create_group("more")["x"] = np.arange(10_000)
            assert not (tmp_path / name).exists()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["what"] == "numbers" and file["rows"][:, 2].tolist() == [*range(20)]
        assert np.array_equal(file["more/x"], np.arange(10_000))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


VALUES = np.random.default_rng(0).random((2000, 6))


def _tensors(path):
    with atomic(path) as temporary:
        save_file({"values": torch.from_numpy(VALUES)}, temporary)


def _table(path):
    with atomic(path) as temporary:
        pd.DataFrame(VALUES).to_csv(temporary, index=False)


def _page(path):
    with atomic(path) as temporary:
        temporary.write_text("x" * 60_000)


def _hdf5(path):
    with atomic_hdf5(path) as file:
        for k in range(3):
            file[f"values/{k}"] = VALUES


WRITERS = {
    "shard.h5": lambda path: write_shard(path, make(200)),
    "images.h5": _hdf5,
    "shape.ply": lambda path: write_mesh(path, VALUES[:, :3], np.zeros((4000, 3), np.int32)),
    "weights.safetensors": _tensors,
    "table.csv": _table,
    "page.html": _page,
}


def test_tensors_are_written_to_one_file_with_the_bytes_of_safetensors(tmp_path, monkeypatch):
    tensors = {"b": torch.randn(3, 4), "a": torch.arange(5), "none": torch.empty(0, 2)}
    for metadata in (None, {"engine": "x"}):
        safetensors.torch.save_file(tensors, tmp_path / "theirs", metadata)
        save_file(tensors, tmp_path / "ours", metadata)
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    monkeypatch.setattr(os, "rename", None)
    monkeypatch.setattr(os, "replace", None)
    save_file(tensors, tmp_path / "ours")
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "theirs"}


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_fills_up_leaves_the_whole_file_or_a_clear_error(tmp_path, name):
    write = WRITERS[name]
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    full = tmp_path / "full"
    pages = -(-len(whole) // 4096)
    with disk(full, 4 * pages) as resize:
        for room in sorted({1, pages // 3, pages // 2, pages - 1}):
            (full / "other").write_bytes(b"x" * 4096 * (pages - room))
            with pytest.raises(WriteError) as error:
                write(full / name)
            assert re.fullmatch(
                rf"{re.escape(str(full / name))} cannot be written: No space left on device in "
                rf"{full} \(0\.\d MB free\); make room there, then run the same command again: "
                "what is finished is kept",
                str(error.value),
            )
            assert [path.name for path in full.iterdir()] == ["other"]
        resize(4 * pages + 64)
        (full / "other").unlink()
        write(full / name)
        assert (full / name).read_bytes() == whole


def test_a_job_on_a_full_disk_says_so_on_the_terminal(tmp_path, capsys):
    with disk(tmp_path / "full", 16):
        for k in range(5):
            with pytest.raises(SystemExit), job("zoo", tmp_path / "full/zoo.log") as log:
                log.info("begins")
                with atomic(tmp_path / f"full/fill_{k}") as temporary:
                    temporary.write_bytes(b"x" * 100_000)
            said = capsys.readouterr().err
            assert "begins" in said and "failed: " in said and "No space left on device" in said
            assert "Traceback" not in said and "Logging error" not in said
            try:
                (tmp_path / f"full/pad_{k}").write_bytes(b"x" * 4096)
            except OSError:
                (tmp_path / "full/zoo.log").unlink(missing_ok=True)


def test_a_read_only_folder_is_named(tmp_path):
    with disk(tmp_path / "results", 64, "ro"):
        with pytest.raises(WriteError, match="Read-only file system.*make it writable, or name"):
            with atomic(tmp_path / "results/new/table.csv"):
                pass
        with pytest.raises(WriteError, match=f"{tmp_path}/results is on a read-only file system"):
            check_folder(tmp_path / "results/tiny/deeper")


def test_a_folder_of_somebody_else_is_named(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o555)
    code = (
        "import os, sys; os.getuid() or os.setuid(65534)\n"
        "from lib.core.atomic import WriteError, atomic, check_folder\n"
        "def write(path):\n    with atomic(path): pass\n"
        "for act in (check_folder, write):\n"
        "    try:\n        act(sys.argv[1])\n"
        "    except WriteError as error:\n        print(error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o755)
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import lib.core.atomic\n{code}",
            tmp_path / "theirs/results/table.csv",
        ],
        env=os.environ | {"PYTHONPATH": str(LIB)},
        capture_output=True,
        text=True,
    )
    theirs = f"{tmp_path}/theirs"
    first, second = ended.stdout.splitlines() or pytest.fail(ended.stderr)
    assert f"the folder {theirs} may not be written to; make it writable" in first
    assert f"table.csv cannot be written: Permission denied in {theirs}; make it" in second


def test_a_folder_that_is_there_or_can_be_made_is_fine_and_a_file_is_not(tmp_path):
    check_folder(tmp_path)
    check_folder(tmp_path / "a/b")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match="file is a file, expected a folder"):
        check_folder(tmp_path / "file/results")


# --- file systems that know less ----------------------------------------------------------------


def failing(monkeypatch, function, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, function, fail)


@pytest.mark.parametrize(
    ("function", "number"),
    [("fsync", errno.EINVAL), ("fsync", 524), ("chmod", errno.EPERM), ("chmod", errno.ENOTSUP)],
)
def test_care_that_a_file_system_does_not_know_is_no_failed_write(
    tmp_path, monkeypatch, caplog, function, number
):
    monkeypatch.setattr(core_atomic, "_told", set())
    failing(monkeypatch, function, number)
    with caplog.at_level(logging.WARNING, "lib"):
        for name in ("a", "b"):
            with atomic(tmp_path / name) as temporary:
                temporary.write_text(name)
    assert (tmp_path / "a").read_text() == "a" and (tmp_path / "b").read_text() == "b"
    assert caplog.text.count("going on") == 1 and str(tmp_path) in caplog.text


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_what_says_that_bytes_did_not_reach_the_disk_stays_an_error(tmp_path, monkeypatch, number):
    (tmp_path / "a").write_text("old")
    failing(monkeypatch, "fsync", number)
    with pytest.raises((OSError, WriteError)), atomic(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_link_that_leads_nowhere_is_named_with_where_it_leads(tmp_path):
    link = tmp_path / "results"
    link.symlink_to(tmp_path / "scratch")

    def refused(message):
        for call in (lambda: check_folder(link / "images"), lambda: write(link / "images" / "x")):
            with pytest.raises(WriteError, match=message):
                call()

    def write(path):
        with atomic(path) as temporary:
            temporary.write_text("x")

    refused("results is a link to .*scratch, which is not there; make that folder, or remove")
    (tmp_path / "scratch").mkdir()
    write(link / "images" / "x")
    check_folder(link)
    link.unlink()
    link.symlink_to(link)
    refused("results is a link to itself")
    link.unlink()
    (tmp_path / "file").write_text("")
    link.symlink_to(tmp_path / "file")
    refused("results is a file, expected a folder")


def test_a_temporary_folder_without_room_or_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(core_atomic.tempfile, "tempdir", str(tmp_path))
    with scratch(b"abc", ".obj") as path:
        assert path.read_bytes() == b"abc" and path.parent == tmp_path and path.suffix == ".obj"
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(core_atomic.tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(WriteError, match=f"No such file.*TMPDIR is {tmp_path}"), scratch(b"abc"):
        pass


def test_a_full_temporary_folder_is_named(tmp_path, monkeypatch):
    with disk(tmp_path / "small", 64):
        monkeypatch.setattr(core_atomic.tempfile, "tempdir", str(tmp_path / "small"))
        with pytest.raises(WriteError, match="the temporary folder .*small .*No space left"):
            with scratch(bytes(1 << 20)):
                pass
        assert not list((tmp_path / "small").iterdir())
