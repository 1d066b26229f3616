"""The stages of an analysis as people see them: which wait, which runs, which are done."""

from __future__ import annotations

from dataclasses import dataclass

from taskcenter.models import Task
from taskcenter.progress import frame, snapshots

from .models import Analysis

STAGES = {
    "validate": "Check",
    "load": "Read",
    "profile": "Profile",
    "quality": "Quality",
    "narrate": "Findings",
    "render": "Report",
}
"""Name in the pipeline, word for people; in order."""


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    label: str
    state: str
    """waiting, running, done, or stopped where a run ended early."""


def stage_list(task: Task | None, analysis: Analysis) -> list[Stage]:
    """Every stage in order; of a finished analysis all are done, of a failed one those before its end."""
    if analysis.status == Analysis.Status.COMPLETED:
        return [Stage(name, STAGES[name], "done") for name in STAGES]
    current = _current(task) if task else ""
    position = list(STAGES).index(current) if current in STAGES else -1
    here = "stopped" if analysis.is_final else "running"
    return [
        Stage(name, STAGES[name], "done" if place < position else here if place == position else "waiting")
        for place, name in enumerate(STAGES)
    ]


def _current(task: Task) -> str:
    for snapshot in snapshots(Task.objects.filter(pk=task.pk)):
        return str(frame(snapshot.task, snapshot.stored)["stage"])
    return ""
