"""Workers in the admin: who lives, what each runs, and what its code can run."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.db.models import Count, Exists, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.html import format_html
from django.utils.timesince import timesince

from taskcenter import progress
from taskcenter.models import Task, Worker
from taskcenter.states import State

from .records import LongList

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

__all__ = ["WorkerAdmin"]

TASKS_SHOWN = 50


class LivesFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("alive", "Alive"), ("silent", "Silent"), ("stopped", "Stopped")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Worker]:
        match self.value():
            case "alive":
                return cast("QuerySet[Worker]", queryset.alive())
            case "silent":
                return cast("QuerySet[Worker]", queryset.silent())
            case "stopped":
                return cast("QuerySet[Worker]", queryset.filter(stopped_at__isnull=False))
        return cast("QuerySet[Worker]", queryset)


@admin.register(Worker)
class WorkerAdmin(LongList):
    list_display = ("process", "state", "queue_names", "slots", "running", "heartbeat", "started_at")
    list_filter = (LivesFilter,)
    ordering = ("-started_at",)
    fields = (
        "state",
        "host",
        "pid",
        "name",
        "queue_names",
        "slots",
        "running",
        "started_at",
        "heartbeat_at",
        "stopped_at",
        "id",
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        held = Task.objects.filter(state=State.PROCESSING, worker_id=OuterRef("pk")).order_by().values("worker_id")
        count = Subquery(held.annotate(held=Count("id")).values("held"), output_field=IntegerField())
        alive = Exists(Worker.objects.alive().filter(pk=OuterRef("pk")))
        workers: Any = super().get_queryset(request).annotate(held=Coalesce(count, 0), alive=alive)
        return cast("QuerySet[Worker]", workers)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Workers", **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = dict(extra_context or {})
        worker: Worker | None = self.get_object(request, object_id)
        if worker is not None and self.has_view_permission(request, worker):
            held = progress.visible(request.user, Task.objects.held_by(worker.pk)).order_by("attempted_at", "id")
            tasks = progress.snapshots(held[:TASKS_SHOWN])
            context.update(title=str(worker), subtitle="", worker=worker, tasks=tasks)
            context.update(more=worker.held - len(tasks), known=sorted(worker.definitions))  # type: ignore[attr-defined]
        return super().change_view(request, object_id, form_url, context)

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
