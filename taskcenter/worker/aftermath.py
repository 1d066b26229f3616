"""What is written when a slot has died: the end of the attempt it was running."""

from __future__ import annotations

import os
import signal

from taskcenter import lifecycle
from taskcenter.exceptions import SoftTimeout
from taskcenter.models import Task, TaskEvent

from .page import Running
from .story import delay_of

__all__ = ["close_attempt", "how_it_died"]


def close_attempt(running: Running, killed_for: str, how: str) -> None:
    """End the attempt that a dead slot was running, by what it was killed for, or as a crash."""
    fence = Task.objects.of_attempt(running.task_id, running.attempt)
    task = fence.first()
    if task is None:
        return
    match killed_for:
        case "cancel":
            lifecycle.cancelled(task)
        case "shutdown" if task.max_crashes:
            lifecycle.hand_back(task.id, task.attempt, "Its worker was shut down; it will run again.")
        case "timeout":
            text = f"It ran past its limit of {running.timeout:g} seconds, did not stop when told, and was killed."
            failure = lifecycle.Failure("", text, kind=TaskEvent.Kind.TIMED_OUT)
            lifecycle.fail(task, failure, delay=delay_of(task, SoftTimeout(text)))
        case _:
            text = f"Its process died: {how}."
            if killed_for:
                text = "Its worker was shut down while it ran, and it must not be begun twice."
            lifecycle.crash(task.id, task.attempt, lifecycle.Failure("", text, kind=TaskEvent.Kind.CRASHED))


def how_it_died(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"
