"""From a kill to the next beginning of the task that was running, by the word of the tasks themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from .chaos import Kill
from .marks import Beginning, Marks
from .plan import KINDS
from .verdict import Evidence

__all__ = ["lines", "reruns"]

ENDING = {kind.name for kind in KINDS if kind.definition in {"quick", "nap", "travel", "write"}}
"""Kinds whose body leaves a mark at its end: only of these can be told what was still running."""


def reruns(evidence: Evidence, kills: Iterable[Kill]) -> dict[str, list[float]]:
    """Seconds by fault, the shortest first. A task that was not to run again counts nowhere."""
    found: dict[str, list[float]] = defaultdict(list)
    for kill in kills:
        for pid in kill.slots:
            running = _running(evidence, pid, kill.at)
            again = running and _again(evidence.marks, running)
            if again:
                found[kill.fault].append(max(0.0, again.at - kill.at))
    return {fault: sorted(seconds) for fault, seconds in found.items()}


def lines(evidence: Evidence, kills: Iterable[Kill]) -> Iterator[str]:
    for fault, seconds in sorted(reruns(evidence, kills).items()):
        p50, p95 = (seconds[int(part * (len(seconds) - 1))] for part in (0.5, 0.95))
        yield (
            f"Kill to rerun, {fault}: p50 {p50:.2f} s, p95 {p95:.2f} s, longest {seconds[-1]:.2f} s "
            f"({len(seconds)} tasks were running)"
        )


def _running(evidence: Evidence, pid: int, at: float) -> Beginning | None:
    """The body that this process had begun and not ended by then."""
    last = max((one for one in evidence.marks.by_pid.get(pid, ()) if one.at <= at), default=None)
    if last is None or last.attempt in evidence.marks.ended.get(last.task_id, ()):
        return None
    kind = evidence.promises.kinds.get(last.task_id)
    return last if kind and kind.name in ENDING else None


def _again(marks: Marks, running: Beginning) -> Beginning | None:
    later = [one for one in marks.by_task[running.task_id] if one.attempt > running.attempt]
    return min(later, default=None)
