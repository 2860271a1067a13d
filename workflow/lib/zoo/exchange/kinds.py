"""What a file is that was taken for that of a network, by its first bytes."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

STARTS = {
    b"version https://git-lfs": "a git-lfs pointer, not the file itself: run `git lfs pull`",
    b"version https://hawser": "a git-lfs pointer, not the file itself: run `git lfs pull`",
    b"\x00\x05\x16\x07": "what macOS keeps beside a file (AppleDouble): remove it",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file: shards are opened as they are, others saved with torch",
    b"\x93NUMPY": "a numpy array: save tensors by name with torch.save or safetensors",
    b"\x1f\x8b": "packed with gzip: unpack it first",
    b"BZh": "packed with bzip2: unpack it first",
    b"\xfd7zXZ": "packed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "packed with zstd: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"%PDF": "a PDF document",
    b"GGUF": "a GGUF file: save the state dict with torch.save or safetensors",
}
SAVE = "save its state alone: torch.save(module.state_dict(), path)"


def what_is(path: Path) -> str | None:
    """What a file is that holds no state dict, and what to do about it; None if it may well."""
    if path.is_dir():
        return "a folder, expected a file"
    if path.exists() and not path.is_file():
        return "not a PyTorch file: not a regular file, but a pipe or a device"
    with path.open("rb") as stream:
        head = stream.read(512)
    if not head:
        return "not a PyTorch file: it is empty"
    for start, what in STARTS.items():
        if head.startswith(start):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "not a PyTorch file: a web page, perhaps the error of a failed download"
    if zipfile.is_zipfile(path):
        return _archive(path)
    return None


def is_safetensors(path: Path) -> bool:
    """Whether the content is that of a safetensors file, whatever its name."""
    with path.open("rb") as stream:
        head = stream.read(10)
    size = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= size <= path.stat().st_size - 8


def of_pickle(said: str) -> str:
    """What an unpickler that runs no code refused, from what it says."""
    named = re.search(r"(?:GLOBAL|class|Unsupported global:? ?(?:GLOBAL)?) ?`?([\w.]+)", said)
    name = named[1] if named else ""
    if name.startswith("numpy") or "numpy" in said:
        return f"numpy arrays ({name or 'numpy'}): make them tensors with torch.from_numpy"
    if name.startswith("torch.nn") or name.startswith("lib.") or re.search(r"\.[A-Z]\w*$", name):
        return f"an object of a class of its own ({name}), perhaps a whole module: {SAVE}"
    return f"more than tensors{f' ({name})' if name else ''}: {SAVE}"


def _archive(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] or name for name in archive.namelist()]
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        return (
            "a TorchScript archive (torch.jit.save), which holds code: save its state alone, "
            "torch.save(torch.jit.load(path).state_dict(), other)"
        )
    if any("exported_program" in name for name in archive.namelist()):
        return f"an exported program (torch.export.save): {SAVE}"
    if names and all(name.endswith(".npy") for name in archive.namelist()):
        return "numpy arrays (.npz): save tensors by name with torch.save or safetensors"
    if "data.pkl" not in names:
        return "a zip archive, but not one that torch.save writes: unpack it first"
    return None
