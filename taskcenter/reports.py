"""Reports: what a task produced for people, kept as data and rendered when somebody looks.

A running attempt keeps at most one report, a draft that it may replace; the transaction that ends the
attempt makes it final. So a finished attempt has one report or none, and what a crashed attempt left
behind is never shown. The data is JSON of any shape; `sections` says which keys the generic page knows,
and a site registers a template of its own for data that names a `schema`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string

from . import sheets
from .charts import ChartError, chart_from_dict
from .conf import get_settings
from .models import Report, Task
from .payload import checked
from .states import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

__all__ = [
    "Sections",
    "as_csv",
    "as_html",
    "as_json",
    "body_template",
    "expire",
    "finalise",
    "finalise_many",
    "keep",
    "register_renderer",
    "sections",
]

GENERIC_BODY = "taskcenter/report_body.html"
FILE_TEMPLATE = "taskcenter/report_file.html"
DRAFT_RETENTION = timedelta(days=1)
"""How long the draft of an attempt that did not finish is kept for the curious."""

DATA_LIMIT = 16 * 1024 * 1024
"""Bytes of JSON that a report's data may take."""

_TITLE_LENGTH = 255

_renderers: dict[str, str] = {}


def keep(task_id: UUID, attempt: int, *, title: str, data: dict[str, Any], owner: Any = None) -> Report:
    """Keep this as the report of a running attempt, in place of what it kept before.

    `owner` is a user, a primary key or None. Raises InvalidPayload when `data` cannot be kept. A report that
    is final already stays as it is and is returned: its attempt has ended.
    """
    values = {
        "title": title.replace("\0", "")[:_TITLE_LENGTH],
        "data": checked(data, limit=DATA_LIMIT, what="data of a report"),
        "owner_id": getattr(owner, "pk", owner),
    }
    with transaction.atomic():
        report, made = Report.objects.get_or_create(task_id=task_id, attempt=attempt, defaults=values)
        if not made and Report.objects.filter(pk=report.pk, is_final=False).update(**values):
            report.refresh_from_db()
    return report


def finalise(task: Task) -> Report | None:
    """Make the report of the task's present attempt final; None when it kept none.

    Called inside the transaction that ends the attempt: both are seen together, or neither.
    """
    mine = Report.objects.filter(task_id=task.pk, attempt=task.attempt)
    return mine.defer("data").get() if mine.update(is_final=True) else None


def finalise_many(task_ids: Iterable[UUID]) -> None:
    """`finalise()` for many tasks, in one statement."""
    Report.objects.finalise_many(task_ids)


def expire(now: datetime) -> int:
    """Delete reports older than `REPORT_RETENTION` and drafts that no attempt will finish; how many."""
    idle = Q(task=None) | Q(task__state__in=FINAL)
    gone = Q(is_final=False, created_at__lt=now - DRAFT_RETENTION) & idle
    retention = get_settings().REPORT_RETENTION
    if retention is not None:
        gone |= Q(is_final=True, created_at__lt=now - retention)
    deleted, _ = Report.objects.filter(gone).delete()
    return deleted


def register_renderer(schema_prefix: str, template_name: str) -> None:
    """Render reports whose `data["schema"]` begins with this by that template.

    It is the body of both the page and the downloaded file, gets `report` and `data`, and must need no
    script. The longest prefix wins. Call it from `AppConfig.ready()`.
    """
    _renderers[schema_prefix] = template_name


def body_template(data: Any) -> str:
    """The template for the body of such a report; only registered ones, never a path from the data."""
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, str):
        return GENERIC_BODY
    fitting = [prefix for prefix in _renderers if schema.startswith(prefix)]
    return _renderers[max(fitting, key=len)] if fitting else GENERIC_BODY


def as_html(report: Report) -> str:
    """One file that shows the report on its own: no script, nothing loaded from anywhere."""
    context = {
        "report": report,
        "data": report.data,
        "sections": sections(report.data),
        "body_template": body_template(report.data),
        "is_file": True,
    }
    return render_to_string(FILE_TEMPLATE, context)


def as_json(report: Report) -> bytes:
    """The report's data as the task gave it, in UTF-8."""
    text = json.dumps(report.data, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def as_csv(report: Report) -> bytes:
    """Every table of the report, and the values behind every chart."""
    return sheets.as_csv(report.title, report.data)


@dataclass(slots=True)
class Sections:
    """What the generic page shows, from top to bottom."""

    summary: str = ""
    warnings: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    rest: list[tuple[str, str]] = field(default_factory=list)
    """Name and indented JSON of everything else."""


def sections(data: Any) -> Sections:
    """Sort data into sections.

    Known keys: `summary` (text), `warnings` (texts), `facts` (name to value), `charts` (of taskcenter.charts),
    `tables` ({title, columns, rows}). Other plain values become facts, the rest is shown as JSON.
    """
    if not isinstance(data, dict):
        return Sections(rest=[("Data", _pretty(data))])
    found = Sections()
    for key, value in data.items():
        _sort(found, key, value)
    return found


def _sort(found: Sections, key: str, value: Any) -> None:
    match key, value:
        case "schema", str():
            pass
        case "summary", str():
            found.summary = value
        case "warnings", list():
            found.warnings = [_text(one) for one in value]
        case "facts", dict():
            found.facts.extend((_name(name), _text(one)) for name, one in value.items())
        case "charts", list() if all(_is_chart(one) for one in value):
            found.charts.extend(value)
        case "tables", list() if all(_is_table(one) for one in value):
            found.tables.extend(_table(one) for one in value)
        case _, {"kind": str()} if _is_chart(value):
            found.charts.append(value)
        case _, dict() | list():
            found.rest.append((_name(key), _pretty(value)))
        case _:
            found.facts.append((_name(key), _text(value)))


def _is_chart(value: Any) -> bool:
    try:
        chart_from_dict(value)
    except ChartError:
        return False
    return True


def _is_table(value: Any) -> bool:
    rows = value.get("rows") if isinstance(value, dict) else None
    return isinstance(rows, list) and all(isinstance(row, list) for row in rows)


def _table(value: dict[str, Any]) -> dict[str, Any]:
    columns = value.get("columns")
    return {
        "title": _text(value.get("title", "")),
        "columns": [_text(one) for one in columns] if isinstance(columns, list) else [],
        "rows": [[_text(cell) for cell in row] for row in value["rows"]],
    }


def _name(key: str) -> str:
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _text(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.6g}"
        case str():
            return value
    return json.dumps(value, ensure_ascii=False)


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
