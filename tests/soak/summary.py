"""What a soak prints at its end, and whether it passed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from . import reruns
from .chaos import SERVERS
from .plan import KINDS
from .run import Findings, Options

__all__ = ["lines", "vacuous"]

STATES = ("completed", "failed", "cancelled")
LONG_ENOUGH = 30.0
"""Seconds of a run in which every server must have been restarted once."""
SHOWN = 10
"""Violations of one rule."""


def vacuous(options: Options, findings: Findings) -> Iterator[str]:
    """Why this run has shown nothing: its faults did not happen."""
    slots, workers = findings.fired["slot killed"], findings.fired["worker killed"]
    if slots < max(2, options.seconds / 8):
        yield f"only {slots} slots were killed"
    if workers < max(1, options.seconds / 40):
        yield f"only {workers} workers were killed"
    for fault in SERVERS if options.seconds >= LONG_ENOUGH else ():
        if not findings.fired[fault] and (fault != "database restarted" or options.database == "postgres"):
            yield f"never: {fault}"
    kinds, rows = findings.evidence.promises.kinds, findings.evidence.rows
    if not any(rows[task_id].crashes for task_id, kind in kinds.items() if kind.name != "poison" and task_id in rows):
        yield "no good task lost its process"


def lines(options: Options, findings: Findings) -> Iterator[str]:
    evidence, promises, marks = findings.evidence, findings.evidence.promises, findings.evidence.marks
    yield (
        f"Seed {options.seed}: {len(promises.kinds):,} tasks by {promises.asked:,} enqueues on {options.database}, "
        f"{options.workers} workers, {options.schedulers} schedulers, {options.seconds:g} s"
    )
    yield from _table(findings)
    yield "Faults: " + ", ".join(f"{count} {fault}" for fault, count in findings.fired.most_common())
    yield f"Rolled back: {len(promises.ghosts):,} tasks"
    again = marks.begins - len(marks.begun)
    yield f"Bodies: {marks.begins:,} begun, {marks.ends:,} ended; {again:,} begun again, {marks.again:,} ended again"
    lost = sum(row.crashes for row in evidence.rows.values())
    yield f"Crashes counted: {lost:,}; pointers that had lost their way: {findings.swept:,}"
    yield (
        f"All ended {findings.took:.1f} s after the first enqueue, {len(evidence.rows) / findings.took:,.0f} tasks/s; "
        f"the longest pause with work waiting was {findings.longest_idle:.1f} s"
    )
    yield from reruns.lines(evidence, findings.kills)
    yield _verdict(findings)
    for text, count in findings.complaints.most_common(5):
        yield f"In the logs, {count} times: {text}"
    yield from _violations(findings)


def _verdict(findings: Findings) -> str:
    kinds, rows = findings.evidence.promises.kinds, findings.evidence.rows
    lost = sum(task_id not in rows for task_id in kinds)
    stuck = sum(row.state not in STATES for row in rows.values())
    landed = sum(rule == "I2" for rule, _ in findings.violations)
    return (
        f"Verdict: {lost} lost, {stuck} stuck, {landed} superseded writes landed "
        f"({findings.set_aside:,} came late and were set aside)"
    )


def _table(findings: Findings) -> Iterator[str]:
    kinds, rows = findings.evidence.promises.kinds, findings.evidence.rows
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for task_id, kind in kinds.items():
        counts[kind.name][rows[task_id].state if task_id in rows else "gone"] += 1
    yield f"{'':14}{'tasks':>9}" + "".join(f"{state:>11}" for state in STATES)
    for kind in KINDS:
        found = counts[kind.name]
        yield f"{kind.name:14}{found.total():>9,}" + "".join(f"{found[state] or '':>11}" for state in STATES)


def _violations(findings: Findings) -> Iterator[str]:
    by_rule: dict[str, list[str]] = defaultdict(list)
    for rule, text in findings.violations:
        by_rule[rule].append(text)
    for rule, texts in sorted(by_rule.items()):
        yield f"VIOLATED {rule}, {len(texts)} times:"
        yield from (f"  {text}" for text in texts[:SHOWN])
