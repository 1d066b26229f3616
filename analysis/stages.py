"""The stages of an analysis as people see them: which wait, which runs, which are done."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from taskcenter.models import Task
from taskcenter.progress import frame, snapshots

from . import methods
from .models import Analysis

TENTH, TEN = 0.1, 10


@dataclass(frozen=True, slots=True)
class Stage:
    title: str
    state: str
    """waiting, running, done; after an early end also stopped, and not reached."""
    took: str = ""


def stage_titles() -> dict[str, str]:
    """Name in the pipeline to words for people, in order; added methods included."""
    return {stage.name: stage.title for stage in methods.stages()}


def stage_list(task: Task | None, analysis: Analysis) -> list[Stage]:
    """Every stage in order: all done after a report, those before its end after an early one."""
    if analysis.status == Analysis.Status.COMPLETED:
        seconds = _measured(analysis)
        return [Stage(title, "done", span(seconds.get(name))) for name, title in stage_titles().items()]
    told = _told(task) if task else {}
    titles = list(stage_titles().values())
    position = titles.index(told["stage"]) if told.get("stage") in titles else -1
    here, later = ("stopped", "not reached") if analysis.is_final else ("running", "waiting")
    seconds = spans(told.get("stages") or [])
    done = [Stage(title, "done", span(seconds.get(title))) for title in titles[: max(0, position)]]
    left = titles[len(done) :]
    return [*done, *(Stage(title, here if title == told.get("stage") else later) for title in left)]


def spans(begun: list[list[Any]]) -> dict[str, float]:
    """How long each stage took: until the next began. The last one has no next yet."""
    return {name: after - at for (name, at), (_, after) in pairwise(begun) if at is not None and after is not None}


def span(seconds: float | None) -> str:
    """0.4 s, 12 s, 3 min 20 s; "" for nothing."""
    if seconds is None:
        return ""
    if seconds < TENTH:
        return "<0.1 s"
    if seconds < TEN:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _measured(analysis: Analysis) -> dict[str, float]:
    run = analysis.report.data.get("run") if analysis.report else None
    seconds = run.get("seconds") if isinstance(run, dict) else None
    return seconds if isinstance(seconds, dict) else {}


def _told(task: Task) -> dict[str, Any]:
    for snapshot in snapshots(Task.objects.filter(pk=task.pk)):
        return frame(snapshot.task, snapshot.stored)
    return {}
