"""Numbers far away from the rest, measured against the middle half and not against the mean."""

import math
from typing import Any

from analysis.methods.context import Context
from analysis.methods.findings import Chart, Finding, describe
from analysis.methods.identifiers import name
from analysis.methods.tables import NUMERIC, ColumnProfile
from analysis.methods.wording import Number, quote

FAR = 8.0
TO_SIGMA = 0.6745
MOST_SHARE = 0.01
FEWEST_ROWS = 20


def outliers(context: Context) -> list[Finding]:
    """Columns with a few values very far out; skewed columns are judged on a logarithmic scale."""
    findings = []
    for column in context.profile.of(*NUMERIC):
        context.check_cancelled()
        if column.present >= FEWEST_ROWS and column.distinct > 10 and column.semantic != "id":
            findings += _far(context, column)
    return findings


def _scale(column: ColumnProfile) -> str:
    """The SQL of the value on the scale it is judged on."""
    c = f"{name(column.name)}::DOUBLE"
    low, q1, median, q3 = column.low, column.q1, column.median, column.q3
    positive = not isinstance(low, str) and low is not None and low > 0
    if positive and q1 and median and q3 and (q3 - median) > 1.2 * (median - q1):
        return f"ln({c})"
    return c


def _far(context: Context, column: ColumnProfile) -> list[Finding]:
    v = _scale(column)
    middle, spread = context.query(
        f"WITH v AS (SELECT {v} AS v FROM data WHERE {name(column.name)} IS NOT NULL),"
        " m AS (SELECT median(v) AS m FROM v) SELECT any_value(m), median(abs(v - m)) FROM v, m"
    )[0]
    if not spread:
        return []
    limit = FAR * float(spread) / TO_SIGMA
    sql = (
        f"SELECT rowid + 1 AS row, {name(column.name)} AS value, count(*) OVER () AS cells FROM data"
        f" WHERE abs({v} - {float(middle)!r}::DOUBLE) > {limit!r}::DOUBLE"
        f" ORDER BY abs({v} - {float(middle)!r}::DOUBLE) DESC, rowid LIMIT 5"
    )
    rows = context.query(sql)
    if not rows or int(rows[0][2]) > max(MOST_SHARE * column.present, 1):
        return []
    return [_describe(column, rows, sql)]


def _describe(column: ColumnProfile, rows: list[tuple[Any, ...]], sql: str) -> Finding:
    row, value, cells = rows[0]
    median = column.median or 0
    evidence: dict[str, Number] = {"cells": int(cells), "row": int(row), "value": value, "median": median}
    sentence = "{column} has {cells:value|values} far from all others; the farthest is {value} in row {row}"
    if median and math.isfinite(value / median) and value / median > 0:
        evidence["times"] = value / median
        sentence += ", {times} times the middle value {median}."
    else:
        sentence += ", while the middle value is {median}."
    return describe(
        "outliers",
        "{column} has values far from the rest",
        sentence,
        evidence,
        words={"column": quote(column.name)},
        columns=[column.name],
        method="The distance from the middle value is compared with the usual distance from it.",
        sql=sql,
        n=column.present,
        severity="medium",
        score=0.6,
        chart=_box(column),
    )


def _box(column: ColumnProfile) -> Chart:
    row = {"label": column.name, "low": column.low, "q1": column.q1, "median": column.median,
           "q3": column.q3, "high": column.high}  # fmt: skip
    finding = "The middle half of the values lies in the box; the line ends at the farthest values."
    return {"kind": "box", "title": column.name, "finding": finding, "unit": "", "rows": [row]}
