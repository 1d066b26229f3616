"""The same thing twice: equal rows, equal columns."""

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.identifiers import name, names
from analysis.methods.wording import percent, quote

METHOD_ROWS = "Rows that agree in every column with an earlier row are counted."


def duplicate_rows(context: Context) -> list[Finding]:
    """Rows that occur more than once; the first of each is not counted."""
    columns = [column.name for column in context.profile.columns]
    if context.loaded.rows < 2 or len(columns) < 2 or not any(c.present for c in context.profile.columns):
        return []
    every = names(columns)
    repeated = _repeated(context, every)
    if not repeated:
        return []
    rows = context.loaded.rows
    return [
        describe(
            "duplicate_rows",
            "{copies:row is|rows are} exact copies",
            "{copies} of {rows} rows ({share} %) repeat an earlier row in every column.",
            {"copies": repeated, "rows": rows, "share": percent(repeated, rows)},
            method=METHOD_ROWS,
            sql="SELECT (SELECT count(*) FROM data) - count(*) FROM (SELECT DISTINCT * FROM data)",
            n=rows,
            severity="high" if repeated > 0.001 * rows else "medium",
            score=0.5 + 0.5 * repeated / rows,
        )
    ]


def _repeated(context: Context, every: str) -> int:
    """Compares short hashes first, whole rows only where two hashes agree."""
    suspects = (
        f"SELECT {every} FROM data WHERE hash({every}) IN"
        f" (SELECT hash({every}) AS h FROM data GROUP BY 1 HAVING count(*) > 1)"
    )
    found = context.query(
        f"WITH s AS ({suspects}) SELECT (SELECT count(*) FROM s) - count(*) FROM (SELECT DISTINCT * FROM s)"
    )
    return int(found[0][0])


def duplicate_columns(context: Context) -> list[Finding]:
    """Columns that agree in every row."""
    usable = [c for c in context.profile.columns if c.distinct > 1 and context.loaded.rows > 2]
    alike: dict[object, list[str]] = {}
    for column in usable:
        alike.setdefault((column.missing, column.distinct, column.top), []).append(column.name)
    suspects = [column for group in alike.values() if len(group) > 1 for column in group]
    groups = _equal(context, suspects) if suspects else []
    return [_same(context, group[0], other) for group in groups for other in group[1:]]


def _equal(context: Context, columns: list[str]) -> list[list[str]]:
    """Groups of columns with the same fingerprint over value and row.

    The hash is hashed again: the plain one of two values can be taken apart by the exclusive or.
    """
    prints = ", ".join(f"bit_xor(hash(hash(rowid, {name(column)}::VARCHAR)))" for column in columns)
    by_print: dict[int, list[str]] = {}
    for column, mark in zip(columns, context.query(f"SELECT {prints} FROM data")[0], strict=True):
        by_print.setdefault(mark, []).append(column)
    return [group for group in by_print.values() if len(group) > 1]


def _same(context: Context, first: str, other: str) -> Finding:
    rows = context.loaded.rows
    return describe(
        "duplicate_columns",
        "{first} and {other} are the same",
        "{first} and {other} hold the same value in all {rows} rows.",
        {"rows": rows},
        words={"first": quote(first), "other": quote(other)},
        columns=[first, other],
        method="Fingerprints of whole columns are compared.",
        sql=f"SELECT count(*) FROM data WHERE {name(first)} IS NOT DISTINCT FROM {name(other)}",
        n=rows,
        severity="medium",
        score=0.7,
    )
