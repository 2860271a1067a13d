"""Tables and controls."""

import json

from lib.report.blocks import Cell, Control, Rows, Table


def test_a_table_is_markdown_too():
    grouped = Table("t", ("A",), [[Cell("x", "y")]], "", "s", group=["first"])
    assert grouped.markdown == "|  | A |\n| --- | --- |\n| first | x (y) |\n"
    assert grouped.only("first").markdown == "| A |\n| --- |\n| x (y) |\n"


def test_rows_have_groups_where_one_has():
    rows = Rows()
    rows.add("one", Cell("1", "small"), strong=True)
    assert rows.table("t", ("A", "B"), "", "s").groups == []
    rows.add("two", "2", group="more")
    table = rows.table("t", ("A", "B"), "", "s", heads=2)
    assert table.groups == ["", "more"] and table.heads == 2 and table.strong == [True, False]


def test_a_control_shows_the_traces_of_one_owner():
    owners = {"fig": ["a", "b", None, frozenset("ab")], "other": ["b"]}
    control = Control.owners("id", "Shown", {"a": "First", "b": "Second"}, owners)
    assert control.kind == "buttons"
    first, second = control.choices
    assert json.loads(first.json)["visible"] == {"fig": [True, False, True, True], "other": [False]}
    assert second.visible == {"fig": [False, True, True, True], "other": [True]}


def test_a_control_looks_closer_along_an_axis():
    control = Control.zoom("id", "yaxis", ["fig"], {"Whole": [0, 1], "Top": [0.9, 1]})
    assert control.label == "Vertical axis"
    assert control.choices[1].ranges == {"fig": {"yaxis": [0.9, 1]}}
