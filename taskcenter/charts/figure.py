"""The figure around a drawing: caption, accessible name, and a reason when there is nothing to see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .data import Bar, Box, Chart, ChartError, Heat, Histogram, Line, Spark, StackedBar
from .plots import (
    MOST_COLUMNS,
    SPARK_WIDTH,
    draw_histogram,
    draw_line,
    draw_spark,
    draw_stacked_columns,
    x_places,
)
from .rows import draw_bar, draw_box, draw_heat, draw_stacked_rows
from .scale import present
from .svg import INK, WIDTH, clean, tag
from .table import details

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.utils.safestring import SafeString

    from .data import Series, Value

MOST_ROWS = 40  # drawn; the table goes on
MOST_CELLS = 30  # rows and columns of a heat grid
MOST_SERIES = 12
ROWS_UP_TO = 12  # labels of a stacked chart; more become columns


def render(chart: Chart, *, prefix: str = "", table: bool = True) -> SafeString:
    """The chart as one `<figure>`.

    Without `prefix` the markup holds no id at all, so any number of charts share a page. With one, unique
    to the page, name and description are tied by id too, for assistive technology that needs it.
    `table=False` leaves the data table out, for a spark inside a table of its own.
    """
    if type(chart) not in DRAWINGS:
        raise ChartError(f"There is no drawing for {type(chart).__name__}.")
    empty = _why_empty(chart)
    drawing = tag("p", empty, class_="tc-chart-empty") if empty else _picture(chart, prefix)
    return tag(
        "figure",
        None if isinstance(chart, Spark) else _caption(chart),
        drawing,
        _note(chart) if not empty else None,
        details(chart) if table else None,
        class_=f"tc-chart tc-chart-{chart.kind}",
    )


def _caption(chart: Chart) -> SafeString:
    finding = tag("span", chart.finding, class_="tc-chart-finding") if chart.finding else None
    return tag("figcaption", tag("strong", chart.title, class_="tc-chart-title"), " " if finding else None, finding)


def _picture(chart: Chart, prefix: str) -> SafeString:
    height, body = DRAWINGS[type(chart)](chart)
    wide = SPARK_WIDTH if isinstance(chart, Spark) else WIDTH
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", prefix)
    name, told = (f"{prefix}-title", f"{prefix}-desc") if prefix else (None, None)
    return tag(
        "svg",
        tag("title", chart.title, id=name),
        tag("desc", chart.finding or chart.title, id=told),
        body,
        role="img",
        aria_label=None if prefix else chart.title,
        aria_labelledby=name,
        aria_describedby=told,
        viewBox=f"0 0 {wide} {round(height)}",
        width=wide,
        height=round(height),
        class_="tc-chart-svg",
        font_family="system-ui, sans-serif",
        font_size=12,
        fill=INK,
    )


def _draw_stacked(chart: StackedBar) -> tuple[float, SafeString]:
    draw = draw_stacked_rows if len(chart.labels) <= ROWS_UP_TO else draw_stacked_columns
    return draw(chart, _names(chart.series))


DRAWINGS: dict[type[Chart], Callable[[Any], tuple[float, SafeString]]] = {
    Bar: lambda chart: draw_bar(chart, MOST_ROWS),
    StackedBar: _draw_stacked,
    Line: lambda chart: draw_line(chart, _names(chart.series)),
    Histogram: draw_histogram,
    Box: lambda chart: draw_box(chart, MOST_ROWS),
    Heat: lambda chart: draw_heat(chart, MOST_CELLS),
    Spark: draw_spark,
}


def _names(series: Sequence[Series]) -> list[str]:
    return [clean(one.name) for one in series[:MOST_SERIES]]


def _why_empty(chart: Chart) -> str | None:
    """The sentence that stands in for a drawing, or None when there is something to draw."""
    values, what = _everything(chart)
    if not values:
        return f"Nothing to draw: there are no {what}."
    if not present(values):
        missing = "the only value is" if len(values) == 1 else f"all {len(values):,} values are"
        return f"Nothing to draw: {missing} missing."
    if isinstance(chart, Line) and not present(x_places(chart.x)[0]):
        return "Nothing to draw: no point has a place on the x axis."
    return None


def _everything(chart: Chart) -> tuple[list[Value], str]:
    """Every value that a drawing would use, and what to call them when there is none."""
    match chart:
        case Bar():
            found = list(chart.values[:MOST_ROWS]), "bars"
        case Histogram():
            found = list(chart.counts), "counts"
        case StackedBar() | Line():
            found = [value for one in chart.series[:MOST_SERIES] for value in one.values], "points"
        case Box():
            fives = [(row.low, row.q1, row.median, row.q3, row.high) for row in chart.rows[:MOST_ROWS]]
            found = [value for five in fives for value in five], "rows"
        case Heat():
            found = [value for row in chart.values[:MOST_CELLS] for value in row[:MOST_CELLS]], "cells"
        case _:
            found = list(getattr(chart, "values", ())), "values"
    return found


def _note(chart: Chart) -> SafeString | None:
    told = [f"Drawn: the first {most} of {count:,} {what}." for count, most, what in _sizes(chart) if count > most]
    return tag("p", " ".join(told), class_="tc-chart-note") if told else None


def _sizes(chart: Chart) -> list[tuple[int, int, str]]:
    match chart:
        case Bar():
            return [(len(chart.labels), MOST_ROWS, "bars")]
        case Box():
            return [(len(chart.rows), MOST_ROWS, "rows")]
        case Heat():
            return [(len(chart.rows), MOST_CELLS, "rows"), (len(chart.columns), MOST_CELLS, "columns")]
        case StackedBar():
            return [(len(chart.series), MOST_SERIES, "series"), (len(chart.labels), MOST_COLUMNS, "columns")]
        case Line():
            return [(len(chart.series), MOST_SERIES, "series")]
    return []
