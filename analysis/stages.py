"""The stages of an analysis as people see them: which wait, which runs, which are done."""

from __future__ import annotations

from dataclasses import dataclass

from taskcenter.models import Task
from taskcenter.progress import frame, snapshots

from . import methods
from .models import Analysis


@dataclass(frozen=True, slots=True)
class Stage:
    title: str
    state: str
    """waiting, running, done; after an early end also stopped, and not reached."""


def stage_titles() -> dict[str, str]:
    """Name in the pipeline to words for people, in order; added methods included."""
    return {stage.name: stage.title for stage in methods.stages()}


def stage_list(task: Task | None, analysis: Analysis) -> list[Stage]:
    """Every stage in order: all done after a report, those before its end after an early one."""
    titles = list(stage_titles().values())
    if analysis.status == Analysis.Status.COMPLETED:
        return [Stage(title, "done") for title in titles]
    current = _current(task) if task else ""
    position = titles.index(current) if current in titles else -1
    here, later = ("stopped", "not reached") if analysis.is_final else ("running", "waiting")
    return [
        Stage(title, "done" if place < position else here if place == position else later)
        for place, title in enumerate(titles)
    ]


def _current(task: Task) -> str:
    for snapshot in snapshots(Task.objects.filter(pk=task.pk)):
        return str(frame(snapshot.task, snapshot.stored)["stage"])
    return ""
