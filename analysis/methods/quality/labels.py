"""Categories: the same label in several spellings, labels that hardly occur, one label that dwarfs the rest."""

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.identifiers import name
from analysis.methods.semantics import name_words
from analysis.methods.tables import ColumnProfile
from analysis.methods.wording import percent, quote, quote_all

MOST_LABELS = 1_000
RARE = 5
ENOUGH_ROWS = 100
TARGET_WORDS = frozenset({"target", "label", "class", "outcome", "churn", "churned", "default", "survived", "y"})
MINORITY_PERCENT = 20


def _categories(context: Context) -> list[ColumnProfile]:
    return [
        column
        for column in context.profile.of("text")
        if 1 < column.distinct <= min(MOST_LABELS, max(column.present // 3, 2))
    ]


def variants(context: Context) -> list[Finding]:
    """Labels that differ only in case or in spaces."""
    findings = []
    for column in _categories(context):
        context.check_cancelled()
        c = name(column.name)
        found = context.query(
            f"WITH v AS (SELECT {c} AS v, count(*) AS n FROM data WHERE {c} IS NOT NULL GROUP BY 1)"
            " SELECT sum(n) - max(n), list(v ORDER BY n DESC, v), count(*) FROM v"
            r" GROUP BY lower(trim(regexp_replace(v, '\s+', ' ', 'g')))"
            " HAVING count(*) > 1 ORDER BY sum(n) DESC, min(v)"
        )
        findings += [_variants(column, found)] if found else []
    return findings


def _variants(column: ColumnProfile, found: list[tuple[int, list[str], int]]) -> Finding:
    cells = sum(int(row[0]) for row in found)
    return describe(
        "variants",
        "{column} spells the same label in several ways",
        "{column} has {groups:label|labels} in more than one spelling, such as {examples}; {cells} of"
        " {present} filled cells ({share} %) use the rarer spelling.",
        {"groups": len(found), "cells": cells, "present": column.present,
         "share": percent(cells, column.present)},
        words={"column": quote(column.name), "examples": quote_all(found[0][1][:3])},
        columns=[column.name],
        method="Labels are compared without regard to capital letters and spaces.",
        n=column.present,
        severity="medium",
        score=0.5 + 0.5 * cells / column.present,
        caveat="Spaces at the beginning or the end of a label cannot be seen in print.",
    )  # fmt: skip


def rare_categories(context: Context) -> list[Finding]:
    """Labels that occur fewer than five times in a column that is otherwise made of frequent ones."""
    findings = []
    for column in _categories(context):
        context.check_cancelled()
        if column.rows >= ENOUGH_ROWS and column.semantic == "category":
            findings += _rare(context, column)
    return findings


def _rare(context: Context, column: ColumnProfile) -> list[Finding]:
    c = name(column.name)
    sql = (
        f"SELECT count(*), coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM data"
        f" WHERE {c} IS NOT NULL GROUP BY {c} HAVING count(*) < {RARE})"
    )
    labels, cells = (int(value) for value in context.query(sql)[0])
    if not labels:
        return []
    return [
        describe(
            "rare_categories",
            "{column} has labels that hardly occur",
            "{column} has {labels:label that occurs|labels that occur} fewer than {limit} times, out of"
            " {distinct} labels.",
            {"labels": labels, "cells": cells, "limit": RARE, "distinct": column.distinct},
            words={"column": quote(column.name)},
            columns=[column.name],
            method="The cells of each label are counted.",
            sql=sql,
            n=column.present,
            severity="low",
            score=min(labels / column.distinct, 1.0),
        )
    ]


def class_imbalance(context: Context) -> list[Finding]:
    """Columns that look like something to be predicted, with one label far rarer than the others."""
    findings = []
    for column in context.profile.columns:
        named = bool(name_words(column.name) & TARGET_WORDS)
        if named and 2 <= column.distinct <= 10 and column.present >= ENOUGH_ROWS:
            label, cells = column.top[-1]
            if percent(cells, column.present) * column.distinct < 2 * MINORITY_PERCENT:
                findings.append(_imbalance(column, label, cells))
    return findings


def _imbalance(column: ColumnProfile, label: str, cells: int) -> Finding:
    return describe(
        "class_imbalance",
        "{column} is lopsided",
        "{column} is {label} in only {cells} of {present} filled cells ({share} %).",
        {"cells": cells, "present": column.present, "share": percent(cells, column.present)},
        words={"column": quote(column.name), "label": quote(label)},
        columns=[column.name],
        method="The cells of each label are counted in columns whose name suggests an outcome.",
        n=column.present,
        severity="low",
        score=0.6,
    )
