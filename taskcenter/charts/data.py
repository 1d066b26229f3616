"""What a chart is: frozen dataclasses, and the JSON that reports keep.

A missing value is None; NaN and infinities count as missing too and become null in JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar

from .scale import finite

Value = float | Decimal | None


class ChartError(ValueError):
    """This is not a chart: the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What every kind shares. `finding` is the one sentence a reader should take home."""

    kind: ClassVar[str] = ""
    title: str
    finding: str = ""
    unit: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind} | {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class BoxRow:
    label: str
    low: Value
    q1: Value
    median: Value
    q3: Value
    high: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar(Chart):
    kind: ClassVar[str] = "bar"
    labels: Sequence[str]
    values: Sequence[Value]

    def __post_init__(self) -> None:
        _same_length("bar", "labels", self.labels, "values", self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedBar(Chart):
    """Rows for a dozen labels or fewer, columns for more (a time line of buckets)."""

    kind: ClassVar[str] = "stacked"
    labels: Sequence[str]
    series: Sequence[Series]

    def __post_init__(self) -> None:
        for one in self.series:
            _same_length("stacked", "labels", self.labels, f"series {one.name!r}", one.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Chart):
    """`x` holds numbers, ISO dates or any labels; only the first two are drawn to scale."""

    kind: ClassVar[str] = "line"
    x: Sequence[float | str | date]
    series: Sequence[Series]

    def __post_init__(self) -> None:
        for one in self.series:
            _same_length("line", "x", self.x, f"series {one.name!r}", one.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram(Chart):
    """`counts[i]` lie between `edges[i]` and `edges[i + 1]`."""

    kind: ClassVar[str] = "histogram"
    edges: Sequence[float]
    counts: Sequence[Value]

    def __post_init__(self) -> None:
        if not self.edges and not self.counts:
            return
        if len(self.edges) != len(self.counts) + 1:
            raise ChartError(
                "A histogram needs one edge more than it has counts: "
                f"got {len(self.edges)} edges and {len(self.counts)} counts."
            )
        edges = [finite(edge) for edge in self.edges]
        if any(a is None or b is None or b <= a for a, b in pairwise(edges)):
            raise ChartError("The edges of a histogram must be finite numbers that rise.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box(Chart):
    kind: ClassVar[str] = "box"
    rows: Sequence[BoxRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat(Chart):
    kind: ClassVar[str] = "heat"
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[Value]]

    def __post_init__(self) -> None:
        _same_length("heat", "rows", self.rows, "values", self.values)
        for label, cells in zip(self.rows, self.values, strict=True):
            _same_length("heat", "columns", self.columns, f"row {label!r}", cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark(Chart):
    """A line as small as a word; it goes into tables and tiles."""

    kind: ClassVar[str] = "spark"
    values: Sequence[Value]


KINDS: dict[str, type[Chart]] = {chart.kind: chart for chart in (Bar, StackedBar, Line, Histogram, Box, Heat, Spark)}


def chart_from_dict(data: Mapping[str, Any]) -> Chart:
    """The chart that `to_dict` wrote down, or ChartError. Keys it does not know are left alone."""
    if not isinstance(data, Mapping):
        raise ChartError(f"A chart is an object with a kind, not {type(data).__name__}.")
    kind = data.get("kind")
    chart = KINDS.get(kind) if isinstance(kind, str) else None
    if chart is None:
        raise ChartError(f"Unknown kind of chart {kind!r}; known are {', '.join(KINDS)}.")
    names = [field.name for field in fields(chart)]
    optional = {"finding", "unit"}
    missing = [name for name in names if name not in data and name not in optional]
    if missing:
        raise ChartError(f"A {kind} chart needs {', '.join(missing)}.")
    return chart(**{name: _read(chart, name, data[name]) for name in names if name in data})


def _read(chart: type[Chart], name: str, value: Any) -> Any:
    match name:
        case "title" | "finding" | "unit":
            read: Any = _text(value)
        case "rows" if chart is Box:
            read = _box_rows(value)
        case "labels" | "columns" | "rows":
            read = tuple(_text(one) for one in _list(value, name))
        case "x":
            read = tuple(one if _is_number(one) else _text(one) for one in _list(value, name))
        case "series":
            read = tuple(_series(one, position) for position, one in enumerate(_list(value, name)))
        case "values" if chart is Heat:
            read = tuple(_numbers(row, f"values[{at}]") for at, row in enumerate(_list(value, name)))
        case _:
            read = _numbers(value, name)
    return read


def _series(one: Any, position: int) -> Series:
    where = f"series[{position}]"
    if not isinstance(one, Mapping) or "name" not in one or "values" not in one:
        raise ChartError(f"{where} must be an object with a name and values.")
    return Series(_text(one["name"]), _numbers(one["values"], f"{where}.values"))


def _box_rows(value: Any) -> tuple[BoxRow, ...]:
    names = [field.name for field in fields(BoxRow)]
    rows = []
    for position, row in enumerate(_list(value, "rows")):
        missing = [name for name in names if name not in row] if isinstance(row, Mapping) else names
        if missing:
            raise ChartError(f"rows[{position}] of a box chart needs {', '.join(missing)}.")
        numbers = _numbers([row[name] for name in names[1:]], f"rows[{position}]")
        rows.append(BoxRow(_text(row["label"]), *numbers))
    return tuple(rows)


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ChartError(f"{where} must be a list, not {type(value).__name__}.")
    return value


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _numbers(value: Any, where: str) -> tuple[Value, ...]:
    values = _list(value, where)
    for position, one in enumerate(values):
        if one is not None and not _is_number(one):
            raise ChartError(f"{where}[{position}] must be a number or null, not {type(one).__name__}.")
    return tuple(values)


def _plain(value: Any) -> Any:
    """JSON's idea of a field: lists, objects, text, and numbers that are numbers."""
    match value:
        case None | str() | int():
            return value
        case float() | Decimal():
            return finite(value)
        case date():
            return value.isoformat()
        case Series() | BoxRow():
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        case Iterable():
            return [_plain(one) for one in value]
    return str(value)


def _same_length(kind: str, one: str, first: Sequence[Any], other: str, second: Sequence[Any]) -> None:
    if len(first) != len(second):
        raise ChartError(
            f"A {kind} chart needs as many {one} as there are in {other}: got {len(first)} and {len(second)}."
        )
