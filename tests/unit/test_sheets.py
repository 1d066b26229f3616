"""Tables as CSV: complete, and never a formula."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from taskcenter.sheets import as_csv, cell


def lines(title: str, data: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(as_csv(title, data).decode("utf-8-sig"))))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "  =1+1",
        "\u00a0=1+1",
        '"=1+1',
        "'=1+1",
        "|x",
        "%x",
        "-5;=1+1",
    ],
)
def test_nothing_is_taken_for_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["plain", "a=b", "-5", "+1,234.5", "-1e-3", "2026-11-25", "", -5, 0.5, True])
def test_what_is_none_stays_as_it_is(value: Any) -> None:
    assert cell(value) == value


def test_nothing_is_an_empty_cell_and_nul_is_left_out() -> None:
    assert cell(None) == ""
    assert cell("=a\0b") == "'=ab"


def test_facts_tables_charts_and_records_stand_one_below_the_other() -> None:
    data = {
        "summary": "All is well.",
        "charts": [{"kind": "bar", "title": "By month", "labels": ["=Jan"], "values": [-1]}],
        "tables": [{"title": "Shops", "columns": ["Shop", "=Sum"], "rows": [["A", 3], ["B", None]]}],
        "columns": [{"name": "price", "missing": 2, "top": [{"value": "x"}]}, {"name": "day", "mean": 0.5}],
    }
    assert lines("Sales", data) == [
        ["Sales"],
        ["Name", "Value"],
        ["Summary", "All is well."],
        [],
        ["By month"],
        ["Label", "Value"],
        ["'=Jan", "-1"],
        [],
        ["Shops"],
        ["Shop", "'=Sum"],
        ["A", "3"],
        ["B", ""],
        [],
        ["Columns"],
        ["Name", "Missing", "Mean"],
        ["price", "2", ""],
        ["day", "", "0.5"],
    ]


@pytest.mark.parametrize("data", [None, "text", 3, [], {}, [1, 2], {"rows": "no"}, {"kind": "bar"}])
def test_any_data_makes_a_file(data: Any) -> None:
    assert as_csv("x", data).startswith(b"\xef\xbb\xbf")
