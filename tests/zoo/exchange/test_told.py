"""The table beside a folder of networks, as people write it: read right, or named to the cell."""

from __future__ import annotations

import math

import pytest

from lib.zoo.exchange.opening import ExchangeError
from lib.zoo.exchange.told import read_table

NAMES = ("a", "b", "007", "NA")
FILES = {f"{name}.pt": name for name in NAMES}
HEAD = "network,validation_accuracy,split\n"
SPLITS = ("train", "train", "validation", "test")
BODY = "".join(f"{n},0.9{i},{s}\n" for i, (n, s) in enumerate(zip(NAMES, SPLITS, strict=True)))
EXPECTED = {
    n: {"validation_accuracy": 0.9 + i / 100, "split": s}
    for i, (n, s) in enumerate(zip(NAMES, SPLITS, strict=True))
}


@pytest.fixture
def table(tmp_path):
    def read(text, encoding="utf-8"):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(encoding))
        return read_table(path, NAMES, FILES)

    return read


def column(name, *cells):
    return f"network,{name}\n" + "".join(f"{n},{c}\n" for n, c in zip(NAMES, cells, strict=True))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (HEAD + BODY, "utf-8"),
        (HEAD + BODY, "utf-8-sig"),
        (HEAD + BODY, "utf-16"),
        ((HEAD + BODY).replace("\n", "\r\n"), "utf-8"),
        ((HEAD + BODY).replace(",", ";"), "utf-8"),
        ((HEAD + BODY).replace(",", ";").replace("0.9", "0,9"), "utf-8"),
        ((HEAD + BODY).replace(",", "\t").replace("0.9", "0,9"), "utf-8"),
        (HEAD.replace(",", ", ") + BODY.replace(",", " , "), "utf-8"),
        (HEAD.upper() + BODY, "utf-8"),
        (HEAD + BODY.replace("train", "Training").replace("validation", "val"), "utf-8"),
        (HEAD + BODY.replace(",0.", ".pt,0."), "utf-8"),
        (HEAD + BODY + "\n,,\n", "utf-8"),
        ("," + HEAD + "".join(f"{i},{row}\n" for i, row in enumerate(BODY.split())), "utf-8"),
    ],
    ids=["plain", "mark", "utf-16", "crlf", "semicolons", "decimal commas", "tabs", "spaces",
         "capitals", "spellings", "suffixes", "blank rows", "row numbers"],
)  # fmt: skip
def test_however_it_is_written_it_says_the_same(table, text, encoding):
    found = table(text, encoding)
    assert list(found) == list(NAMES)
    for name, row in EXPECTED.items():
        assert found[name] == {
            **row,
            "validation_accuracy": pytest.approx(row["validation_accuracy"]),
        }


def values(found):
    return [next(iter(row.values())) for row in found.values()]


def test_columns_are_of_the_kind_that_all_their_values_are_of(table):
    assert values(table(column("seed", "0.0", "1", "", "3"))) == [0, 1, None, 3]
    assert values(table(column("width", "1", "2", "3", "4"))) == [1, 2, 3, 4]
    assert values(table(column("note", "NA", "x", "", "1"))) == ["NA", "x", None, "1"]
    assert values(table(column("pretrained", "True", "False", "true", "False"))) == [1, 0, 1, 0]
    found = values(table(column("lr", "1e-3", "NA", "", ".5")))
    assert found[0] == 1e-3 and math.isnan(found[1]) and math.isnan(found[2]) and found[3] == 0.5
    assert values(table(column("status", "OK", "ok", "diverged", "ok"))) == [
        "ok", "ok", "diverged", "ok",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (column("seed", 1, "s1", 3, 4), "row 3, column 'seed': 's1', expected a whole number"),
        (column("epochs", 1, 2, "", 4), "row 4, column 'epochs': empty, expected a whole number"),
        (column("learning_rate", 1, "x", 3, 4), "row 3, column 'learning_rate': 'x', expected a n"),
        (column("validation_accuracy", "90%", 1, 1, 1), "row 2, .*'90%', expected a number such"),
        (column("validation_accuracy", 0.9, 90, 1, 1), "row 3, .*'90', expected a share from 0"),
        (column("split", "dev", *SPLITS[1:]), "row 2, column 'split': 'dev', expected train or va"),
        (column("status", "fine", "ok", "ok", "ok"), "row 2, column 'status': 'fine', expected ok"),
        (column("test acc (%)", 1, 2, 3, 4), r"row 1, column 2: 'test acc \(%\)' cannot name"),
        (column("größe", 1, 2, 3, 4), "row 1, column 2: 'größe' cannot name a column"),
        (column("shard", 1, 2, 3, 4), "row 1: a column may not be called 'shard'"),
        ("network,seed,seed\n", "row 1: the column 'seed' is there twice"),
        ("name,seed\na,1\n", "needs a column 'network'.*'name', 'seed'"),
        (
            HEAD + BODY + "a,0.9,train\n",
            "row 6, column 'network': 'a' for the second time, after r",
        ),
        (HEAD + BODY + "c,0.9,train\n", r"network 'c' has not a file in the folder \(row 6\)"),
        (HEAD + BODY.replace("b,", "#b,"), "network '#b' has not a file in the folder .row 3."),
        (HEAD + BODY[:-14], "network 'NA' has not a row in the table"),
        (HEAD + BODY + "c,0,9,train\n", "row 6 has 4 cells, the header 3"),
        ("", "an empty table"),
        ('network,note\n"a,b\n', "cannot be read as a table"),
        ("\0", "not a table in text"),
    ],
)
def test_what_is_wrong_is_named_to_the_cell(table, tmp_path, text, message):
    with pytest.raises(ExchangeError, match=message) as error:
        table(text)
    assert str(error.value).startswith(f"{tmp_path / 't.csv'}: ")


def test_another_encoding_is_named_with_the_row(table):
    with pytest.raises(ExchangeError, match="row 4: not UTF-8; save the table as CSV in UTF-8"):
        table(column("note", "x", "y", "grün", "z"), "latin-1")
