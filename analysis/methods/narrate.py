"""Ranks the findings and writes the opening of the report from their own sentences."""

from dataclasses import replace

from .context import Context
from .findings import Finding
from .tables import Summary
from .wording import Number, fill, quote

WEIGHTS = {"high": 1.0, "medium": 0.6, "low": 0.3, "info": 0.15}
PER_COLUMN = 2
TOP = 10
SURE_FROM = 30
FIX_FIRST = ("high", "medium")
# Many columns of one kind, such as gaps, must not push out everything else.
PER_KIND = 3


def narrate(context: Context) -> Context:
    """Orders the findings, numbers them, and fills in the summary."""
    ordered = rank(context.findings)
    numbered = tuple(replace(found, id=f"F{place}") for place, found in enumerate(ordered, start=1))
    return replace(context, findings=numbered, summary=_summary(context, numbered))


def rank(findings: tuple[Finding, ...]) -> list[Finding]:
    """Most important first; after two findings on a column or three of a kind, further ones wait."""
    waiting = sorted(findings, key=lambda found: (-importance(found), found.kind, found.columns, found.sentence))
    top: list[Finding] = []
    for found in waiting:
        if len(top) < TOP and _has_room(found, top):
            top.append(found)
    return top + [found for found in waiting if not any(found is chosen for chosen in top)]


def importance(found: Finding) -> float:
    """Severity times size of the effect times confidence, from 0 to 1."""
    confidence = 1.0 if found.n >= SURE_FROM or found.kind in ("no_rows", "few_rows", "all_missing") else 0.7
    return WEIGHTS[found.severity] * (0.4 + 0.6 * found.score) * confidence


def _has_room(found: Finding, top: list[Finding]) -> bool:
    same_kind = sum(other.kind == found.kind for other in top)
    busiest = max((sum(c in other.columns for other in top) for c in found.columns), default=0)
    return same_kind < PER_KIND and busiest < PER_COLUMN


def _summary(context: Context, findings: tuple[Finding, ...]) -> Summary:
    urgent = [found for found in findings if found.severity in FIX_FIRST]
    evidence: dict[str, Number] = {
        "rows": context.loaded.rows,
        "columns": len(context.loaded.columns),
        "urgent": len(urgent),
        "findings": len(findings),
    }
    for found in findings[:TOP]:
        evidence |= {f"{found.id}.{key}": value for key, value in found.evidence.items()}
    headline = "{rows:row|rows} and {columns:column|columns}: " + _verdict(len(urgent), len(findings))
    words = {"name": quote(context.source.name)}
    return Summary(fill(headline, evidence, words), _paragraphs(findings, evidence, words), evidence)


def _verdict(urgent: int, findings: int) -> str:
    if urgent:
        return "{urgent:thing|things} to look at first."
    return "{findings:remark|remarks}, nothing urgent." if findings else "nothing unusual was found."


def _paragraphs(findings: tuple[Finding, ...], evidence: dict[str, Number], words: dict[str, str]) -> tuple[str, ...]:
    opening = fill("{name} has {rows:row|rows} and {columns:column|columns}.", evidence, words)
    urgent = [found.sentence for found in findings[:TOP] if found.severity in FIX_FIRST]
    others = [found.sentence for found in findings[:TOP] if found.severity not in FIX_FIRST]
    parts = [opening]
    if urgent:
        parts.append("To look at first: " + " ".join(urgent[:5]))
    if others:
        parts.append("Also worth knowing: " + " ".join(others[:3]))
    return tuple(parts)
