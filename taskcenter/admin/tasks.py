"""Tasks in the admin: look at everything, change nothing but by retry, cancel and recover."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse

from taskcenter import progress
from taskcenter.models import Task, TaskQuerySet
from taskcenter.models.narrow import searched
from taskcenter.operations import IDS_LIMIT, VERBS, Selection, Verb
from taskcenter.operations.selection import FILTERS
from taskcenter.views.paging import CappedPaginator
from taskcenter.views.timeline import took

from . import confirm, stack
from .filters import DefinitionFilter, QueueFilter, StateFilter
from .task_list import BLOBS, TaskChangeList, cell
from .task_page import page_context

if TYPE_CHECKING:
    from uuid import UUID

    from django.urls import URLPattern
    from django.utils.safestring import SafeString

    # What the mixin is mixed into, for the type checker only.
    Base = admin.ModelAdmin
else:
    Base = object

__all__ = ["TaskAdmin", "TaskAdminMixin"]


_OF_THE_PAGE = frozenset({"p", "o", "e", "all", "_facets"})
"""What an address of the list says beside its filters."""
_RULES = ("get_queryset", "get_search_results", "list_filter", "may")


class TaskAdminMixin(Base):
    """Everything about tasks but the ModelAdmin itself, so that a themed one can take its place."""

    list_display = ("task_cell", "status_cell", "queue_cell", "when_cell", "took_cell")
    list_display_links = None
    sortable_by = ()
    list_filter = (StateFilter, QueueFilter, DefinitionFilter)
    list_select_related = ("owner",)
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    search_fields = ("id",)
    search_help_text = "A task's id, or the start of its title or its definition."
    ordering = ("-id",)
    fields = ()
    actions = ("retry_selected", "cancel_selected", "recover_selected")

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
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.is_final)

    def has_retry_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        return self.may(request, VERBS["retry"], obj)

    def has_cancel_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        return self.may(request, VERBS["cancel"], obj)

    def has_recover_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        return self.may(request, VERBS["recover"], obj)

    def may(self, request: HttpRequest, verb: Verb, obj: Task | None = None) -> bool:
        """Whether this person may do that to this task, or to tasks at all. For a subclass to narrow."""
        return bool(request.user.has_perm(verb.permission))

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

    # One task.

    def get_urls(self) -> list[URLPattern]:
        """Ours first: the admin's own catch-all would take them for primary keys."""
        wrap = self.admin_site.admin_view
        ours = [path("bulk/<str:name>/", wrap(self.bulk_view), name="taskcenter_task_bulk")]
        for name in VERBS:
            view = wrap(partial(self.verb_view, name=name))
            ours.append(path(f"<uuid:task_id>/{name}/", view, name=f"taskcenter_task_{name}"))
        ours.append(path("<uuid:task_id>/stack/", wrap(self.stack_view), name="taskcenter_task_stack"))
        return [*ours, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = dict(extra_context or {})
        task: Task | None = self.get_object(request, object_id)
        if task is not None and self.has_view_permission(request, task):
            context.update(
                page_context(task, request.user), title=task.label, subtitle="", verbs=self._offered(request, task)
            )
            context.update(stack.context(request, task), stack_url=self._address("stack", task.pk))
        return super().change_view(request, object_id, form_url, context)

    def verb_view(self, request: HttpRequest, task_id: UUID, name: str) -> HttpResponse:
        """GET asks, POST does."""
        verb = VERBS[name]
        task = self._task(request, task_id)
        if not self.may(request, verb, task):
            raise PermissionDenied
        if request.method == "POST" and (confirm.reason_of(request) or not verb.needs_reason):
            confirm.carry_out_one(request, verb, task)
            return HttpResponseRedirect(self._address("change", task.pk))
        rows = self.get_queryset(request).filter(pk=task.pk)
        asked = confirm.Question(verb, Selection.of_ids([task.pk]), rows, single=task)
        error = confirm.NO_REASON if request.method == "POST" else ""
        return confirm.confirmation(request, self, asked, error=error)

    def stack_view(self, request: HttpRequest, task_id: UUID) -> HttpResponse:
        """POST asks the task's worker where it hangs; the answer is on its page."""
        task = self._task(request, task_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        stack.ask(request, self, task)
        return HttpResponseRedirect(f"{self._address('change', task.pk)}#stack")

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
        return given if self._is_plain() and given.keys() <= FILTERS else None

    def _is_plain(self) -> bool:
        """Whether nobody has given this class rules of its own for what is listed, and what may be done to it."""
        return all(getattr(type(self), name) is getattr(TaskAdminMixin, name) for name in _RULES)

    def _task(self, request: HttpRequest, task_id: UUID) -> Task:
        task: Task | None = self.get_queryset(request).select_related("owner").filter(pk=task_id).first()
        if not self.has_view_permission(request, task):
            raise PermissionDenied
        if task is None:
            raise Http404("There is no such task; finished tasks are deleted after a while.")
        return task

    def _offered(self, request: HttpRequest, task: Task) -> list[tuple[Verb, str]]:
        """Buttons: only what is allowed and makes sense now."""
        return [
            (verb, self._address(verb.name, task.pk))
            for verb in VERBS.values()
            if self.may(request, verb, task) and not verb.why_not(task)
        ]

    def _address(self, name: str, *args: Any) -> str:
        return reverse(f"admin:taskcenter_task_{name}", args=args, current_app=self.admin_site.name)


@admin.register(Task)
class TaskAdmin(TaskAdminMixin, admin.ModelAdmin):
    """The task list and the task page."""
