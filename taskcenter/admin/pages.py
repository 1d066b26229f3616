"""The pages of one task in the admin: its own, the questions before something is done to it, its data to download."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from taskcenter.conf import get_settings
from taskcenter.models import Task
from taskcenter.operations import VERBS, Selection, Verb
from taskcenter.views.masked import as_text

from . import confirm, stack
from .task_page import PARTS, page_context, part_of

if TYPE_CHECKING:
    from django.urls import URLPattern

    from taskcenter.models import TaskQuerySet

    # What the mixin is mixed into, for the type checker only.
    Base = admin.ModelAdmin
else:
    Base = object

__all__ = ["TaskPages"]


class TaskPages(Base):
    """What a ModelAdmin of tasks answers about one of them. `may()` and the list are TaskAdminMixin's."""

    def get_urls(self) -> list[URLPattern]:
        """Ours first: the admin's own catch-all would take them for primary keys."""
        wrap = self.admin_site.admin_view
        ours = [
            path(f"<uuid:task_id>/{name}/", wrap(partial(self.verb_view, name=name)), name=f"taskcenter_task_{name}")
            for name in VERBS
        ]
        ours += [
            path("<uuid:task_id>/stack/", wrap(self.stack_view), name="taskcenter_task_stack"),
            path("<uuid:task_id>/data/<str:part>.json", wrap(self.data_view), name="taskcenter_task_data"),
        ]
        return [*ours, *super().get_urls()]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Read once for a request, with its owner."""
        kept: dict[str, Any] = request.__dict__.setdefault("_taskcenter_tasks", {})
        if object_id not in kept:
            try:
                rows = self.get_queryset(request).select_related("owner").filter(pk=UUID(object_id))
            except ValueError:
                return None
            kept[object_id] = rows.first()
        return kept[object_id]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        task: Task | None = self.get_object(request, object_id)
        if not self.has_view_or_change_permission(request, task):
            raise PermissionDenied
        if task is None:
            return self._gone(request)
        page = page_context(request, task, self._seen(request))
        context = {
            **(extra_context or {}),
            **page,
            **stack.context(request, task, page["history"], lost=page["is_lost"]),
            "title": task.label,
            "subtitle": "",
            "verbs": self._offered(request, task, lost=page["is_lost"]),
            "stack_url": self._address("stack", task.pk),
        }
        return super().change_view(request, object_id, form_url, context)

    def verb_view(self, request: HttpRequest, task_id: UUID, name: str) -> HttpResponse:
        """GET asks, POST does."""
        verb, task = VERBS[name], self._task(request, task_id)
        if task is None:
            return self._gone(request)
        if not self.may(request, verb, task):
            raise PermissionDenied
        if request.method == "POST" and (confirm.reason_of(request) or not verb.needs_reason):
            outcome = confirm.carry_out_one(request, verb, task)
            is_gone = outcome.moved and name == "delete"
            return HttpResponseRedirect(self._address("changelist") if is_gone else self._address("change", task_id))
        rows = self._seen(request).filter(pk=task.pk)
        asked = confirm.Question(verb, Selection.of_ids([task.pk]), rows, single=task)
        error = confirm.NO_REASON if request.method == "POST" else ""
        return confirm.confirmation(request, self, asked, error=error)

    def stack_view(self, request: HttpRequest, task_id: UUID) -> HttpResponse:
        """POST asks the task's worker where it hangs; the answer is on its page."""
        task = self._task(request, task_id)
        if task is None:
            return self._gone(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        stack.ask(request, self, task)
        return HttpResponseRedirect(f"{self._address('change', task.pk)}#stack")

    def data_view(self, request: HttpRequest, task_id: UUID, part: str) -> HttpResponse:
        """All of its input, result or metadata as a file; masked as on its page."""
        task = self._task(request, task_id)
        if task is None:
            return self._gone(request)
        value = part_of(task, part) if part in PARTS else None
        if value is None:
            raise Http404("This task has no such data.")
        headers = {
            "Content-Disposition": f'attachment; filename="{part}-{task.pk.hex}.json"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        }
        return HttpResponse(as_text(value), content_type="application/json", headers=headers)

    def _seen(self, request: HttpRequest) -> TaskQuerySet:
        rows: Any = self.get_queryset(request)
        return cast("TaskQuerySet", rows)

    def _task(self, request: HttpRequest, task_id: UUID) -> Task | None:
        """None for what is gone or out of this person's sight; raises PermissionDenied."""
        task: Task | None = self.get_object(request, str(task_id))
        if not self.has_view_permission(request, task):
            raise PermissionDenied
        return task

    def _gone(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "No such task",
            "opts": self.opts,
            "media": self.media,
            "keep": get_settings().TASK_RETENTION,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/taskcenter/task/gone.html", context, status=404)

    def _offered(self, request: HttpRequest, task: Task, *, lost: bool) -> list[tuple[Verb, str]]:
        """Buttons: only what is allowed and makes sense now."""
        return [
            (verb, self._address(verb.name, task.pk))
            for verb in VERBS.values()
            if self.may(request, verb, task) and not verb.why_not(task, lost=lost)
        ]

    def may(self, request: HttpRequest, verb: Verb, obj: Task | None = None) -> bool:
        """Whether this person may do that to this task, or to tasks at all. For a subclass to narrow."""
        return bool(request.user.has_perm(verb.permission))

    def _address(self, name: str, *args: Any) -> str:
        return reverse(f"admin:taskcenter_task_{name}", args=args, current_app=self.admin_site.name)
