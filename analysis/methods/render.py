"""Lays the results out as plain data, ready for JSON, a page or a test. See docs/report-schema.md."""

from dataclasses import replace
from typing import Any

from .charts import column_chart, missing_chart
from .context import Context
from .report import SCHEMA
from .tables import ColumnProfile
from .wording import percent

NOT_CHECKED = (
    "Whether the values are true: only the file itself was looked at.",
    "What leads to what: things that move together need not depend on each other.",
    "Changes over time, seasons and groups of similar rows.",
    "The meaning of free text.",
)


def render(context: Context) -> Context:
    """Fills in the report."""
    charts = [chart for chart in (missing_chart(context.profile),) if chart]
    charts += [found.chart for found in context.findings if found.chart and found.chart["kind"] == "heat"]
    report = {
        "schema": SCHEMA,
        "file": _file(context),
        "options": {"today": context.options.today.isoformat()},
        "summary": _summary(context),
        "findings": [found.as_dict() for found in context.findings],
        "columns": [_column(column) for column in context.profile.columns],
        "charts": charts,
        "notes": list(context.notes),
        "not_checked": [*NOT_CHECKED, *context.skipped],
    }
    return replace(context, report=report)


def _file(context: Context) -> dict[str, Any]:
    source, loaded = context.source, context.loaded
    return {
        "name": source.name, "bytes": source.size, "sha256": source.sha256, "format": source.format,
        "encoding": source.encoding, "delimiter": loaded.delimiter, "has_header": loaded.has_header,
        "rows": loaded.rows, "columns": len(loaded.columns), "rejected_rows": loaded.rejected,
    }  # fmt: skip


def _summary(context: Context) -> dict[str, Any]:
    return {
        "headline": context.summary.headline,
        "tiles": _tiles(context),
        "paragraphs": list(context.summary.paragraphs),
        "evidence": dict(context.summary.evidence or {}),
    }


def _tiles(context: Context) -> list[dict[str, Any]]:
    columns, rows = context.profile.columns, context.loaded.rows
    cells = rows * len(columns)
    copies = [f.evidence["copies"] for f in context.findings if f.kind == "duplicate_rows"]
    return [
        {"label": "Rows", "value": rows, "unit": ""},
        {"label": "Columns", "value": len(columns), "unit": ""},
        {"label": "Empty cells", "value": percent(sum(c.missing for c in columns), cells), "unit": "%"},
        {"label": "Repeated rows", "value": copies[0] if copies else 0, "unit": ""},
        {"label": "Findings", "value": len(context.findings), "unit": ""},
    ]


def _column(column: ColumnProfile) -> dict[str, Any]:
    return {
        "name": column.name, "type": column.type, "meaning": column.semantic, "rows": column.rows,
        "missing": column.missing, "unreadable": column.unreadable, "distinct": column.distinct,
        "low": column.low, "high": column.high, "mean": column.mean, "std": column.std,
        "q1": column.q1, "median": column.median, "q3": column.q3,
        "top": [{"value": value, "count": count} for value, count in column.top],
        "chart": column_chart(column),
    }  # fmt: skip
