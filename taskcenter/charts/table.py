"""The data table below each drawing: the same values for those who cannot, or would rather not, see them."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from .data import Bar, Box, Chart, Heat, Histogram, Line, Spark, StackedBar
from .scale import exact
from .svg import tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

    from .data import Value

MOST_ROWS = 200
MOST_COLUMNS = 40

Table = tuple[list[str], list[list[str]]]  # head, rows


def details(chart: Chart) -> SafeString:
    head, rows = table_of(chart)
    rest = len(rows) - MOST_ROWS
    more = tag("p", f"… and {rest:,} more rows.", class_="tc-chart-note") if rest > 0 else None
    grid = tag(
        "table",
        tag("thead", tag("tr", *[tag("th", text, scope="col") for text in head[:MOST_COLUMNS]])),
        tag("tbody", *[_row(row[:MOST_COLUMNS]) for row in rows[:MOST_ROWS]]),
    )
    # The scrolling box takes the keyboard's focus, or nobody could scroll it without a pointer.
    name = f"{chart.title}: data"
    box = tag("div", grid, class_="tc-chart-table", tabindex=0, role="group", aria_label=name)
    return tag("details", tag("summary", "Show as table"), box, more, class_="tc-chart-data")


def _row(cells: list[str]) -> SafeString:
    return tag("tr", tag("th", cells[0], scope="row"), *[tag("td", cell) for cell in cells[1:]])


@singledispatch
def table_of(chart: Chart) -> Table:
    """The head and the rows of a chart's values, as text."""
    raise NotImplementedError(type(chart).__name__)


@table_of.register
def _(chart: Bar) -> Table:
    return ["Label", _with_unit("Value", chart)], _side_by_side(chart.labels, [chart.values])


@table_of.register
def _(chart: Spark) -> Table:
    counted = [str(at + 1) for at in range(len(chart.values))]
    return ["Number", _with_unit("Value", chart)], _side_by_side(counted, [chart.values])


@table_of.register
def _(chart: StackedBar) -> Table:
    head = ["Label", *[str(one.name) for one in chart.series]]
    return head, _side_by_side(chart.labels, [one.values for one in chart.series])


@table_of.register
def _(chart: Line) -> Table:
    head = ["x", *[str(one.name) for one in chart.series]]
    return head, _side_by_side(chart.x, [one.values for one in chart.series])


@table_of.register
def _(chart: Histogram) -> Table:
    head = [_with_unit("From", chart), _with_unit("To", chart), "Count"]
    lower, upper = chart.edges[:-1], chart.edges[1:]
    cells = zip(lower, upper, chart.counts, strict=True)
    return head, [[exact(low), exact(high), exact(count)] for low, high, count in cells]


@table_of.register
def _(chart: Box) -> Table:
    head = [
        "Label",
        *[_with_unit(name, chart) for name in ("Low", "Quarter", "Median", "Three quarters", "High")],
    ]
    fives = [(row.low, row.q1, row.median, row.q3, row.high) for row in chart.rows]
    names = [str(row.label) for row in chart.rows]
    return head, [[name, *[exact(value) for value in five]] for name, five in zip(names, fives, strict=True)]


@table_of.register
def _(chart: Heat) -> Table:
    cells = zip(chart.rows, chart.values, strict=True)
    rows = [[str(label), *[exact(value) for value in values]] for label, values in cells]
    return ["", *[str(column) for column in chart.columns]], rows


def _with_unit(name: str, chart: Chart) -> str:
    return f"{name} ({chart.unit})" if chart.unit else name


def _side_by_side(labels: Sequence[object], columns: Sequence[Sequence[Value]]) -> list[list[str]]:
    return [[str(label), *[exact(column[at]) for column in columns]] for at, label in enumerate(labels)]
