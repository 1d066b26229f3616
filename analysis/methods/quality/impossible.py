"""Values that cannot be, judged by what the column's name says it holds."""

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.identifiers import literal, name
from analysis.methods.semantics import name_words
from analysis.methods.tables import NUMERIC, TEMPORAL, ColumnProfile
from analysis.methods.wording import percent, quote

NEVER_NEGATIVE = frozenset(
    {
        "age",
        "ages",
        "count",
        "counts",
        "qty",
        "quantity",
        "quantities",
        "price",
        "prices",
        "weight",
        "height",
        "length",
        "width",
        "depth",
        "size",
        "area",
        "volume",
        "duration",
        "distance",
        "population",
        "units",
        "items",
        "visits",
        "mass",
        "kg",
        "cm",
        "mm",
        "carat",
    }
)
NEVER_ZERO = frozenset({"weight", "height", "length", "width", "depth", "size", "area", "volume", "mass", "carat"})
OLDEST = 120
FUTURE_WORDS = frozenset(
    {
        "due",
        "expiry",
        "expires",
        "expiration",
        "deadline",
        "end",
        "until",
        "planned",
        "plan",
        "next",
        "delivery",
        "valid",
        "forecast",
        "target",
        "scheduled",
        "arrival",
        "departure",
        "maturity",
    }
)
FEW = 0.1


def impossible_values(context: Context) -> list[Finding]:
    """Negative counts and prices, ages beyond any human, sizes of zero."""
    findings = []
    for column in context.profile.of(*NUMERIC):
        words = name_words(column.name)
        if words & NEVER_NEGATIVE:
            findings += _some(context, column, "< 0", "below zero", {})
        if words & NEVER_ZERO:
            findings += _some(context, column, "= 0", "exactly zero", {})
        if words & {"age", "ages"}:
            findings += _some(context, column, f"> {OLDEST}", "above {oldest}", {"oldest": OLDEST})
    return findings


def _some(context: Context, column: ColumnProfile, condition: str, spoken: str, limit: dict[str, int]) -> list[Finding]:
    """A finding when a few cells fulfil the condition; when many do, the name means something else."""
    context.check_cancelled()
    c = name(column.name)
    sql = f"SELECT count(*), min({c}) FROM data WHERE {c} {condition}"
    cells, lowest = context.query(sql)[0]
    if not cells or cells > FEW * column.present:
        return []
    evidence = {"cells": int(cells), "present": column.present, "share": percent(cells, column.present)}
    ending = "; the lowest is {lowest}." if "<" in condition else "."
    return [
        describe(
            "impossible",
            "{column} has impossible values",
            "{column} is " + spoken + " in {cells} of {present} filled cells ({share} %)" + ending,
            {**evidence, **limit, "lowest": lowest},
            words={"column": quote(column.name)},
            columns=[column.name],
            method="The name of the column says which values cannot be.",
            sql=sql,
            n=column.present,
            severity="high",
            score=0.6 + 0.4 * int(cells) / column.present,
            caveat="The meaning of the column is guessed from its name.",
        )
    ]


def future_dates(context: Context) -> list[Finding]:
    """Dates after today in columns that tell of the past."""
    findings = []
    for column in context.profile.of(*TEMPORAL):
        if not name_words(column.name) & FUTURE_WORDS:
            findings += _future(context, column)
    return findings


def _future(context: Context, column: ColumnProfile) -> list[Finding]:
    c, today = name(column.name), context.options.today.isoformat()
    sql = f"SELECT count(*), max({c})::VARCHAR FROM data WHERE {c}::DATE > {literal(today)}::DATE"
    cells, latest = context.query(sql)[0]
    if not cells or cells > 0.5 * column.present:
        return []
    return [
        describe(
            "future_dates",
            "{column} has dates in the future",
            "{column} lies after {today} in {cells} of {present} filled cells ({share} %); the latest is {latest}.",
            {"cells": int(cells), "present": column.present, "share": percent(cells, column.present)},
            words={"column": quote(column.name), "today": quote(today), "latest": quote(latest)},
            columns=[column.name],
            method="Dates are compared with the day of the analysis.",
            sql=sql,
            n=column.present,
            severity="high",
            score=0.6,
        )
    ]
