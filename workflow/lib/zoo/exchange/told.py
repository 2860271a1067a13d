"""The table beside a folder of networks: what people write with a spreadsheet, read with care.

Errors name the table, the row as a spreadsheet counts it, and the column.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from lib.core.names import ALLOWED, NAME
from lib.core.untrusted import regular, shown
from lib.zoo.exchange.opening import ExchangeError
from lib.zoo.store.format import RESERVED, SPLITS, STANDARD, STATUSES

KNOWN = (*STANDARD, "run")
MISSING = {"", "na", "n/a", "nan", "null", "none"}  # of numbers; text may well be "NA"
SPELT = {"training": "train", "val": "validation", "valid": "validation", "testing": "test"}
MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
WHOLE, NUMBER = r"[+-]?\d+", r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf"
Rows = dict[str, dict[str, Any]]


def read_table(path: Path, names: Collection[str], files: Mapping[str, str]) -> Rows:
    """What a table says of each network.

    Commas, semicolons or tabs part its columns (with the latter two, numbers may have a decimal
    comma), UTF-8 or UTF-16, with or without a byte-order mark. Names of known columns, splits and
    statuses may be in capitals, and splits written as training, val, valid or testing. Of
    numbers an empty cell, NA or NaN is a missing one; a network may be called NA.

    Args:
        path: the table.
        names: of all networks; the table has to have a row for each.
        files: names that may stand for them, as of their files with suffix.

    Raises:
        ExchangeError: naming table, row and column.
    """
    header, lines, comma = _cells(path)
    place = header.index("network") if "network" in header else -1
    if place < 0:
        raise ExchangeError(
            f"{path}: needs a column 'network', with the name of each network; its columns are "
            f"{', '.join(map(repr, header))}"
        )
    found: dict[str, int] = {}
    for number, cells in lines:
        name = cells[place]
        name = name if name in names else files.get(name, name)
        if name in found:
            raise ExchangeError(
                f"{path}: row {number}, column 'network': {name!r} for the second time, after row "
                f"{found[name]}; in this column no name occurs twice"
            )
        found[name] = number
    for what, odd in (
        ("a file in the folder", sorted(set(found) - set(names))),
        ("a row in the table", sorted(set(names) - set(found))),
    ):
        if odd:
            row = f" (row {found[odd[0]]})" if odd[0] in found else ""
            raise ExchangeError(f"{path}: network {odd[0]!r} has not {what}{row}")
    rows: Rows = {name: {} for name in found}
    for at, column in enumerate(header):
        if at == place:
            continue

        def where(number: int, column: str = column) -> str:
            return f"{path}: row {number}, column {column!r}"

        texts = [(number, cells[at]) for number, cells in lines]
        for name, value in zip(found, _column(column, texts, comma, where), strict=True):
            rows[name][column] = value
    return rows


def _cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]], bool]:
    """Header, rows with their numbers, and whether commas may be decimal ones."""
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    mark = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        raise ExchangeError(f"{path}: cannot be read as a table: {error}") from None
    lines = [(n, [_clean(cell) for cell in row]) for n, row in enumerate(rows, 1) if any(row)]
    lines = [(number, row) for number, row in lines if any(row)]
    if not lines:
        raise ExchangeError(f"{path}: an empty table, expected a header and a row for each network")
    (_, header), *lines = lines
    for number, row in lines:
        if len(row) > len(header) and any(row[len(header) :]):
            raise ExchangeError(
                f"{path}: row {number} has {len(row)} cells, the header {len(header)}; a cell with "
                f"a {'tab' if mark == chr(9) else repr(mark)} in it needs quotes"
            )
    lines = [(n, (row + [""] * len(header))[: len(header)]) for n, row in lines]
    known = {name.lower(): name for name in KNOWN}
    header = [name if name in KNOWN else known.get(name.lower(), name) for name in header]
    kept = [at for at, name in enumerate(header) if not _index(name, [row[at] for _, row in lines])]
    header = [header[at] for at in kept]
    _check_header(path, header)
    return header, [(n, [row[at] for at in kept]) for n, row in lines], mark != ","


def _text(path: Path) -> str:
    try:
        data = regular(path).read_bytes()
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be read as a table: {error.strerror}") from None
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise ExchangeError(
            f"{path}: row {row}: not {encoding.upper()}; save the table as CSV in UTF-8"
        ) from None
    if "\0" in text:
        raise ExchangeError(f"{path}: not a table in text; save it as CSV in UTF-8")
    return text


def _clean(cell: str) -> str:
    return unicodedata.normalize("NFC", cell.strip())


def _index(name: str, texts: list[str]) -> bool:
    """Whether a column without a name only numbers the rows, or is empty."""
    return not name and (not any(texts) or all(re.fullmatch(r"\d+", text) for text in texts))


def _check_header(path: Path, header: list[str]) -> None:
    for at, name in enumerate(header, 1):
        if header.count(name) > 1:
            raise ExchangeError(f"{path}: row 1: the column {name!r} is there twice")
        if name in RESERVED:
            raise ExchangeError(f"{path}: row 1: a column may not be called {name!r}; rename it")
        if not NAME.fullmatch(name):
            raise ExchangeError(
                f"{path}: row 1, column {at}: {name!r} cannot name a column; a name is {ALLOWED}"
            )


def _column(
    name: str, texts: list[tuple[int, str]], comma: bool, where: Callable[[int], str]
) -> list[Any]:
    """The values of a column: of the kind that it has to have, or that all of them are of."""
    kind = STANDARD.get(name)
    if name == "split":
        return [_choice(text, SPLITS, where(row)) for row, text in texts]
    if name == "status":
        return [_choice(text, STATUSES, where(row)) for row, text in texts]
    numbers = [text.replace(",", ".") if comma else text for _, text in texts]
    if kind is None:
        real = [text for text in numbers if text.lower() not in MISSING]
        kind = "str"
        if real:
            whole = len(real) == len(numbers) and all(re.fullmatch(WHOLE, text) for text in real)
            is_float = all(re.fullmatch(NUMBER, text, re.IGNORECASE) for text in real)
            kind = "int" if whole else "float" if is_float else "str"
    if kind == "str":
        if {text.lower() for _, text in texts} <= {"true", "false"}:
            return [int(text.lower() == "true") for _, text in texts]
        return [text or None for _, text in texts]
    read = _whole if kind == "int" else _number
    pairs = zip(texts, numbers, strict=True)
    return [read(name, number, text, where(row)) for (row, text), number in pairs]


def _choice(text: str, allowed: tuple[str, ...], where: str) -> str:
    found = SPELT.get(text.lower(), text.lower())
    if found not in allowed:
        raise ExchangeError(f"{where}: {shown(text)}, expected {' or '.join(allowed)}")
    return found


def _whole(name: str, number: str, text: str, where: str) -> int | None:
    if number.lower() in MISSING:
        if name == "seed":
            return None
        raise ExchangeError(f"{where}: empty, expected a whole number; or leave the column out")
    if not re.fullmatch(WHOLE + r"(\.0*)?", number) or abs(int(float(number))) >= 2**63:
        raise ExchangeError(f"{where}: {shown(text)}, expected a whole number")
    return int(number.partition(".")[0])


def _number(name: str, number: str, text: str, where: str) -> float:
    if number.lower() in MISSING:
        return float("nan")
    if not re.fullmatch(NUMBER, number, re.IGNORECASE):
        raise ExchangeError(f"{where}: {shown(text)}, expected a number such as 0.93")
    if name.endswith("_accuracy") and name in STANDARD and not 0 <= float(number) <= 1:
        raise ExchangeError(f"{where}: {shown(text)}, expected a share from 0 to 1, not per cent")
    return float(number)
