"""Writing safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor


def save_file(
    tensors: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors and `metadata` to this very path, the same bytes as safetensors' own.

    That one writes to a file with a name of its own first, which a killed process leaves behind.
    """
    Path(path).write_bytes(save(dict(tensors), metadata and dict(metadata)))
