"""From LLVM IR to machine code of this processor, through the LLVM that llvmlite carries."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

from llvmlite import binding as llvm
from llvmlite import ir


def processor() -> tuple[str, str]:
    """Name and features of the processor that code is made for: this one."""
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


class Library:
    """Machine code of a module."""

    def __init__(self, module: ir.Module) -> None:
        """Optimise and translate a module for the processor this runs on."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple()
        cpu, features = processor()
        machine = target.create_target_machine(cpu=cpu, features=features, opt=3)
        module.triple = machine.triple
        code = llvm.parse_assembly(str(module))
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
