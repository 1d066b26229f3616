"""A report as a page, and as a file to keep."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from taskcenter import progress, reports
from taskcenter.models import Report

from .access import signed_in

__all__ = ["report_detail", "report_download", "visible_report"]

# A downloaded file runs nothing and loads nothing, whatever an uploaded name smuggled into it.
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
KINDS = {
    "html": (reports.as_html, "text/html; charset=utf-8"),
    "json": (reports.as_json, "application/json"),
    "csv": (reports.as_csv, "text/csv; charset=utf-8"),
}
NAME_LENGTH = 80


@require_safe
@signed_in
def report_detail(request: HttpRequest, pk: int) -> HttpResponse:
    report = visible_report(request.user, pk)
    context = {
        "report": report,
        "data": report.data,
        "sections": reports.sections(report.data),
        "body_template": reports.body_template(report.data),
    }
    return render(request, "taskcenter/report_detail.html", context)


@require_safe
@signed_in
def report_download(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """The report as one HTML file, as JSON, or its tables as CSV; 404 for any other kind."""
    if kind not in KINDS:
        raise Http404("A report can be had as html, json or csv.")
    report = visible_report(request.user, pk)
    render_file, content_type = KINDS[kind]
    name = f"{slugify(report.title)[:NAME_LENGTH] or 'report'}-{report.pk}.{kind}"
    headers = {
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "Content-Security-Policy": FILE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(render_file(report), content_type=content_type, headers=headers)


def visible_report(user: Any, pk: int) -> Report:
    """Who sees the task sees its report; when the task is gone, its owner and `view_report` remain."""
    through_task = Q(task__in=progress.visible(user).values("pk"))
    orphaned = Q(task=None, pk__in=Report.objects.visible_to(user).values("pk"))
    rows = Report.objects.final().filter(through_task | orphaned).select_related("task", "owner")
    report: Report = get_object_or_404(rows.defer("task__args", "task__kwargs", "task__result"), pk=pk)
    return report
