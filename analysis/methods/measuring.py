"""Stage 3: every column in numbers: type, gaps, range, quartiles, histogram, most frequent values."""

import math
from dataclasses import replace
from typing import Any

from .context import Context
from .identifiers import name
from .semantics import guess_meaning
from .tables import NUMERIC, TEMPORAL, ColumnProfile, LoadedColumn, Profile

MOST_BINS = 20
TOP = 20
DIGITS = 9


def profile(context: Context) -> Context:
    """Fills in the profile; full scans, no sampling."""
    columns = []
    for position, column in enumerate(context.loaded.columns):
        context.check_cancelled()
        context.progress(position / len(context.loaded.columns), "Measuring the columns")
        columns.append(_measure(context, column))
    return replace(context, profile=Profile(context.loaded.rows, tuple(columns)))


def _measure(context: Context, column: LoadedColumn) -> ColumnProfile:
    top, distinct, present = _frequencies(context, column)
    rows = context.loaded.rows
    base = ColumnProfile(
        name=column.name,
        type=column.type,
        rows=rows,
        missing=rows - present,
        unreadable=column.unreadable_cells,
        distinct=distinct,
        top=top,
    )
    if not present:
        return replace(base, semantic="empty")
    if column.type in NUMERIC:
        base = _with_numbers(context, base)
    elif column.type in TEMPORAL:
        base = _with_range(context, base)
    return replace(base, semantic=guess_meaning(base))


def _frequencies(context: Context, column: LoadedColumn) -> tuple[tuple[tuple[str, int], ...], int, int]:
    c = name(column.name)
    found = context.query(
        f"WITH g AS (SELECT {c} AS v, count(*) AS n FROM data WHERE {c} IS NOT NULL GROUP BY 1)"
        f" SELECT v::VARCHAR, n, (SELECT count(*) FROM g), (SELECT sum(n) FROM g) FROM g"
        f" ORDER BY n DESC, v LIMIT {TOP}"
    )
    if not found:
        return (), 0, 0
    return tuple((str(v), int(n)) for v, n, _, _ in found), int(found[0][2]), int(found[0][3])


def _with_numbers(context: Context, base: ColumnProfile) -> ColumnProfile:
    c = name(base.name)
    low, high, mean, std, quartiles = context.query(
        f"SELECT min({c}), max({c}), favg({c}), CASE WHEN count({c}) > 1 AND max(abs({c}::DOUBLE)) < 1e150"
        f" THEN stddev_samp({c}) END, quantile_cont({c}::DOUBLE, [0.25, 0.5, 0.75]) FROM data"
    )[0]
    q1, median, q3 = quartiles
    edges, counts = _histogram(context, base, float(low), float(high))
    return replace(
        base,
        low=_tidy(low), high=_tidy(high), mean=_tidy(mean), std=_tidy(std),
        q1=_tidy(q1), median=_tidy(median), q3=_tidy(q3), edges=edges, counts=counts,
    )  # fmt: skip


def _tidy(value: Any) -> Any:
    """Nine significant digits, since sums over two threads differ in the last ones; None beyond all bounds."""
    if value is None or isinstance(value, int):
        return value
    number = float(f"{float(value):.{DIGITS}g}")
    return number if math.isfinite(number) else None


def _histogram(
    context: Context, base: ColumnProfile, low: float, high: float
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    if low == high or not math.isfinite(high - low):
        return (), ()
    bins = min(MOST_BINS, max(base.distinct, 2))
    width = (high - low) / bins
    c = name(base.name)
    counted = dict(
        context.query(
            f"SELECT least(floor(({c} - ?::DOUBLE) / ?::DOUBLE)::BIGINT, {bins - 1}) AS bin, count(*)"
            f" FROM data WHERE {c} IS NOT NULL GROUP BY 1",
            [low, width],
        )
    )
    edges = tuple(_tidy(low + width * step) for step in range(bins + 1))
    return edges, tuple(int(counted.get(step, 0)) for step in range(bins))


def _with_range(context: Context, base: ColumnProfile) -> ColumnProfile:
    c = name(base.name)
    low, high = context.query(f"SELECT min({c})::VARCHAR, max({c})::VARCHAR FROM data")[0]
    return replace(base, low=str(low), high=str(high))
