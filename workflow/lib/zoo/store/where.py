"""Conditions on the columns of a catalogue, such as `validation_accuracy > 0.9 and seed != 3`.

A small part of Python's expressions, read from their syntax tree and never executed, so that a
condition may come from a config or a command line.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from lib.core.errors import InputError

COMPARE: dict[type, Callable] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
ARITHMETIC: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ALLOWED = (
    "a condition compares columns, numbers and quoted texts (== != < <= > >= in, not in), "
    "calculates with + - * / and joins with and, or, not"
)


class ConditionError(InputError):
    """A condition cannot be read, names a column that is not there, or mixes kinds of values."""


def mask(frame: pd.DataFrame, condition: str) -> np.ndarray:
    """Which rows of `frame` a condition holds for: bool [n]. NaN fulfils no comparison but `!=`.

    Raises:
        ConditionError: naming the part of the condition that is wrong.
    """
    try:
        tree = ast.parse(condition.strip(), mode="eval").body
        found = _truth(tree, frame, condition)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ConditionError):
            raise
        raise ConditionError(f"condition {condition!r} cannot be read; {ALLOWED}") from None
    return np.broadcast_to(found, len(frame)).copy()


def _truth(node: ast.expr, frame: pd.DataFrame, text: str) -> np.ndarray:
    if isinstance(node, ast.BoolOp):
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return reduce(join, [_truth(value, frame, text) for value in node.values])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_truth(node.operand, frame, text)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        return reduce(np.logical_and, [_compared(*pair, frame, text) for pair in pairs])
    raise _wrong(node, text)


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr, frame: pd.DataFrame, text: str):
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List):
            raise _wrong(right, text)
        one, several = _value(left, frame, text), [_value(r, frame, text) for r in right.elts]
        equal = [_apply(operator.eq, one, value, left, text) for value in several]
        found = reduce(np.logical_or, equal, np.zeros(len(frame), bool))
        return ~found if isinstance(op, ast.NotIn) else found
    if type(op) not in COMPARE:
        raise _wrong(left, text)
    sides = _value(left, frame, text), _value(right, frame, text)
    return _apply(COMPARE[type(op)], *sides, left, text)


def _value(node: ast.expr, frame: pd.DataFrame, text: str) -> Any:
    """A column as an array, or a constant."""
    if isinstance(node, ast.Name):
        if node.id not in frame:
            raise ConditionError(
                f"condition {text!r}: no column {node.id!r}; there is {', '.join(frame.columns)}"
            )
        return frame[node.id].to_numpy()
    if isinstance(node, ast.Constant) and type(node.value) in (int, float, str):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _number(operator.neg, node, text, _value(node.operand, frame, text))
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        sides = _value(node.left, frame, text), _value(node.right, frame, text)
        return _number(ARITHMETIC[type(node.op)], node, text, *sides)
    raise _wrong(node, text)


def _number(op: Callable, node: ast.expr, text: str, *values: Any) -> Any:
    if any(_is_text(value) for value in values):
        raise ConditionError(f"condition {text!r}: {ast.unparse(node)!r} calculates with text")
    with np.errstate(all="ignore"):
        return op(*(np.asarray(value) for value in values))


def _apply(op: Callable, one: Any, other: Any, node: ast.expr, text: str) -> np.ndarray:
    if _is_text(one) != _is_text(other):
        raise ConditionError(
            f"condition {text!r}: {ast.unparse(node)!r} is compared with a value of another kind; "
            "texts need quotes, numbers none"
        )
    return np.asarray(op(one, other), bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or getattr(value, "dtype", np.dtype(float)).kind not in "iuf"


def _wrong(node: ast.expr, text: str) -> ConditionError:
    return ConditionError(f"condition {text!r}: {ast.unparse(node)!r} is not allowed; {ALLOWED}")
