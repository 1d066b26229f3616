"""The list of tasks: what one page of rows needs, asked once; the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.views.main import ChangeList
from django.template.loader import render_to_string
from django.urls import reverse

from taskcenter import progress
from taskcenter.models import Task
from taskcenter.operations import VERBS
from taskcenter.states import State

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from taskcenter.models import TaskQuerySet
    from taskcenter.operations import Verb

__all__ = ["BLOBS", "TaskChangeList", "cell"]

# A list never shows these, and each may hold a megabyte.
BLOBS = ("args", "kwargs", "result", "metadata")


class TaskChangeList(ChangeList):
    """One page of tasks, each with what its cells need, so that no cell asks the database."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.is_popup:
            return
        allowed = [verb for verb in VERBS.values() if request.user.has_perm(verb.permission)]
        tasks = list(self.result_list)
        snapshots = {one.task.pk: one for one in progress.snapshots(_again(tasks))}
        for task in tasks:
            task.row = {
                "task": task,
                "snapshot": snapshots[task.pk],
                "url": self._address("change", task),
                **dict(zip(("when", "at"), _moment(task), strict=True)),
                "verbs": [
                    (verb, self._address(verb.name, task))
                    for verb in allowed
                    if _is_offered(verb, task, lost=not snapshots[task.pk].worker_alive)
                ],
            }
        self.result_list = tasks

    def _address(self, name: str, task: Task) -> str:
        """A task's page or confirmation page, with this list's filters so that the way back leads here."""
        site = self.model_admin.admin_site.name
        address = reverse(f"admin:taskcenter_task_{name}", args=[task.pk], current_app=site)
        return add_preserved_filters({"preserved_filters": self.preserved_filters, "opts": self.opts}, address)


def cell(name: str, task: Task) -> SafeString:
    """One cell, from its template."""
    return render_to_string(f"admin/taskcenter/task/{name}_cell.html", task.row)  # type: ignore[attr-defined]


def _is_offered(verb: Verb, task: Task, *, lost: bool) -> bool:
    """What waits need not be recovered from here."""
    return not verb.why_not(task, lost=lost) and (verb.name != "recover" or lost)


def _again(tasks: list[Task]) -> TaskQuerySet:
    return Task.objects.filter(pk__in=[task.pk for task in tasks])


def _moment(task: Task) -> tuple[str, datetime | None]:
    """The one time that matters in the task's state, and the word before it."""
    match task.state:
        case State.COMPLETED | State.FAILED | State.CANCELLED:
            return str(task.state), task.finished_at
        case State.PROCESSING:
            return "began", task.attempted_at
        case State.SCHEDULED:
            return "due", task.run_after
    return "made", task.created_at
