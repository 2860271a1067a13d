"""A small language for kernels: loops, vectors of 16 floats and tables, written out as LLVM IR.

Every vector has `LANES` lanes and every operation is an exact IEEE one, in the order it is written,
so a kernel gives the same bits on any processor, whatever the width of its registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

LANES = 16
LINE = 64  # bytes of a cache line, and of a vector
F32, I32, I64, VOID = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.VoidType()
VEC, IVEC = ir.VectorType(F32, LANES), ir.VectorType(I32, LANES)
POINTER = ir.PointerType()
SUFFIX = {VEC: "v16f32", F32: "f32"}


@dataclass
class Variable:
    """A value that changes; it lives in a register once optimised."""

    builder: ir.IRBuilder
    place: ir.Value
    type: ir.Type

    @property
    def value(self) -> ir.Value:
        """What it holds now."""
        return self.builder.load(self.place, typ=self.type)

    @value.setter
    def value(self, value: ir.Value) -> None:
        self.builder.store(value, self.place)


class Emitter:
    """Writes the body of one function: `void name(pointers..., integers...)`."""

    def __init__(self, module: ir.Module, name: str, arguments: Sequence[ir.Type]) -> None:
        """Start a function of `module` with these argument types."""
        self.module = module
        self.function = ir.Function(module, ir.FunctionType(VOID, arguments), name)
        self.entry = self.function.append_basic_block()
        self.b = ir.IRBuilder(self.function.append_basic_block())
        self.first = self.b.block

    def finish(self) -> ir.Function:
        """End the function."""
        self.b.ret_void()
        ir.IRBuilder(self.entry).branch(self.first)
        return self.function

    def alloca(self, kind: ir.Type) -> ir.Value:
        """Memory for one value, as long as the function runs."""
        return ir.IRBuilder(self.entry).alloca(kind)

    def variable(self, value: ir.Value) -> Variable:
        """A new variable that holds `value`."""
        place = self.alloca(value.type)
        found = Variable(self.b, place, value.type)
        found.value = value
        return found

    @contextmanager
    def loop(
        self, stop: int | ir.Value, start: int | ir.Value = 0, step: int = 1
    ) -> Iterator[ir.Value]:
        """Repeat the body for every index from `start` to before `stop`."""
        b, stop = self.b, integer(stop)
        index = self.variable(integer(start))
        head, body, after = (self.function.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        b.cbranch(b.icmp_signed("<", index.value, stop), body, after)
        b.position_at_end(body)
        current = index.value
        yield current
        index.value = b.add(current, integer(step))
        b.branch(head)
        b.position_at_end(after)

    def sum(self, *numbers: int | ir.Value) -> ir.Value:
        """Sum of integers."""
        total = integer(sum(number for number in numbers if isinstance(number, int)))
        for number in numbers:
            if not isinstance(number, int):
                total = self.b.add(total, number)
        return total

    def at(self, pointer: ir.Value, *offsets: int | ir.Value, of: ir.Type = F32) -> ir.Value:
        """The address so many elements behind a pointer."""
        return self.b.gep(pointer, [self.sum(*offsets)], source_etype=of)

    def times(self, a: ir.Value | int, b: ir.Value | int) -> ir.Value | int:
        """Product of integers."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        return self.b.mul(integer(a), integer(b))

    def load(self, pointer: ir.Value, *offsets: int | ir.Value) -> ir.Value:
        """The aligned vector of 16 floats at an address."""
        return self.b.load(self.at(pointer, *offsets), typ=VEC, align=LINE)

    def store(self, value: ir.Value, pointer: ir.Value, *offsets: int | ir.Value) -> None:
        """Keep a vector at an aligned address."""
        self.b.store(value, self.at(pointer, *offsets), align=LINE)

    def number(self, pointer: ir.Value, *offsets: int | ir.Value) -> ir.Value:
        """The float at an address."""
        return self.b.load(self.at(pointer, *offsets), typ=F32, align=4)

    def keep(self, value: ir.Value, pointer: ir.Value, *offsets: int | ir.Value) -> None:
        """Keep a float at an address."""
        self.b.store(value, self.at(pointer, *offsets), align=4)

    def table(self, values: Sequence[int]) -> ir.Value:
        """A constant table of integers; `entry` reads it."""
        data = np.asarray(values, np.int64)
        kind = ir.ArrayType(I64, len(data))
        name = self.module.get_unique_name("table")
        found = ir.GlobalVariable(self.module, kind, name)
        found.global_constant, found.linkage = True, "internal"
        found.initializer = ir.Constant(kind, data.tolist())
        found.type = POINTER  # llvmlite would give tables of different lengths different types
        return found

    @contextmanager
    def pairs(self, table: ir.Value, group: ir.Value) -> Iterator[tuple[ir.Value, ir.Value]]:
        """Every pair of a group of a table that `conv.grouped` made."""
        with self.loop(self.entry_of(table, group, 1), self.entry_of(table, group), 2) as at:
            yield self.entry_of(table, at), self.entry_of(table, at, 1)

    @contextmanager
    def when(self, value: ir.Value, known: int) -> Iterator[None]:
        """Run the body if an integer is this one."""
        with self.b.if_then(self.b.icmp_signed("==", value, integer(known))):
            yield

    def entry_of(self, table: ir.Value, *offsets: int | ir.Value) -> ir.Value:
        """A number of a table."""
        return self.b.load(self.at(table, *offsets, of=I64), typ=I64)

    def splat(self, value: ir.Value | float) -> ir.Value:
        """A vector that holds one float in every lane."""
        if not isinstance(value, ir.Value):
            return constant(value)
        lone = self.b.insert_element(ir.Constant(VEC, ir.Undefined), value, I32(0))
        zeros = ir.Constant(IVEC, [0] * LANES)
        return self.b.shuffle_vector(lone, ir.Constant(VEC, ir.Undefined), zeros)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a * b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def intrinsic(self, name: str, *values: ir.Value) -> ir.Value:
        """An operation of LLVM's on floats or vectors of them."""
        kind = values[0].type
        full = f"llvm.{name}.{SUFFIX[kind]}"
        found = self.module.globals.get(full)
        if found is None:
            signature = ir.FunctionType(kind, [kind] * len(values))
            found = ir.Function(self.module, signature, full)
        return self.b.call(found, values)

    def totals(self, values: Sequence[ir.Value]) -> list[ir.Value]:
        """The sum of the 16 lanes of each of some vectors: lanes 8 apart first, then 4, 2, 1.

        The sums are made together, each step folding two vectors into one.
        """
        found = []
        for start in range(0, len(values), LANES):
            group = list(values[start : start + LANES])
            count = len(group)
            for half in (8, 4, 2, 1):
                group += group[-1:] * (len(group) % 2)
                group = [
                    self._fold(a, b, half) for a, b in zip(group[::2], group[1::2], strict=True)
                ]
            found += [self.b.extract_element(group[0], I32(lane)) for lane in range(count)]
        return found

    def _fold(self, a: ir.Value, b: ir.Value, half: int) -> ir.Value:
        low = [
            vector * LANES + group + lane
            for vector in (0, 1)
            for group in range(0, LANES, 2 * half)
            for lane in range(half)
        ]
        parts = (ir.Constant(IVEC, [lane + at for lane in low]) for at in (0, half))
        return self.b.fadd(*(self.b.shuffle_vector(a, b, part) for part in parts))


def integer(value: int | ir.Value) -> ir.Value:
    """A 64-bit integer."""
    return I64(value) if isinstance(value, int) else value


def constant(value: float) -> ir.Constant:
    """A vector with the same float in each lane."""
    return ir.Constant(VEC, [float(np.float32(value))] * LANES)
