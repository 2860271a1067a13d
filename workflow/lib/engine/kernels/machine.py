"""From LLVM IR to machine code of this processor, through the LLVM that llvmlite carries."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache

from llvmlite import binding as llvm
from llvmlite import ir


def processor() -> tuple[str, str]:
    """Name and features of the processor that code is made for: this one."""
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def library(module: ir.Module) -> Library:
    """The machine code of a module, for the processor this runs on."""
    return _library(str(module), *processor())


class Library:
    """Machine code of a module."""

    def __init__(self, text: str, cpu: str, features: str) -> None:
        """Optimise LLVM IR and translate it for a processor."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=cpu, features=features, opt=3)
        code = llvm.parse_assembly(text)
        code.triple = machine.triple
        tuning = llvm.create_pipeline_tuning_options(speed_level=2)
        tuning.loop_vectorization = False
        tuning.slp_vectorization = False
        tuning.loop_unrolling = False
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(code, builder)
        self.code = code
        self.machine = machine
        self.engine = llvm.create_mcjit_compiler(code, machine)
        self.engine.finalize_object()

    def function(self, name: str, arguments: Sequence[type]) -> Callable:
        """A function of the module as a Python callable."""
        address = self.engine.get_function_address(name)
        found = ctypes.CFUNCTYPE(None, *arguments)(address)
        found.library = self  # the code lives as long as its functions
        return found


_library = lru_cache(maxsize=16)(Library)  # groups of a job, and its teacher, share their code
