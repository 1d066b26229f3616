"""Tasks in the admin: look at everything, change nothing but by retry, cancel and recover."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.urls import path

from taskcenter import progress
from taskcenter.models import Task, TaskQuerySet
from taskcenter.models.narrow import narrowed, searched
from taskcenter.operations import IDS_LIMIT, VERBS, Selection, Verb
from taskcenter.operations.selection import FILTERS
from taskcenter.states import Shown
from taskcenter.views.timeline import took

from . import confirm
from .filters import CreatedFilter, DefinitionFilter, EndedFilter, QueueFilter, ReportFilter, StateFilter
from .pages import TaskPages
from .task_list import BLOBS, TaskChangeList, TaskPaginator, cell, newer_than

if TYPE_CHECKING:
    from uuid import UUID

    from django.urls import URLPattern
    from django.utils.safestring import SafeString

__all__ = ["TaskAdmin", "TaskAdminMixin"]


_OF_THE_PAGE = frozenset({"p", "o", "e", "all", "_facets"})
"""What an address of the list says beside its filters."""
_RULES = ("get_queryset", "get_search_results", "list_filter", "may")


class TaskAdminMixin(TaskPages):
    """Everything about tasks but the ModelAdmin itself, so that a themed one can take its place."""

    list_display = ("task_cell", "status_cell", "queue_cell", "when_cell", "took_cell")
    list_display_links = None
    sortable_by = ()
    list_filter = (StateFilter, QueueFilter, CreatedFilter, EndedFilter, ReportFilter, DefinitionFilter)
    list_select_related = ("owner",)
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = TaskPaginator
    search_fields = ("id",)
    search_help_text = "An id or its start, or the start of a title or a definition."
    ordering = ("-id",)
    fields = ()
    actions = ("retry_selected", "cancel_selected", "recover_selected", "delete_selected")

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("taskcenter/taskcenter.css", "taskcenter/pages.css")}
        js = (Script("taskcenter/task-progress.js", type="module"),)

    # Who may do what.

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tasks are enqueued by code."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits a task's row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        """A live task must be cancelled first: a worker may be running it."""
        return self.may(request, VERBS["delete"], obj) and (obj is None or obj.is_final)

    def has_retry_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        return self.may(request, VERBS["retry"], obj)

    def has_cancel_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        return self.may(request, VERBS["cancel"], obj)

    def has_recover_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        return self.may(request, VERBS["recover"], obj)

    # The list.

    def get_queryset(self, request: HttpRequest) -> TaskQuerySet:
        """The same rule as everywhere: `TASKCENTER["VISIBLE"]`."""
        rows: Any = super().get_queryset(request)
        match = getattr(request, "resolver_match", None)
        seen = progress.visible(request.user, rows)
        return seen.defer(*BLOBS) if match and match.url_name == "taskcenter_task_changelist" else seen

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TaskChangeList]:
        return TaskChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (searched(queryset, term) if term else queryset), False

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        paginator: Any = super().get_paginator(request, *args, **kwargs)
        narrowed_by = {name for name, value in request.GET.items() if name not in _OF_THE_PAGE and value}
        paginator.of_one_line = narrowed_by in ({"queue"}, {"definition"})
        return paginator

    def newer_view(self, request: HttpRequest, newest: UUID) -> JsonResponse:
        """How many tasks the list would show above this one, if it were loaded again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        filters = self._filters(request)
        rows = self.get_queryset(request)
        count = 0 if filters is None else newer_than(narrowed(rows, filters), newest)
        return JsonResponse({"newer": count})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {"title": "Tasks", **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description="Task")
    def task_cell(self, task: Task) -> SafeString:
        return cell("task", task)

    @admin.display(description="Status")
    def status_cell(self, task: Task) -> SafeString:
        return cell("status", task)

    @admin.display(description="Queue")
    def queue_cell(self, task: Task) -> str:
        return task.queue

    @admin.display(description="When")
    def when_cell(self, task: Task) -> SafeString:
        return cell("when", task)

    @admin.display(description="Took")
    def took_cell(self, task: Task) -> str:
        return took(task)

    @admin.action(description="Retry…", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: TaskQuerySet) -> HttpResponse:
        return self._confirm_many(request, VERBS["retry"], queryset)

    @admin.action(description="Cancel…", permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: TaskQuerySet) -> HttpResponse:
        return self._confirm_many(request, VERBS["cancel"], queryset)

    @admin.action(description="Recover…", permissions=["recover"])
    def recover_selected(self, request: HttpRequest, queryset: TaskQuerySet) -> HttpResponse:
        return self._confirm_many(request, VERBS["recover"], queryset)

    @admin.action(description="Delete…", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: TaskQuerySet) -> HttpResponse:
        """Instead of the admin's own, which would read all of their history to show it."""
        return self._confirm_many(request, VERBS["delete"], queryset)

    # Many tasks.

    def get_urls(self) -> list[URLPattern]:
        """Ours first: the admin's own catch-all would take them for primary keys."""
        wrap = self.admin_site.admin_view
        ours = [
            path("bulk/<str:name>/", wrap(self.bulk_view), name="taskcenter_task_bulk"),
            path("newer/<uuid:newest>/", wrap(self.newer_view), name="taskcenter_task_newer"),
        ]
        return [*ours, *super().get_urls()]

    def bulk_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """What the confirmation page of a bulk action posts to."""
        if name not in VERBS:
            raise Http404
        verb = VERBS[name]
        if not self.may(request, verb) or not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        asked = self._question(request, verb, confirm.posted_selection(request))
        if not confirm.reason_of(request):
            return confirm.confirmation(request, self, asked, error=confirm.NO_REASON)
        task = confirm.carry_out_many(request, self, asked)
        return HttpResponseRedirect(self._address("change", task.pk) if task else self._address("changelist"))

    def _confirm_many(self, request: HttpRequest, verb: Verb, queryset: TaskQuerySet) -> HttpResponse:
        """A whole list is frozen as its filters; what cannot be said so is named one by one, up to a limit."""
        filters = self._filters(request)
        if request.POST.get("select_across") == "1" and filters is not None:
            return confirm.confirmation(request, self, self._question(request, verb, Selection.of_list(filters)))
        ids = list(queryset.order_by("id").values_list("pk", flat=True)[:IDS_LIMIT])
        left_out = queryset.count() - len(ids) if len(ids) == IDS_LIMIT else 0
        return confirm.confirmation(
            request, self, self._question(request, verb, Selection.of_ids(ids), left_out=left_out)
        )

    def _question(
        self, request: HttpRequest, verb: Verb, selection: Selection, *, left_out: int = 0
    ) -> confirm.Question:
        if selection.ids or self._is_plain():
            rows = selection.rows(request.user, self.get_queryset(request)).defer(*BLOBS)
            return confirm.Question(verb, selection, rows, left_out=left_out)
        raise PermissionDenied

    def _filters(self, request: HttpRequest) -> dict[str, str] | None:
        """What the list is narrowed by, if a task can narrow it so again, long after the request."""
        given = {name: str(value) for name, value in request.GET.items() if name not in _OF_THE_PAGE and value}
        is_lasting = given.keys() <= FILTERS and given.get("state") != Shown.STALLED
        return given if self._is_plain() and is_lasting else None

    def _is_plain(self) -> bool:
        """Whether nobody has given this class rules of its own for what is listed, and what may be done to it."""
        return all(getattr(type(self), name) is getattr(TaskAdminMixin, name) for name in _RULES)


@admin.register(Task)
class TaskAdmin(TaskAdminMixin, admin.ModelAdmin):
    """The task list and the task page."""
