"""Checkpoints of unfinished jobs: stopped at any time, a job's next run goes on from there.

A checkpoint is one safetensors file: tensors, and plain data as JSON in its metadata. It bears the
digests of all that the job's result depends on, and is of use to no other job.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lib.core.atomic import WriteError, atomic
from lib.core.progress import log
from lib.core.repro import file_sha256, versions
from lib.core.tensors import save_file

VERSION = 1
EVERY = 30.0  # seconds between two checkpoints: what is lost at most, but for the step under way
SUFFIX, FINISHED = ".checkpoint", ".finished"

Tensors = dict[str, Tensor]
State = tuple[Tensors, Any]  # tensors, and what JSON can hold


class Checkpoint:
    """Where one job keeps its state; a context that ends well marks it as no longer needed.

    It stays nevertheless: where Snakemake is killed, its job ends without it, and whoever makes the
    results again is spared the work. `clear` removes it.
    """

    def __init__(self, path: str | Path | None, key: Mapping[str, Any]) -> None:
        """A checkpoint at `path`, nowhere if None; `key` names what the result depends on."""
        self.path = None if path is None else Path(path)
        self.key = {name: _sha256(_json(value)) for name, value in key.items()}
        self.saved, self.parts, self.is_part = time.monotonic(), 0, False

    def part(self, start: Tensor) -> Checkpoint:
        """Where the next piece of the job's work keeps its state; `start`: what it begins with."""
        if self.path is None:
            return self
        self.parts += 1
        digest = _digest(_apart({"start": start}), "")
        found = Checkpoint(self._part(self.parts), {"start": digest})
        found.key |= self.key
        found.is_part = True
        return found

    def _part(self, number: int) -> Path:
        return self.path.with_suffix(f".{number}{SUFFIX}")

    @classmethod
    def beside(
        cls,
        log_file: str | Path,
        inputs: Iterable[str | Path],
        params: Mapping[str, Any],
        wildcards: Mapping[str, str],
    ) -> Checkpoint:
        """The checkpoint of the job with this log, these input files, parameters and wildcards.

        It lies beside the log, as Snakemake removes the outputs of a job that was stopped. That the
        log is another's, or has the content of an input changed, makes it useless.
        """
        key = dict(params.items()) | {"wildcards": dict(wildcards.items())}
        content = [_content(Path(path)) for path in inputs]
        return cls(
            Path(log_file).with_suffix(SUFFIX), key | {"inputs": content, "versions": versions()}
        )

    @classmethod
    def of(cls, told: Any) -> Checkpoint:
        """The checkpoint of the job whose script is `told` its log, input, params and wildcards."""
        return cls.beside(told.log[0], told.input, told.params, told.wildcards)

    def __enter__(self) -> Checkpoint:
        _jobs.append(self)
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        _jobs.remove(self)
        if kind is None and self.path is not None:
            for path in (self.path, *map(self._part, range(1, self.parts + 1))):
                with suppress(FileNotFoundError):
                    path.replace(path.with_suffix(FINISHED))

    def load(self) -> State | None:
        """What was saved, on the CPU, or None: there is nothing, or nothing of this very job."""
        if self.path is None:
            return None
        found = next((p for p in (self.path, self.path.with_suffix(FINISHED)) if p.exists()), None)
        if found is None:
            return None
        try:
            tensors, card = _read(found)
            if card["digest"] != _digest(tensors, card["data"]):
                raise ValueError("its content does not match its digest")
            kept = card["key"]
            changed = sorted(k for k in {*kept, *self.key} if kept.get(k) != self.key.get(k))
        except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
            log.warning("started anew, as the checkpoint %s is damaged: %s", found, error)
            return None
        if changed:
            log.info("started anew, as the checkpoint %s is of other %s", found, ", ".join(changed))
            return None
        return tensors, json.loads(card["data"])

    def offer(self, state: Callable[[], State]) -> None:
        """Save what `state` gives, if it is time to. Called between steps; changes none of them."""
        if self.path is not None and time.monotonic() - self.saved >= EVERY:
            self.save(*state())
            self.saved = time.monotonic()

    def finish(self, state: Callable[[], State]) -> None:
        """Save the end of a piece of the job's work; after the whole job its outputs follow."""
        if self.is_part:
            self.save(*state())

    def save(self, tensors: Tensors, data: Any) -> None:
        """Save now. Where that fails, for want of room say, the log says so and work goes on."""
        if self.path is None:
            return
        tensors = _apart(tensors)
        text = json.dumps(data)
        card = {"version": VERSION, "key": self.key, "data": text, "digest": _digest(tensors, text)}
        try:
            with atomic(self.path) as temporary:
                save_file(tensors, temporary, {"checkpoint": json.dumps(card)})
        except (OSError, SafetensorError, WriteError) as error:
            log.warning("no checkpoint was written, as %s", error)


NOWHERE = Checkpoint(None, {})
_jobs = [NOWHERE]


def of_job() -> Checkpoint:
    """The checkpoint of the job that runs, the context that was entered last; else `NOWHERE`."""
    return _jobs[-1]


def clear(folder: str | Path) -> None:
    """Remove the checkpoints below a folder that are no longer needed."""
    for pattern in (f"*{FINISHED}", f".*{SUFFIX}"):  # the latter was being written by a killed job
        for path in Path(folder).rglob(pattern):
            path.unlink(missing_ok=True)


def _content(path: Path) -> str | dict[str, str]:
    """The digest of a file or, by name, of all files in a folder."""
    if path.is_file():
        return file_sha256(path)
    files = sorted(found for found in path.rglob("*") if found.is_file())
    return {found.relative_to(path).as_posix(): file_sha256(found) for found in files}


def _apart(tensors: Tensors) -> Tensors:
    """Tensors as a file holds them: whole, on the CPU, no two of them in the same memory."""
    found, taken = {}, set()
    for name, value in tensors.items():
        value = value.detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        found[name] = value.clone() if place in taken else value
        taken.add(place)
    return found


def _read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    with safe_open(path, "pt") as file:
        card = json.loads((file.metadata() or {})["checkpoint"])
        if card["version"] != VERSION:
            raise ValueError(f"it is of version {card['version']}")
        return {name: file.get_tensor(name).clone() for name in file.keys()}, card


def _digest(tensors: Tensors, text: str) -> str:
    sha = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        sha.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        sha.update(value.reshape(-1).view(torch.uint8).numpy())
    return sha.hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
