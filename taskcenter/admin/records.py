"""Reports, workers and duties in the admin: to look at."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin
from django.db.models import Count, Exists, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.timesince import timesince

from taskcenter.models import Duty, Report, Task, Worker
from taskcenter.states import State
from taskcenter.views.paging import CappedPaginator

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

__all__ = ["DutyAdmin", "ReportAdmin", "WorkerAdmin"]


class LookOnly:
    """Rows that the machinery writes and people read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("taskcenter/taskcenter.css", "taskcenter/pages.css")}


@admin.register(Report)
class ReportAdmin(LookOnly, admin.ModelAdmin):
    list_display = ("title", "owner", "task_link", "is_final", "created_at", "page_link")
    list_select_related = ("owner", "task")
    list_filter = ("is_final",)
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    search_fields = ("title__istartswith",)
    search_help_text = "The start of a report's title."
    sortable_by = ()
    ordering = ("-id",)
    fields = ("title", "owner", "task_link", "attempt", "is_final", "created_at", "page_link")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        blobs = ("data", "task__args", "task__kwargs", "task__result", "task__metadata")
        return super().get_queryset(request).defer(*blobs)

    @admin.display(description="Task")
    def task_link(self, report: Report) -> str:
        if report.task is None:
            return "deleted"
        address = reverse("admin:taskcenter_task_change", args=[report.task.pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, report.task.label)

    @admin.display(description="Page")
    def page_link(self, report: Report) -> str:
        if not report.is_final:
            return "draft"
        try:
            address = reverse("taskcenter:report-detail", args=[report.pk])
        except NoReverseMatch:
            return "The site does not include TaskCenter's addresses."
        return format_html('<a href="{}">Open</a>', address)


@admin.register(Worker)
class WorkerAdmin(LookOnly, admin.ModelAdmin):
    list_display = ("process", "state", "queue_names", "slots", "running", "heartbeat", "started_at")
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    sortable_by = ()
    ordering = ("-started_at",)
    fields = (
        "id",
        "name",
        "state",
        "host",
        "pid",
        "queue_names",
        "slots",
        "running",
        "started_at",
        "heartbeat_at",
        "stopped_at",
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        held = Task.objects.filter(state=State.PROCESSING, worker_id=OuterRef("pk")).order_by().values("worker_id")
        count = Subquery(held.annotate(held=Count("id")).values("held"), output_field=IntegerField())
        alive = Exists(Worker.objects.alive().filter(pk=OuterRef("pk")))
        workers: Any = super().get_queryset(request).annotate(held=Coalesce(count, 0), alive=alive)
        return cast("QuerySet[Worker]", workers)

    @admin.display(description="Worker")
    def process(self, worker: Worker) -> str:
        return f"{worker.host}:{worker.pid}"

    @admin.display(description="State")
    def state(self, worker: Worker) -> str:
        if worker.stopped_at:
            return format_html('<span class="tc-badge tc-cancelled">{}</span>', "Stopped")
        name, word = ("completed", "Alive") if worker.alive else ("lost", "Silent")  # type: ignore[attr-defined]
        return format_html('<span class="tc-badge tc-{}">{}</span>', name, word)

    @admin.display(description="Queues")
    def queue_names(self, worker: Worker) -> str:
        return ", ".join(map(str, worker.queues))

    @admin.display(description="Running")
    def running(self, worker: Worker) -> int:
        return int(worker.held)  # type: ignore[attr-defined]

    @admin.display(description="Heartbeat")
    def heartbeat(self, worker: Worker) -> str:
        at = worker.heartbeat_at
        return format_html('<time datetime="{}">{} ago</time>', at.isoformat(), timesince(at))


@admin.register(Duty)
class DutyAdmin(LookOnly, admin.ModelAdmin):
    list_display = ("name", "next_due", "last_started_at", "last_finished_at", "last_outcome")
    sortable_by = ()
    ordering = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
