"""What happens to the files of a folder while something runs, as Linux tells it (inotify)."""

import ctypes
import os
import select
import struct
import threading
from contextlib import contextmanager
from pathlib import Path

MODIFY, WRITTEN, MOVED_TO, CREATE = 0x2, 0x8, 0x80, 0x100
FOLDER, NONBLOCK = 0x40000000, 0x800
EVENT = struct.Struct("iIII")


@contextmanager
def watched(root):
    """Set of ("moved" or "written", path below `root`) of the files that came about meanwhile."""
    root.mkdir(parents=True, exist_ok=True)
    libc, seen, folders, stop = ctypes.CDLL(None, use_errno=True), set(), {}, threading.Event()
    handle = libc.inotify_init1(NONBLOCK)
    assert handle >= 0, os.strerror(ctypes.get_errno())

    def add(folder):
        mask = MODIFY | WRITTEN | MOVED_TO | CREATE
        folders[libc.inotify_add_watch(handle, os.fsencode(folder), mask)] = folder
        for inner in folder.iterdir():
            if inner.is_dir() and inner not in folders.values():
                add(inner)

    def read():
        if not select.select([handle], [], [], 0.2)[0]:
            return
        data, at = os.read(handle, 1 << 20), 0
        while at < len(data):
            number, mask, _, length = EVENT.unpack_from(data, at)
            name = os.fsdecode(data[at + EVENT.size : at + EVENT.size + length].rstrip(b"\0"))
            at += EVENT.size + length
            path = Path(folders[number], name)
            if mask & FOLDER:
                if path.is_dir():
                    add(path)
            elif mask & MOVED_TO:
                seen.add(("moved", path.relative_to(root).as_posix()))
            else:
                seen.add(("written", path.relative_to(root).as_posix()))

    def follow():
        while not stop.is_set():
            read()

    add(root)
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        read()
        os.close(handle)
