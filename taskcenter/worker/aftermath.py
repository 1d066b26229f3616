"""What is written when a slot has died: the end of the attempt it was running, and what it had not begun."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from taskcenter import lifecycle
from taskcenter.exceptions import SoftTimeout
from taskcenter.models import Task, TaskEvent

from .page import Attempt, Running
from .story import delay_of

__all__ = ["Death", "close_attempt", "how_it_died", "settle"]

UNBEGUN = "Its slot died before it began."


@dataclass(frozen=True, slots=True)
class Death:
    """A slot that is no more: what it ran and held, what it was killed for, and how it died."""

    running: Running | None
    held: tuple[Attempt, ...]
    killed_for: str
    how: str

    @property
    def attempts(self) -> set[Attempt]:
        """All that it leaves behind."""
        running = {(self.running.task_id, self.running.attempt)} if self.running else set()
        return {*self.held, *running}


def settle(death: Death) -> None:
    """Write all of it. Every write is fenced, so that doing it twice is harmless."""
    for task_id, attempt in death.held:
        if death.running is None or (task_id, attempt) != (death.running.task_id, death.running.attempt):
            lifecycle.hand_back(task_id, attempt, UNBEGUN)
    if death.running is not None:
        close_attempt(death.running, death.killed_for, death.how)


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
        case "another" if task.max_crashes:
            lifecycle.hand_back(task.id, task.attempt, "Its slot was killed for the task before; it will run again.")
        case "timeout":
            text = f"It ran past its limit of {running.timeout:g} seconds, did not stop when told, and was killed."
            failure = lifecycle.Failure("", text, kind=TaskEvent.Kind.TIMED_OUT)
            lifecycle.fail(task, failure, delay=delay_of(task, SoftTimeout(text)))
        case _:
            failure = lifecycle.Failure("", _crash_text(killed_for, how), kind=TaskEvent.Kind.CRASHED)
            lifecycle.crash(task.id, task.attempt, failure)


def _crash_text(killed_for: str, how: str) -> str:
    match killed_for:
        case "shutdown":
            return "Its worker was shut down while it ran, and it must not be begun twice."
        case "another":
            return "Its slot was killed for the task before, and it must not be begun twice."
        case "memory":
            return how
    return f"Its process died: {how}."


def how_it_died(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has a number only
        return f"signal {-code}"
