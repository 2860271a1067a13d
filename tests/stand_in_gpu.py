"""Run the steps of a plan on a stand-in for a GPU: its tensors say so, and the CPU computes.

CUDA refuses what the CPU lets pass: tensors of two devices in one operation, `.numpy()`, and more.
So does the stand-in, which shows on any machine what would end a study on a GPU. Speed, memory and
the rounding of a GPU's kernels it cannot show.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import safetensors.torch
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from lib.core import tensors
from lib.steps import Step, execute, read_plan

DEVICE = "gpu"
# Operations that take tensors of two devices.
COPIES = ("aten::copy_", "aten::_to_copy")
INDEXING = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
INDEXING += ("aten::_unsafe_index", "aten::_unsafe_index_put")
FILLING = ("aten::fill_", "aten::masked_fill", "aten::masked_fill_")  # with a tensor of one number

_setup_privateuseone_for_python_backend(DEVICE)
KERNELS = torch.library.Library("aten", "IMPL")  # for what torch makes of lists and numbers


class Refused(RuntimeError):
    """What CUDA would refuse as well."""


class OnDevice(torch.Tensor):
    """A tensor that says it is on the device; `held`, on the CPU, is its content."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        found = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(DEVICE, 0),
        )
        found.held = held
        return found

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return call(function, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __format__(self, form: str) -> str:
        return format(self.held, form)

    def tolist(self) -> Any:
        return self.held.tolist()


class Calls(TorchDispatchMode):
    """Has the operations inside made by `call`, those that make tensors included."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it, torch would first import all of it

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return call(function, args, kwargs or {})


def call(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The results of an operation: on the device if its tensors are or it is told so.

    Raises:
        Refused: CUDA would not do it.
    """
    leaves, told = tree_leaves((args, kwargs)), kwargs.get("device")
    given = {id(held(leaf)): leaf for leaf in leaves if isinstance(leaf, torch.Tensor)}
    on_device = any(isinstance(tensor, OnDevice) for tensor in given.values())
    if told is not None:
        on_device = torch.device(told).type == DEVICE
        kwargs = kwargs | {"device": "cpu"} if on_device else kwargs
    refuse(function, args, leaves, on_device)
    args, kwargs = tree_map(held, (args, kwargs))
    found = function(*args, **kwargs)

    def returned(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        place = given.get(id(value))
        if place is None:
            return OnDevice(value)
        if place.shape != value.shape:
            raise NotImplementedError(f"{function}: changes the shape in place")
        return place

    return tree_map(returned, found) if on_device else found


def held(value: Any) -> Any:
    """What a tensor on the device holds; anything else as it is."""
    return value.held if isinstance(value, OnDevice) else value


def refuse(function: Any, args: tuple, leaves: list, on_device: bool) -> None:
    """Raise `Refused` where an operation mixes devices in a way that CUDA does not allow."""
    name = function._schema.name
    if on_device and any(isinstance(leaf, torch.Generator) for leaf in leaves):
        raise Refused(f"{function}: draws on the device by a generator of the CPU")
    every = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    others = [tensor for tensor in every if not isinstance(tensor, OnDevice)]
    if len(others) in (0, len(every)) or name in COPIES:
        return
    if name in INDEXING:
        if not isinstance(args[0], OnDevice):
            raise Refused(f"{function}: a tensor of the CPU, indexed by one of the device")
        others = [value for value in args[2:3] if not isinstance(value, OnDevice)]
    written = function._schema.is_mutable and not isinstance(args[0], OnDevice)
    numbers = torch.Tag.pointwise in function.tags or name in INDEXING + FILLING
    if written or not numbers or any(other.dim() for other in others):
        shapes = [(tuple(t.shape), str(t.device)) for t in every]
        raise Refused(f"{function}: tensors of two devices, {shapes}")


for kernel in ("empty_strided", "copy_"):
    operation = getattr(torch.ops.aten, kernel).default
    KERNELS.impl(kernel, lambda *a, f=operation, **k: call(f, a, k), "PrivateUse1")


@contextmanager
def stand_in() -> Iterator[None]:
    """Have the device inside, also for files: safetensors knows no device of this name."""
    load, save = safetensors.torch.load_file, tensors.save

    def load_file(path: str | Path, device: str = "cpu") -> dict[str, torch.Tensor]:
        return {name: value.to(device) for name, value in load(path).items()}

    def save_any(found: dict[str, torch.Tensor], *more: Any) -> bytes:
        return save({name: value.cpu() for name, value in found.items()}, *more)

    files = patch.object(safetensors.torch, "load_file", load_file)
    with files, patch.object(tensors, "save", save_any), Calls():
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Run steps of a plan, from the folder of the study; 0 where all succeed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("--only", metavar="LABEL", help="one step (default: all with a device)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    plan = read_plan(options.plan)
    one = [step for step in plan if step.label == options.only]
    with stand_in():
        return run(with_device(plan) if options.only is None else one)


def with_device(plan: Sequence[Step]) -> list[Step]:
    """The steps of a plan that run on a device, and all that they need."""
    wanted = set()
    for step in reversed(plan):
        if step.number in wanted or "gpu" in step.job["resources"]:
            wanted |= {step.number, *(need.number for need in step.needs)}
    return [step for step in plan if step.number in wanted]


def run(steps: Sequence[Step]) -> int:
    """Run steps in this process, but those that need a failed one; says at last what failed."""
    failed: dict[int, str] = {}
    for step in steps:
        if any(need.number in failed for need in step.needs):
            failed[step.number] = f"{step.label}: left out, as a step that it needs has failed"
            continue
        for told in (step.job["params"], step.job["params"].get("run", {})):
            if told.get("device") == "cuda":
                told["device"] = DEVICE
        for path in step.job["output"]["files"]:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        print(f"{step.label}: begun", flush=True)  # native code may end the process
        try:
            execute(step)
            print(f"{step.label}: done", flush=True)
        except (Exception, SystemExit):
            failed[step.number] = f"{step.label}: failed\n{traceback.format_exc()}"
    print(*failed.values(), sep="\n")
    return 1 if failed else 0


def leave(status: int) -> NoReturn:
    """End the process at once: torch's thread for gradients on the device would abort its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
