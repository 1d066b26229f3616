"""Columns that say nothing: one value everywhere, nearly everywhere, or a different one in every row."""

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.identifiers import name
from analysis.methods.tables import ColumnProfile
from analysis.methods.wording import percent, quote

NEARLY = 0.98
FEWEST_ROWS = 20


def constant_columns(context: Context) -> list[Finding]:
    """Constant, empty and nearly constant columns."""
    if context.loaded.rows < 2:
        return []
    findings = []
    for column in context.profile.columns:
        if column.distinct == 0 and any(c.present for c in context.profile.columns):
            findings.append(_empty(column))
        elif column.distinct == 1:
            findings.append(_constant(column))
        elif column.distinct and column.present >= FEWEST_ROWS and column.top[0][1] >= NEARLY * column.present:
            findings.append(_nearly(column))
    return findings


def _empty(column: ColumnProfile) -> Finding:
    return describe(
        "constant", "{column} is empty", "{column} holds no value in any of the {rows} rows.",
        {"rows": column.rows}, words={"column": quote(column.name)}, columns=[column.name],
        method="Filled cells are counted.", sql=f"SELECT count({name(column.name)}) FROM data",
        n=column.rows, severity="medium", score=0.8,
    )  # fmt: skip


def _constant(column: ColumnProfile) -> Finding:
    return describe(
        "constant",
        "{column} is always {value}",
        "{column} holds {value} in all of its {present} filled cells, so it tells rows apart in no way.",
        {"present": column.present},
        words={"column": quote(column.name), "value": quote(column.top[0][0])},
        columns=[column.name],
        method="Different values are counted.",
        sql=f"SELECT count(DISTINCT {name(column.name)}) FROM data",
        n=column.present,
        severity="medium",
        score=0.7,
    )


def _nearly(column: ColumnProfile) -> Finding:
    value, count = column.top[0]
    return describe(
        "near_constant",
        "{column} is nearly always {value}",
        "{column} holds {value} in {count} of {present} filled cells ({share} %).",
        {"count": count, "present": column.present, "share": percent(count, column.present)},
        words={"column": quote(column.name), "value": quote(value)},
        columns=[column.name],
        method="The most frequent value is counted.",
        sql=f"SELECT count(*) AS n FROM data GROUP BY {name(column.name)} ORDER BY 1 DESC LIMIT 1",
        n=column.present,
        severity="low",
        score=count / column.present,
    )


def identifiers(context: Context) -> list[Finding]:
    """Columns that name rows; values that occur twice in them are worth a look."""
    return [_identifier(column) for column in context.profile.columns if column.semantic == "id"]


def _identifier(column: ColumnProfile) -> Finding:
    repeated = column.present - column.distinct
    c = name(column.name)
    evidence = {"distinct": column.distinct, "present": column.present}
    sentence = "{column} has {distinct} different values in {present} filled cells"
    if repeated:
        evidence["repeated"] = repeated
        sentence += "; {repeated:cell repeats|cells repeat} an earlier one"
    return describe(
        "id_like",
        "{column} looks like an identifier",
        sentence + ".",
        evidence,
        words={"column": quote(column.name)},
        columns=[column.name],
        method="A column with almost only different values, by its name or its short values.",
        sql=f"SELECT count(DISTINCT {c}), count({c}) FROM data",
        n=column.present,
        severity="medium" if repeated else "info",
        score=0.5 if repeated else 0.3,
    )
