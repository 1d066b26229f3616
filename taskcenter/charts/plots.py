"""Marks above an axis: lines, histograms, columns of buckets, sparks."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from .axes import BELOW, x_axis, x_words, y_axis, y_gutter
from .scale import finite, linear, number, present, stack, stack_range, tick_words, ticks
from .svg import FONT, WIDTH, block, clean, fill, join, legend, marker, short, stroke, tag, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

    from .data import Histogram, Line, Spark, StackedBar

HIGH = 150.0
MARKED = 24  # longer lines carry no markers
MOST_COLUMNS = 240  # more would be thinner than a pixel on a phone
FINEST = 150  # buckets; a longer line is drawn by the extremes of each
SPARK_WIDTH, SPARK_HEIGHT = 120, 28
TEN_THOUSAND = 10_000

Point = tuple[float, float, int]  # x and y in the picture, and which value it is


class _Plot:
    """The room between the axes: `up` and `across` carry values into it."""

    def __init__(self, marks: list[float], top: float, x_low: float, x_high: float, *, inset: float = 0) -> None:
        self.top, self.bottom = top, top + HIGH
        self.left, self.right = y_gutter(marks), WIDTH - 8.0
        self.up = linear(marks[0], marks[-1], self.bottom, self.top)
        self.across = linear(x_low, x_high, self.left + inset, self.right - inset)
        self.rules = y_axis(marks, self.up, self.left, self.right)


def draw_line(chart: Line, names: list[str]) -> tuple[float, SafeString]:
    key, top = legend(names, lines=True)
    top += _unit_room(chart.unit)
    drawn = chart.series[: len(names)]
    every = present(value for one in drawn for value in one.values)
    places, numeric = x_places(chart.x)
    known = present(places)
    low, high = min(known), max(known)
    plot = _Plot(ticks(min(every), max(every)), top, low, high, inset=6)
    if numeric and high > low:
        inside = [mark for mark in ticks(low, high) if low <= mark <= high]
        below = x_words([plot.across(mark) for mark in inside], _x_numbers(inside), plot.bottom)
    else:
        chosen = _spread([at for at, place in enumerate(places) if place is not None])
        told = [str(chart.x[at]) for at in chosen]
        below = x_words([plot.across(places[at] or 0.0) for at in chosen], told, plot.bottom, room=84)
    lines = [_one_line(chart, series, places, plot) for series in range(len(names))]
    return plot.bottom + BELOW, join(key, _unit(chart.unit, top), plot.rules, below, *lines)


def _one_line(chart: Line, series: int, places: list[float | None], plot: _Plot) -> SafeString:
    name, values = chart.series[series].name, [finite(value) for value in chart.series[series].values]
    points = [
        None if x is None or value is None else (plot.across(x), plot.up(value), at)
        for at, (x, value) in enumerate(zip(places, values, strict=True))
    ]
    runs = _runs(points)
    way = "".join(_way([(x, y) for x, y, _ in _thinned(run)]) for run in runs if len(run) > 1)
    last = next((at for at in reversed(range(len(values))) if values[at] is not None), 0)
    title = f"{name}: {number(values[last], chart.unit)} at {clean(chart.x[last])}"
    parts = [tag("path", tag("title", title), d=way, **stroke(series))] if way else []
    few = sum(len(run) for run in runs) <= MARKED
    for run in runs:
        if few or len(run) == 1:
            parts += [
                marker(series, x, y, f"{name}, {clean(chart.x[at])}: {number(values[at], chart.unit)}")
                for x, y, at in run
            ]
    return join(*parts)


def draw_histogram(chart: Histogram) -> tuple[float, SafeString]:
    edges, counts = present(chart.edges), [finite(count) for count in chart.counts]
    known = present(counts)
    marks = ticks(min(0.0, *known), max(1.0, *known))
    plot = _Plot(marks, 4.0, edges[0], edges[-1])
    parts = [plot.rules]
    for at, count in enumerate(counts):
        if not count:
            continue
        x, end = plot.across(edges[at]), plot.across(edges[at + 1])
        y, foot = sorted((plot.up(count), plot.up(0)))
        title = f"{number(edges[at])} to {number(edges[at + 1], chart.unit)}: {number(count)}"
        gap = 1 if end - x > 3 else 0  # noqa: PLR2004 a bar of three pixels has none to give
        told = tag("title", title)
        parts.append(tag("rect", told, x=x, y=y, width=end - x - gap, height=max(0.5, foot - y), **fill(0)))
    inside = [mark for mark in ticks(edges[0], edges[-1], 5) if edges[0] <= mark <= edges[-1]]
    parts.append(x_axis(inside or edges, plot.across, plot.bottom, plot.bottom + 4, chart.unit))
    return plot.bottom + BELOW, join(*parts)


def draw_stacked_columns(chart: StackedBar, names: list[str]) -> tuple[float, SafeString]:
    key, top = legend(names)
    top += _unit_room(chart.unit)
    count = min(len(chart.labels), MOST_COLUMNS)
    stacks = [[finite(chart.series[at].values[column]) for at in range(len(names))] for column in range(count)]
    plot = _Plot(ticks(*stack_range(stacks)), top, 0, count)
    step = (plot.right - plot.left) / count
    parts = [key, _unit(chart.unit, top), plot.rules]
    for column, values in enumerate(stacks):
        x = plot.across(column) + step * 0.08
        for series, start, end, value in stack(values):
            y, foot = sorted((plot.up(start), plot.up(end)))
            title = f"{chart.labels[column]}, {names[series]}: {number(value, chart.unit)}"
            parts.append(block(series, x, y, step * 0.84, foot - y, title=title))
    chosen = _spread(list(range(count)))
    told = [str(chart.labels[at]) for at in chosen]
    parts.append(x_words([plot.across(at + 0.5) for at in chosen], told, plot.bottom, room=84))
    return plot.bottom + BELOW, join(*parts)


def draw_spark(chart: Spark) -> tuple[float, SafeString]:
    values = [finite(value) for value in chart.values]
    known = present(values)
    up = linear(min(known), max(known), SPARK_HEIGHT - 4.0, 4.0)
    across = linear(0, len(values) - 1, 4.0, SPARK_WIDTH - 5.0)
    points = [None if value is None else (across(at), up(value), at) for at, value in enumerate(values)]
    runs = _runs(points)
    way = "".join(_way([(x, y) for x, y, _ in _thinned(run)]) for run in runs if len(run) > 1)
    x, y, _ = runs[-1][-1]
    title = f"{len(known)} values from {number(min(known), chart.unit)} to {number(max(known), chart.unit)}"
    line = tag("path", tag("title", title), d=way, **stroke(0)) if way else None
    return SPARK_HEIGHT, join(line, marker(0, x, y, f"latest: {number(known[-1], chart.unit)}"))


def x_places(values: Sequence[float | str | date]) -> tuple[list[float | None], bool]:
    """Numbers and dates to scale, everything else evenly; and whether they are numbers."""
    if all(isinstance(value, int | float | Decimal) for value in values):
        return [finite(value) for value in values], True  # type: ignore[arg-type]
    try:
        return [_moment(value) for value in values], False
    except (TypeError, ValueError, OverflowError):
        return [float(at) for at in range(len(values))], False


def _moment(value: object) -> float:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.timestamp() if moment.tzinfo else (moment - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001


def _x_numbers(places: list[float]) -> list[str]:
    """Tick texts of an x axis: years are not written 2,026."""
    told = tick_words(places)
    return [text.replace(",", "") for text in told] if max(places) < TEN_THOUSAND else told


def _spread(positions: list[int], most: int = 7) -> list[int]:
    """Up to `most` of them, evenly, with the first and the last."""
    if len(positions) <= most:
        return positions
    step = (len(positions) - 1) / (most - 1)
    return [positions[round(at * step)] for at in range(most)]


def _runs(points: Sequence[Point | None]) -> list[list[Point]]:
    """The line between its gaps."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point is not None:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _thinned(run: list[Point]) -> list[Point]:
    """At most two points per bucket, its highest and lowest: what the eye would see of them all."""
    if len(run) <= 2 * FINEST:
        return run
    size = -(-len(run) // FINEST)
    kept: list[Point] = []
    for start in range(0, len(run), size):
        bucket = run[start : start + size]
        ends = {min(bucket, key=lambda point: point[1]), max(bucket, key=lambda point: point[1])}
        kept += sorted(ends, key=lambda point: point[2])
    return kept


def _way(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in points)


def _unit_room(unit: str) -> float:
    return FONT + 8.0 if unit else 6.0


def _unit(unit: str, top: float) -> SafeString | None:
    return words(0, top - 10, unit, class_="tc-quiet") if unit else None
