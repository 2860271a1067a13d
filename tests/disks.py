"""Small disks for tests: file systems in memory, which only root may mount."""

import os
import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def disk(folder, kilobytes, *options):
    """A file system of so many kilobytes at a folder, which is made; gives `resize(kilobytes)`."""
    folder.mkdir(parents=True, exist_ok=True)

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True)

    made = mount(f"size={kilobytes}k", *options)
    if made.returncode:
        pytest.skip(f"not on this machine: no file system can be mounted ({made.stderr.strip()})")
    try:
        yield lambda kilobytes, *options: mount("remount", f"size={kilobytes}k", *options)
    finally:
        os.sync()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
