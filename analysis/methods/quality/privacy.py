"""Columns with personal data. Patterns are checked by their own rules, not by their looks alone."""

from collections.abc import Callable

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.identifiers import name
from analysis.methods.personal_patterns import PATTERNS, mask
from analysis.methods.semantics import name_words
from analysis.methods.tables import ColumnProfile
from analysis.methods.wording import percent, quote

CHECKED = 60
ENOUGH_PERCENT = 60


def personal_data(context: Context) -> list[Finding]:
    """At most one kind per column: the first whose rule at least 60 of 100 different values fulfil."""
    findings = []
    for column in context.profile.of("text", "integer"):
        context.check_cancelled()
        if column.present:
            findings += _kinds(context, column)
    return findings


def _kinds(context: Context, column: ColumnProfile) -> list[Finding]:
    c = name(column.name)
    sql = (
        f"SELECT {c}::VARCHAR AS v FROM data WHERE {c} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {CHECKED}"
    )
    values = [str(value) for (value,) in context.query(sql)]
    hints = name_words(column.name)
    for kind, spoken, rule in PATTERNS:
        matched = _matched(rule, values, hints)
        if percent(matched, len(values)) >= ENOUGH_PERCENT:
            evidence = {"matched": matched, "checked": len(values)}
            words = {"spoken": spoken, "example": quote(mask(kind, values[0]))}
            return [_personal(column, evidence, words, sql)]
    return []


def _matched(rule: Callable[[str, frozenset[str]], bool], values: list[str], words: frozenset[str]) -> int:
    return sum(rule(value.strip(), words) for value in values)


def _personal(column: ColumnProfile, evidence: dict[str, int], words: dict[str, str], sql: str) -> Finding:
    return describe(
        "pii",
        "{column} holds {spoken}",
        "{column} holds {spoken}, such as {example}: {matched} of {checked} different values that were looked at fit.",
        evidence,
        words={"column": quote(column.name), **words},
        columns=[column.name],
        method="The most frequent different values are checked against the rules of their kind.",
        sql=sql,
        n=evidence["checked"],
        sampled=column.distinct > evidence["checked"],
        severity="high",
        score=0.8,
        caveat="Examples are masked. Only common kinds of personal data are recognised.",
    )
