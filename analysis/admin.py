"""Data sets and analyses in the admin: to find and read, not to edit."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from .models import Analysis, Dataset


class ReadOnly(admin.ModelAdmin):
    """Rows made by the site: people look at them here, and may delete them."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 as above
        return False


@admin.register(Dataset)
class DatasetAdmin(ReadOnly):
    list_display = ("name", "owner", "size", "uploaded_at")
    list_select_related = ("owner",)
    search_fields = ("name",)


@admin.register(Analysis)
class AnalysisAdmin(ReadOnly):
    list_display = ("dataset", "owner", "status", "created_at", "finished_at", "task_link", "report_link")
    list_select_related = ("dataset", "owner", "report")
    list_filter = ("status",)
    search_fields = ("dataset__name",)
    fields = (
        "dataset", "owner", "status", "task_link", "report_link",
        "error_code", "error_what", "error_where", "error_hint", "created_at", "finished_at",
    )  # fmt: skip
    readonly_fields = ("task_link", "report_link")

    @admin.display(description="task")
    def task_link(self, analysis: Analysis) -> str:
        url = reverse("admin:taskcenter_task_change", args=[analysis.task_id])
        return format_html('<a href="{}">Task</a>', url)

    @admin.display(description="report")
    def report_link(self, analysis: Analysis) -> str:
        if not analysis.ready_report:
            return "-"
        return format_html('<a href="{}">Report</a>', reverse("analysis:report", args=[analysis.pk]))
