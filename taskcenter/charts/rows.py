"""Marks beside a label, one row each: bars, stacked rows, boxes, heat grids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .axes import x_axis
from .scale import finite, linear, number, present, stack, stack_range, ticks
from .svg import INK, RULE, SERIES, WIDTH, block, fill, join, legend, rule, short, tag, width, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

    from .data import Bar, Box, Heat, StackedBar

ROW = 24
THICK = 15
LABEL_ROOM = 116.0
HEAT_LABEL_ROOM = 84.0
CELL_WITH_NUMBER = 32  # narrower cells keep their number for the title and the table
DEEPEST = 0.42  # opacity of the strongest cell: its number keeps 4.5:1 in both themes
UPRIGHT_ROOM = 58.0
FIVE = 5  # numbers make a box


def draw_bar(chart: Bar, most: int) -> tuple[float, SafeString]:
    labels, values = list(chart.labels)[:most], list(chart.values)[:most]
    told = [number(value, chart.unit) for value in values]
    left = _label_room(labels, LABEL_ROOM)
    right = WIDTH - min(100.0, max(width(text) for text in told)) - 8
    numbers = present(values)
    place = linear(min(0.0, *numbers), max(0.0, *numbers) or float(not any(numbers)), left, right)
    parts = []
    for position, (label, value, text) in enumerate(zip(labels, values, told, strict=True)):
        middle = position * ROW + ROW / 2
        parts.append(words(left - 8, middle + 4, label, room=left - 8, text_anchor="end"))
        parts.append(words(WIDTH, middle + 4, text, room=100, text_anchor="end"))
        if (plain := finite(value)) is not None:
            start, end = sorted((place(0), place(plain)))
            title = tag("title", f"{label}: {text}")
            parts.append(
                tag("rect", title, x=start, y=middle - THICK / 2, width=max(1.0, end - start), height=THICK,
                    **fill(0))
            )  # fmt: skip
    height = len(labels) * ROW
    return height, join(*parts, rule(place(0), 0, place(0), height, strong=True))


def draw_stacked_rows(chart: StackedBar, names: list[str]) -> tuple[float, SafeString]:
    key, top = legend(names)
    left = _label_room(chart.labels, LABEL_ROOM)
    stacks = [[finite(chart.series[at].values[row]) for at in range(len(names))] for row in range(len(chart.labels))]
    low, high = stack_range(stacks)
    marks = ticks(low, high, 3)
    place = linear(marks[0], marks[-1], left, WIDTH - 14)
    bottom = top + len(stacks) * ROW
    parts = [key, x_axis(marks, place, top, bottom, chart.unit)]
    for position, (label, values) in enumerate(zip(chart.labels, stacks, strict=True)):
        middle = top + position * ROW + ROW / 2
        parts.append(words(left - 8, middle + 4, label, room=left - 8, text_anchor="end"))
        for series, start, end, value in stack(values):
            a, b = sorted((place(start), place(end)))
            title = f"{label}, {names[series]}: {number(value, chart.unit)}"
            parts.append(block(series, a, middle - THICK / 2, b - a, float(THICK), title=title))
    parts.append(rule(place(0), top, place(0), bottom, strong=True))
    return bottom + 20, join(*parts)


def draw_box(chart: Box, most: int) -> tuple[float, SafeString]:
    rows = list(chart.rows)[:most]
    left = _label_room([row.label for row in rows], LABEL_ROOM)
    every = present(value for row in rows for value in (row.low, row.q1, row.median, row.q3, row.high))
    marks = ticks(min(every), max(every), 3)
    place = linear(marks[0], marks[-1], left + 6, WIDTH - 14)
    bottom = len(rows) * ROW
    parts = [x_axis(marks, place, 0, bottom, chart.unit)]
    for position, row in enumerate(rows):
        middle = position * ROW + ROW / 2
        parts.append(words(left - 8, middle + 4, row.label, room=left - 8, text_anchor="end"))
        numbers = present((row.low, row.q1, row.median, row.q3, row.high))
        if len(numbers) == FIVE:
            low, q1, median, q3, high = (number(value, chart.unit) for value in numbers)
            title = f"{row.label}: median {median}, half of all from {q1} to {q3}, whiskers {low} to {high}"
            parts.append(_box(sorted(place(value) for value in numbers), middle, title))
        else:
            parts.append(words(left + 6, middle + 4, "not enough data", class_="tc-quiet"))
    return bottom + 20, join(*parts)


def _box(places: list[float], middle: float, title: str) -> SafeString:
    low, q1, median, q3, high = places
    half = THICK / 2
    whiskers = (
        f"M{short(low)} {short(middle - 4)}v8M{short(low)} {short(middle)}H{short(q1)}"
        f"M{short(q3)} {short(middle)}H{short(high)}M{short(high)} {short(middle - 4)}v8"
    )
    return join(
        tag("path", d=whiskers, class_="tc-s1 tc-line", stroke=SERIES[0], fill="none", stroke_width=1.5),
        tag("rect", tag("title", title), x=q1, y=middle - half, width=max(2.0, q3 - q1), height=THICK,
            class_="tc-s1 tc-box", fill=SERIES[0], fill_opacity=0.35, stroke=SERIES[0], stroke_width=1.5),
        tag("path", d=f"M{short(median)} {short(middle - half)}v{THICK}", class_="tc-median", stroke=INK,
            stroke_width=2.5),
    )  # fmt: skip


def draw_heat(chart: Heat, most: int) -> tuple[float, SafeString]:
    rows, columns = list(chart.rows)[:most], list(chart.columns)[:most]
    left = _label_room(rows, HEAT_LABEL_ROOM)
    step = min(64.0, (WIDTH - left) / len(columns))
    high = max(20.0, min(28.0, step))
    strongest = max((abs(value) for row in chart.values for value in present(row)), default=0.0) or 1.0
    upright = max(width(column) for column in columns) <= step - 4
    top = 18.0 if upright else min(UPRIGHT_ROOM, max(width(column) for column in columns)) + 8
    parts = [_column_label(left + (at + 0.5) * step, top, text, step, upright) for at, text in enumerate(columns)]
    for down, label in enumerate(rows):
        y = top + down * high
        parts.append(words(left - 6, y + high / 2 + 4, label, room=left - 6, text_anchor="end"))
        for across, column in enumerate(columns):
            value = finite(chart.values[down][across])
            told = number(value, chart.unit)
            title = f"{label}, {column}: {told if value is not None else 'no value'}"
            parts.append(_cell(left + across * step, y, step, high, value=value, strongest=strongest, title=title))
            if value is not None and step >= CELL_WITH_NUMBER and width(number(value)) <= step - 2:
                parts.append(
                    words(left + (across + 0.5) * step, y + high / 2 + 4, number(value), text_anchor="middle",
                          pointer_events="none")
                )  # fmt: skip
    return top + len(rows) * high + 2, join(*parts)


def _column_label(x: float, bottom: float, text: str, step: float, upright: bool) -> SafeString:
    if upright:
        return words(x, bottom - 5, text, room=step, text_anchor="middle")
    turn = f"rotate(-90 {short(x + 4)} {short(bottom - 5)})"
    return words(x + 4, bottom - 5, text, room=UPRIGHT_ROOM, transform=turn)


def _cell(
    x: float, y: float, wide: float, high: float, *, value: float | None, strongest: float, title: str
) -> SafeString:
    paint = {"class_": "tc-cell-none", "fill": "none", "stroke": RULE, "stroke_dasharray": "2 2"}
    if value is not None:
        # Negative cells take the second colour and a rim, so that the sign needs no colour vision.
        series = int(value < 0)
        token = f"tc-s{series + 1} tc-fill"
        paint = {
            "class_": token,
            "fill": SERIES[series],
            "fill_opacity": f"{DEEPEST * abs(value) / strongest + 0.04:.2f}",
        }
        if value < 0:
            paint |= {"class_": f"{token} tc-rim", "stroke": SERIES[1], "stroke_dasharray": "3 2"}
    return tag(
        "rect", tag("title", title), x=x + 1, y=y + 1, width=wide - 2, height=high - 2, **paint
    )  # fmt: skip


def _label_room(labels: Sequence[str], most: float) -> float:
    return min(most, max((width(str(label)) for label in labels), default=0.0) + 8)
