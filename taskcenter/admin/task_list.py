"""The list of tasks: what one page of rows needs, asked once; the cells; the search."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse

from taskcenter import progress
from taskcenter.definitions import known_names
from taskcenter.models import Task
from taskcenter.states import State

from .verbs import VERBS

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from taskcenter.models import TaskQuerySet

__all__ = ["BLOBS", "TaskChangeList", "cell", "searched"]

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
                    if not verb.why_not(task) and (verb.name != "recover" or not snapshots[task.pk].worker_alive)
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


def searched(tasks: TaskQuerySet, term: str) -> TaskQuerySet:
    """By the whole id, or the start of a title, a definition or the last part of a definition's name.

    Definitions are looked up in the registry first, so that the index is asked for whole names.
    """
    try:
        return tasks.filter(pk=UUID(term))
    except ValueError:
        pass
    names = [name for name in known_names() if name.startswith(term) or name.rpartition(".")[2].startswith(term)]
    return tasks.filter(Q(title__istartswith=term) | Q(definition__in=[term, *names]))


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
