"""Tables as CSV that a spreadsheet may open: no cell of theirs is taken for a formula.

A cell that begins like one gets an apostrophe in front, which spreadsheets read as "this is text"; numbers stay
numbers. Whatever was uploaded reaches these files, and whoever opens them trusts us.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .charts import ChartError, chart_from_dict, table_of

__all__ = ["Sheet", "as_csv", "cell", "sheets"]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?([eE][+-]?\d+)?\Z")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table."""

    title: str
    columns: Sequence[Any] = ()
    rows: Sequence[Sequence[Any]] = field(default=())


def cell(value: Any) -> Any:
    """The value as it may stand in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    text = str(value).replace("\0", "")
    # Some programs skip blanks and quotes before they look for a formula.
    is_formula = text.lstrip(" \u00a0\ufeff'\"").startswith(FORMULA) or text.startswith(FORMULA)
    return f"'{text}" if is_formula and not NUMBER.match(text) else text


def as_csv(title: str, data: Any) -> bytes:
    """All tables of a report's data one below the other, each under its title.

    UTF-8 with the mark that spreadsheets look for.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    for place, sheet in enumerate(sheets(title, data)):
        lines = [[sheet.title], sheet.columns, *sheet.rows] if sheet.columns else [[sheet.title], *sheet.rows]
        writer.writerows([[]] if place else [])
        writer.writerows([cell(value) for value in line] for line in lines)
    return file.getvalue().encode("utf-8-sig", "replace")


def sheets(title: str, data: Any) -> Iterator[Sheet]:
    """The tables in the data, the values of its charts, its records, and its plain values by name."""
    own = _own(title, data)
    if own is not None:
        yield own
    elif isinstance(data, dict):
        if facts := [(_named(name), value) for name, value in data.items() if _is_plain(value)]:
            yield Sheet(title, ("Name", "Value"), facts)
        for name, value in data.items():
            yield from sheets(_named(name), value)
    elif isinstance(data, list):
        yield from _records(title, [one for one in data if isinstance(one, dict)])


def _records(title: str, records: list[dict[str, Any]]) -> Iterator[Sheet]:
    """Records are one table of their plain values; charts and tables within them follow it."""
    plain = [one for one in records if _own(title, one) is None]
    names = list(dict.fromkeys(name for one in plain for name, value in one.items() if _is_plain(value)))
    if names:
        yield Sheet(title, [_named(name) for name in names], [[one.get(name) for name in names] for one in plain])
    for one in records:
        inner = [_own(title, one), *(_own(_named(name), value) for name, value in one.items())]
        yield from filter(None, inner)


def _own(title: str, value: Any) -> Sheet | None:
    """The table that this value is, or that its chart is drawn from."""
    rows = value.get("rows") if isinstance(value, dict) else None
    if isinstance(rows, list) and all(isinstance(row, list) for row in rows):
        columns = value.get("columns")
        return Sheet(str(value.get("title") or title), columns if isinstance(columns, list) else (), rows)
    try:
        chart = chart_from_dict(value)
    except ChartError:
        return None
    return Sheet(chart.title or title, *table_of(chart))


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _named(key: str) -> str:
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
