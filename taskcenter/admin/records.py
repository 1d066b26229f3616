"""Reports, notifications and duties in the admin: to look at."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from taskcenter import reports
from taskcenter.models import Duty, Notification, Report, Task
from taskcenter.views.paging import CappedPaginator

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

__all__ = ["DutyAdmin", "LongList", "LookOnly", "NotificationAdmin", "ReportAdmin"]


class LookOnly:
    """Rows that the machinery writes and people read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("taskcenter/taskcenter.css", "taskcenter/pages.css")}


class LongList(LookOnly, admin.ModelAdmin):
    """The same where there may be millions: counted up to a cap, never shown whole, in the order of an index."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    sortable_by = ()


class DraftFilter(admin.SimpleListFilter):
    title = "attempt"
    parameter_name = "is_final"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Finished"), ("0", "Not finished: a draft")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Report]:
        rows: QuerySet[Report] = queryset
        return rows.filter(is_final=self.value() == "1") if self.value() in {"0", "1"} else rows


class ReadFilter(admin.SimpleListFilter):
    title = "whether it was read"
    parameter_name = "read"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("0", "Unread"), ("1", "Read")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Notification]:
        rows: QuerySet[Notification] = queryset
        return rows.filter(read_at__isnull=self.value() == "0") if self.value() in {"0", "1"} else rows


def _task_link(task: Task | None, site: str) -> str:
    if task is None:
        return "deleted"
    address = reverse("admin:taskcenter_task_change", args=[task.pk], current_app=site)
    return format_html('<a href="{}">{}</a>', address, task.label)


@admin.register(Report)
class ReportAdmin(LongList):
    list_display = ("title", "owner", "task_link", "created_at", "size", "page_link")
    list_select_related = ("owner", "task")
    list_filter = (DraftFilter,)
    search_fields = ("title__istartswith",)
    search_help_text = "The start of a report's title."
    ordering = ("-id",)
    fields = ("title", "owner", "task_link", "attempt", "is_final", "created_at", "size", "page_link")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        blobs = ("data", "task__args", "task__kwargs", "task__result", "task__metadata")
        rows: Any = super().get_queryset(request)
        return cast("QuerySet[Report]", rows.with_size().defer(*blobs))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Reports", **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Its facts, then the report itself as on the site."""
        context = dict(extra_context or {})
        report: Report | None = self.get_object(request, object_id)
        if report is not None and self.has_view_permission(request, report):
            body = {"sections": reports.sections(report.data), "body_template": reports.body_template(report.data)}
            context.update(body, title=report.title, subtitle="", report=report, data=report.data)
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="Task")
    def task_link(self, report: Report) -> str:
        return _task_link(report.task, self.admin_site.name)

    @admin.display(description="Size")
    def size(self, report: Report) -> str:
        return filesizeformat(report.size)  # type: ignore[attr-defined]

    @admin.display(description="Page")
    def page_link(self, report: Report) -> str:
        if not report.is_final:
            return "draft"
        try:
            address = reverse("taskcenter:report-detail", args=[report.pk])
        except NoReverseMatch:
            return "The site does not include TaskCenter's addresses."
        return format_html('<a href="{}">Open</a>', address)


@admin.register(Notification)
class NotificationAdmin(LongList):
    """Who was told what, and whether they have read it."""

    list_display = ("text", "recipient", "kind", "created_at", "read_at")
    list_select_related = ("recipient",)
    list_filter = ("kind", ReadFilter)
    ordering = ("-id",)
    fields = ("text", "recipient", "kind", "channel", "task_link", "attempt", "created_at", "read_at")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Notifications", **(extra_context or {})})

    @admin.display(description="Task")
    def task_link(self, notification: Notification) -> str:
        return _task_link(notification.task, self.admin_site.name)


@admin.register(Duty)
class DutyAdmin(LookOnly, admin.ModelAdmin):
    list_display = ("name", "next_due", "last_started_at", "last_finished_at", "last_outcome")
    sortable_by = ()
    ordering = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
