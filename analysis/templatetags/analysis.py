"""`{% load analysis %}`: numbers and severities as people read them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import template

__all__ = ["register"]

register = template.Library()

TEN, MILLION = 10, 1_000_000
SEVERITIES = {"high": "Fix first", "medium": "Look at it", "low": "Minor", "info": "Good to know"}


@register.filter
def number(value: Any) -> str:
    """1,234,567 or 0.581; text as it is, a dash for nothing."""
    match value:
        case None | "":
            return "–"  # noqa: RUF001 a dash is meant
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= MILLION else f"{value:,.6g}"
    return str(value)


@register.filter
def span(value: timedelta | None) -> str:
    """0.4 s, 12 s, 3 min 20 s; nothing for nothing."""
    if value is None:
        return ""
    seconds = value.total_seconds()
    if seconds < TEN:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def severity(value: str) -> str:
    """The severity of a finding, in words."""
    return SEVERITIES.get(value, value)
