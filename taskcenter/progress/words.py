"""A frame in words, for a page that has no script yet, or never.

The same as in task-progress.js, which goes on from here; tests/unit/js/words.json holds both to it.
"""

from __future__ import annotations

from datetime import datetime
from math import floor
from typing import Any

from taskcenter.states import FINAL, Shown, State

__all__ = [
    "ICONS",
    "MEANINGS",
    "WORDS",
    "count_text",
    "message_text",
    "percent_text",
    "stage_list",
    "time_text",
    "value_text",
]

WORDS = {str(value): str(label) for value, label in [*State.choices, *Shown.choices]}

ICONS: dict[str, str] = {
    State.BLOCKED: "M5 7V5a3 3 0 0 1 6 0v2M4 7h8v6H4z",
    State.SCHEDULED: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 5v3l2 1.5",
    State.PENDING: "M3.5 8h.01M8 8h.01M12.5 8h.01",
    State.PROCESSING: "M8 2.5A5.5 5.5 0 1 1 2.5 8",
    State.COMPLETED: "M3 8.5 6.5 12 13 4.5",
    State.FAILED: "M4 4l8 8M12 4l-8 8",
    State.CANCELLED: "M3.5 8h9",
    Shown.RETRYING: "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.5V6H9.5",
    Shown.STALLED: "M5.5 4v8M10.5 4v8",
    Shown.CANCELLING: "M4 4h8v8H4zM8 4v8",
    Shown.LOST: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.6 8 9 8 10M8 12.8h.01",
}
"""Paths in a square of 16, drawn as lines."""

MEANINGS: dict[str, str] = {
    State.BLOCKED: "Waits for its parents",
    State.SCHEDULED: "Waits for its time",
    State.PENDING: "Waits for a free worker",
    State.PROCESSING: "A worker is on it",
    State.COMPLETED: "Finished",
    State.FAILED: "Ended with an error; no tries are left",
    State.CANCELLED: "Stopped because somebody asked",
    Shown.RETRYING: "Failed; will be tried again",
    Shown.STALLED: "The worker lives, but progress does not move",
    Shown.CANCELLING: "Stop was asked; the task ends at its next checkpoint",
    Shown.LOST: "The worker stopped answering; the task will be recovered",
}

_PLAIN = frozenset({State.COMPLETED, State.FAILED})
"""States whose word says it all."""
_UNITS = ((86400, "d", "day"), (3600, "h", "hour"), (60, "min", "minute"), (1, "s", "second"))


def percent_text(progress: float | None) -> str:
    """62%"""
    if progress is None:
        return ""
    # 100 % is a promise: nothing short of the end may round up to it.
    return "100%" if progress >= 1 else f"{min(99, floor(progress * 100 + 1e-6))}%"


def message_text(frame: dict[str, Any], *, has_stages: bool = False) -> str:
    """The line under the bar: an error, else stage and message, else what the state means."""
    error, stage, message = frame["error"], frame["stage"], frame["message"]
    if error and frame["state"] != State.PROCESSING and frame["state"] != State.CANCELLED:
        return _joined(": ", error["type"], error["message"])
    meaning = "" if frame["shown"] in _PLAIN else MEANINGS[frame["shown"]]
    return _joined(": ", "" if has_stages or stage == message else stage, message) or meaning


def count_text(frame: dict[str, Any]) -> str:
    """The small print: 620 of 1,000 rows · 25 rows/s · attempt 2"""
    is_running = frame["rate"] and frame["state"] not in FINAL
    rate = f"{_joined(' ', _number(frame['rate']), frame['unit'])}/s" if is_running else ""
    return _joined(" · ", _counted(frame), rate, f"attempt {frame['attempt']}" if frame["attempt"] > 1 else "")


def time_text(frame: dict[str, Any], now: datetime) -> str:
    """ "about 25 s left" of a running task, "starts in 2 min" of a scheduled one"""
    if (left := _left(frame, now)) is not None:
        return f"about {_span(left)} left"
    if frame["state"] != State.SCHEDULED or not frame["due_at"]:
        return ""
    seconds = (datetime.fromisoformat(frame["due_at"]) - now).total_seconds()
    what = "next attempt" if frame["shown"] == Shown.RETRYING else "starts"
    return f"{what} in {_span(seconds)}" if seconds > 0 else "due now"


def value_text(frame: dict[str, Any], now: datetime) -> str:
    """What a screen reader hears as the bar's value."""
    percent, left = percent_text(frame["progress"]), _left(frame, now)
    spoken = (
        percent and f"{percent[:-1]} percent",
        _counted(frame) if frame["total"] else "",
        "" if left is None else f"about {_span(left, long=True)} left",
    )
    return _joined(", ", *spoken) or WORDS[frame["shown"]]


def stage_list(names: list[str], frame: dict[str, Any], now: datetime) -> list[dict[str, str]]:
    """The stages in order, each name, state and text: those the page names, then those told besides."""
    told = frame["stages"] or ([[frame["stage"], None]] if frame["stage"] else [])
    is_over = frame["state"] in FINAL
    lasted = _lasted(told, (datetime.fromisoformat(frame["updated_at"]) if is_over else now).timestamp())
    everything = list(dict.fromkeys([*names, *(name for name, _ in told)]))
    current = told[-1][0] if told else None
    place = everything.index(current) if current in everything else -1
    found = []
    for at, name in enumerate(everything):
        if name == current and frame["state"] != State.COMPLETED:
            state = "stopped" if is_over else "running"
        elif at < place or frame["state"] == State.COMPLETED or name in lasted:
            # A task that tells when its stages began did not go through the others.
            state = "skipped" if lasted and name not in lasted else "done"
        else:
            state = "not reached" if is_over else "waiting"
        time = _clock(lasted[name]) if name in lasted else ""
        found.append({"name": name, "state": state, "text": _joined(" ", state, time)})
    return found


def _lasted(told: list[list[Any]], end: float) -> dict[str, float]:
    """Seconds by stage; each lasts until the next begins."""
    lasted: dict[str, float] = {}
    ends = [began for _, began in told[1:]] + [end]
    for (name, began), until in zip(told, ends, strict=False):
        if began:
            lasted[name] = lasted.get(name, 0.0) + (until or end) - began
    return lasted


def _left(frame: dict[str, Any], now: datetime) -> float | None:
    left: float | None = frame["eta_s"]
    if left is None or frame["state"] != State.PROCESSING:
        return None
    passed = (now - datetime.fromisoformat(frame["updated_at"])).total_seconds()
    return max(0.0, left - max(0.0, passed))


def _span(seconds: float, *, long: bool = False) -> str:
    """Steps of 5 s under a minute, 30 s under five, else minutes, days."""
    step = next(step for limit, step in ((57.5, 5), (285, 30), (84600, 60), (float("inf"), 86400)) if seconds < limit)
    rest = max(step, floor(seconds / step + 0.5) * step)
    parts = []
    for size, short, word in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {word}{'' if count == 1 else 's'}" if long else f"{count} {short}")
    return " ".join(parts)


def _clock(seconds: float) -> str:
    """0:42, 1:02:03"""
    minutes, rest = divmod(max(0, floor(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _counted(frame: dict[str, Any]) -> str:
    """620 of 1,000 rows"""
    if frame["done"] is None:
        return ""
    return _joined(
        " ", _number(frame["done"]), f"of {_number(frame['total'])}" if frame["total"] else "", frame["unit"]
    )


def _number(value: float) -> str:
    text = f"{value:,.1f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004 small numbers need their tenths
    return text.removesuffix(".0")


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)
