"""Columns that follow from other columns: a fixed multiple, or one label that settles another."""

from itertools import combinations, permutations
from statistics import median
from typing import Any

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.identifiers import name, names
from analysis.methods.tables import NUMERIC, ColumnProfile
from analysis.methods.wording import Number, percent, quote

MOST_COLUMNS = 30
SAMPLE_ROWS = 2_000
SAMPLE_RATIOS = 200
FITTING = 0.99
MOST_DECIMALS = 4
MOST_LABELS = 1_000


def _step(context: Context) -> int:
    """Every how many-th row makes a sample of the wanted size."""
    return max(context.loaded.rows // SAMPLE_ROWS, 1)


def linear_multiples(context: Context) -> list[Finding]:
    """Pairs of number columns where one is the other times a fixed factor, but for rounding."""
    columns = [c for c in context.profile.of(*NUMERIC) if c.distinct > 10 and c.semantic != "id"]
    findings = []
    for a, b in _proportional(context, columns[:MOST_COLUMNS]):
        context.check_cancelled()
        findings += _multiple(context, a, b)
    return findings


def _proportional(context: Context, columns: list[ColumnProfile]) -> list[tuple[ColumnProfile, ColumnProfile]]:
    """Pairs whose ratio hardly changes in a sample; the column with the smaller values comes first."""
    if len(columns) < 2:
        return []
    step = max(context.loaded.rows // SAMPLE_RATIOS, 1)
    rows = context.query(f"SELECT {names([c.name for c in columns])} FROM data WHERE rowid % {step} = 0")
    ordered = sorted(range(len(columns)), key=lambda i: (abs(columns[i].median or 0), i))
    return [(columns[i], columns[j]) for i, j in combinations(ordered, 2) if _steady(rows, i, j)]


def _steady(rows: list[tuple[Any, ...]], i: int, j: int) -> bool:
    ratios: list[float] = [row[j] / row[i] for row in rows if row[i] and row[j] is not None]
    if not ratios:
        return False
    middle = median(ratios)
    return sum(abs(ratio - middle) <= 0.05 * abs(middle) for ratio in ratios) >= 0.8 * len(ratios)


def _multiple(context: Context, a: ColumnProfile, b: ColumnProfile) -> list[Finding]:
    x, y = name(a.name), name(b.name)
    factor = context.query(f"SELECT median({y}::DOUBLE / {x}) FROM data WHERE {x} <> 0 AND {y} IS NOT NULL")[0][0]
    if factor is None or abs(factor - 1) < 1e-9:
        return []
    factor = _tidy(float(factor))
    slack = 0.5 * 10.0 ** -_decimals(context, b) + 1e-9 * abs(b.median or 0)
    sql = (
        f"SELECT count_if(abs({y} - {factor!r}::DOUBLE * {x}) <= {slack * 1.0001!r}::DOUBLE), count(*)"
        f" FROM data WHERE {x} IS NOT NULL AND {y} IS NOT NULL"
    )
    fitting, rows = (int(value) for value in context.query(sql)[0])
    if rows < 10 or fitting < FITTING * rows or slack > 0.02 * abs(b.median or 0):
        return []
    evidence: dict[str, Number] = {"factor": factor, "fitting": fitting, "rows": rows, "share": percent(fitting, rows)}
    return [_linear(a, b, evidence, sql)]


def _tidy(factor: float) -> float:
    """The shortest factor within a thousandth of a percent: 1.2 and not 1.1999994."""
    for digits in range(1, 9):
        short = float(f"{factor:.{digits}g}")
        if abs(short - factor) <= 1e-5 * abs(factor):
            return short
    return factor


def _decimals(context: Context, column: ColumnProfile) -> int:
    c = name(column.name)
    for digits in range(MOST_DECIMALS):
        off = context.query(
            f"SELECT count_if(abs({c} - round({c}, {digits})) > 1e-9) FROM data WHERE rowid % {_step(context)} = 0"
        )
        if not off[0][0]:
            return digits
    return 9


def _linear(a: ColumnProfile, b: ColumnProfile, evidence: dict[str, Number], sql: str) -> Finding:
    return describe(
        "linear_multiple",
        "{b} is {a} times {factor}",
        "{b} equals {a} times {factor} in {fitting} of {rows} rows ({share} %), apart from rounding; one of"
        " the two is enough.",
        evidence,
        words={"a": quote(a.name), "b": quote(b.name)},
        columns=[a.name, b.name],
        method="The middle ratio of the two columns is tried on every row.",
        sql=sql,
        n=int(evidence["rows"]),
        severity="medium",
        score=0.7,
    )


def functional_dependencies(context: Context) -> list[Finding]:
    """Pairs of category columns where each label of one goes with a single label of the other."""
    columns = [c for c in context.profile.columns if c.semantic == "category" and c.distinct <= MOST_LABELS]
    findings, seen = [], set[frozenset[str]]()
    for a, b in permutations(columns[:MOST_COLUMNS], 2):
        context.check_cancelled()
        pair = frozenset((a.name, b.name))
        if pair not in seen and b.distinct <= a.distinct and a.present >= 5 * a.distinct:
            found = _dependency(context, a, b)
            findings += found
            seen |= {pair} if found else set()
    return findings


def _dependency(context: Context, a: ColumnProfile, b: ColumnProfile) -> list[Finding]:
    x, y = name(a.name), name(b.name)
    sql = (
        f"SELECT count(*), count_if(labels = 1), sum(n) FROM (SELECT count(DISTINCT {y}) AS labels, count(*) AS n"
        f" FROM data WHERE {x} IS NOT NULL AND {y} IS NOT NULL GROUP BY {x})"
    )
    if not _holds(context, x, y):
        return []
    labels, settled, rows = (int(value or 0) for value in context.query(sql)[0])
    if labels < 2 or settled < labels:
        return []
    return [
        describe(
            "functional_dependency",
            "{a} settles {b}",
            "Each of the {labels} labels of {a} goes with a single label of {b}, in all {rows} rows with both.",
            {"labels": labels, "rows": rows},
            words={"a": quote(a.name), "b": quote(b.name)},
            columns=[a.name, b.name],
            method="For each label of one column, the labels of the other are counted.",
            sql=sql,
            n=rows,
            severity="info",
            score=0.4,
        )
    ]


def _holds(context: Context, x: str, y: str) -> bool:
    """Whether the dependency survives the sample; most pairs do not, and cost little that way."""
    found = context.query(
        f"SELECT max(labels) FROM (SELECT count(DISTINCT {y}) AS labels FROM data"
        f" WHERE rowid % {_step(context)} = 0 GROUP BY {x})"
    )
    return (found[0][0] or 0) <= 1
