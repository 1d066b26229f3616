"""Gaps: empty cells, columns that are empty together, and words or numbers that stand for "no value"."""

from itertools import combinations

from analysis.methods.context import Context
from analysis.methods.findings import Finding, Severity, describe
from analysis.methods.identifiers import literal, name
from analysis.methods.missing_words import MISSING_NUMBERS, MISSING_WORDS
from analysis.methods.tables import NUMERIC, ColumnProfile, LoadedColumn
from analysis.methods.wording import percent, quote, quote_all

MOST_COLUMNS = 60
TOGETHER = 0.8
FEWEST = 2
FEWEST_NUMBERS = 3


def missing(context: Context) -> list[Finding]:
    """Columns with empty cells. Gaps that are all written as words are left to `disguised_missing`."""
    columns = zip(context.profile.columns, context.loaded.columns, strict=True)
    return [
        _missing(column)
        for column, loaded in columns
        if 0 < column.missing < column.rows and not _all_words(column, loaded)
    ]


def _all_words(column: ColumnProfile, loaded: LoadedColumn) -> bool:
    words = sum(count for value, count in loaded.unreadable if value.lower() in MISSING_WORDS)
    return words == column.missing


def _missing(column: ColumnProfile) -> Finding:
    share = percent(column.missing, column.rows)
    severity: Severity = "high" if share >= 40 else "medium" if share >= 5 else "low"
    c = name(column.name)
    return describe(
        "missing",
        "{column} has gaps",
        "{column} has no usable value in {missing} of {rows} rows ({share} %).",
        {"missing": column.missing, "rows": column.rows, "share": share},
        words={"column": quote(column.name)},
        columns=[column.name],
        method="Empty cells and cells that cannot be read as the column's type are counted.",
        sql=f"SELECT count(*) - count({c}) FROM data",
        n=column.rows,
        severity=severity,
        score=column.missing / column.rows,
    )


def co_missing(context: Context) -> list[Finding]:
    """Groups of columns whose gaps fall into the same rows."""
    gappy = [c for c in context.profile.columns if FEWEST <= c.missing < c.rows][:MOST_COLUMNS]
    groups = _groups(context, gappy)
    return [_together(context, group) for group in groups]


def _groups(context: Context, gappy: list[ColumnProfile]) -> list[list[ColumnProfile]]:
    """Columns join a group when they share most of their gaps with its first member."""
    shared = _shared_gaps(context, gappy)
    groups: list[list[ColumnProfile]] = []
    for column in gappy:
        for group in groups:
            both = shared[group[0].name, column.name]
            if both >= TOGETHER * (group[0].missing + column.missing - both):
                group.append(column)
                break
        else:
            groups.append([column])
    return [group for group in groups if len(group) > 1]


def _shared_gaps(context: Context, gappy: list[ColumnProfile]) -> dict[tuple[str, str], int]:
    pairs = [(a.name, b.name) for a, b in combinations(gappy, 2)]
    if not pairs:
        return {}
    sums = ", ".join(f"count_if({name(a)} IS NULL AND {name(b)} IS NULL)" for a, b in pairs)
    return dict(zip(pairs, context.query(f"SELECT {sums} FROM data")[0], strict=True))


def _together(context: Context, group: list[ColumnProfile]) -> Finding:
    empty = [f"{name(column.name)} IS NULL" for column in group]
    sql = f"SELECT count_if({' AND '.join(empty)}), count_if({' OR '.join(empty)}) FROM data"
    both, either = context.query(sql)[0]
    names = [column.name for column in group]
    return describe(
        "co_missing",
        "{columns} have their gaps in the same rows",
        "{columns} are all empty in {both:row|rows}, of {either} where at least one of them is ({share} %).",
        {"both": int(both), "either": int(either), "share": percent(both, either)},
        words={"columns": quote_all(names)},
        columns=names,
        method="For columns with gaps, the rows with gaps are compared.",
        sql=sql,
        n=context.loaded.rows,
        severity="medium",
        score=0.4 + 0.6 * int(both) / context.loaded.rows,
    )


def disguised_missing(context: Context) -> list[Finding]:
    """Words such as N/A, and numbers such as 999 that lie far from all others."""
    findings = []
    for column, loaded in zip(context.profile.columns, context.loaded.columns, strict=True):
        context.check_cancelled()
        if column.type == "text":
            findings += _words(context, column)
        elif words := [pair for pair in loaded.unreadable if pair[0].lower() in MISSING_WORDS]:
            findings.append(_disguised(column, words, None))
        if column.type in NUMERIC:
            findings += _numbers(context, column)
    return findings


def _words(context: Context, column: ColumnProfile) -> list[Finding]:
    c = name(column.name)
    listed = ", ".join(literal(word) for word in sorted(MISSING_WORDS))
    where = f"FROM data WHERE lower(trim({c})) IN ({listed})"
    found = context.query(f"SELECT trim({c}) AS v, count(*) AS n {where} GROUP BY 1 ORDER BY 2 DESC, 1")
    if not found or len(found) >= column.distinct:
        return []
    pairs = [(str(value), int(count)) for value, count in found]
    return [_disguised(column, pairs, f"SELECT count(*) {where}")]


def _numbers(context: Context, column: ColumnProfile) -> list[Finding]:
    c = name(column.name)
    candidates = [(float(v), n) for v, n in column.top if n >= FEWEST_NUMBERS and float(v) in MISSING_NUMBERS]
    findings = []
    for value, count in candidates:
        low, high = context.query(f"SELECT min({c}), max({c}) FROM data WHERE {c} <> ?", [value])[0]
        if low is not None and ((value < 0 <= low) or (value > 0 and value > 3 * high > 0)):
            sql = f"SELECT count(*) FROM data WHERE {c} = {value:g}"
            findings.append(_disguised(column, [(f"{value:g}", count)], sql))
    return findings


def _disguised(column: ColumnProfile, values: list[tuple[str, int]], sql: str | None) -> Finding:
    cells = sum(count for _, count in values)
    return describe(
        "disguised_missing",
        "{column} hides gaps behind {values}",
        "{column} holds {values} in {cells} of {rows} rows ({share} %); that usually means “no value”.",
        {"cells": cells, "rows": column.rows, "share": percent(cells, column.rows)},
        words={"column": quote(column.name), "values": quote_all([value for value, _ in values[:3]])},
        columns=[column.name],
        method="Cells are compared with words and numbers that are often written for a missing value.",
        sql=sql,
        n=column.rows,
        severity="medium",
        score=0.3 + 0.7 * cells / column.rows,
    )
