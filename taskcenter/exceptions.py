"""Everything TaskCenter raises, in one tree.

    TaskCenterError
    ├── AlreadyEnqueued           a live task holds the unique key
    ├── ConfigurationError        a setting that cannot work
    ├── InvalidPayload            arguments or a result that cannot be kept
    │   ├── NotJSON
    │   └── PayloadTooLarge
    ├── NotAllowed                a permission that is gone by now
    ├── Overtaken                 another attempt owns the task by now
    ├── UnknownDefinition         no code for a task's definition
    └── UnknownQueue              a queue that no setting names

    TaskInterrupt (BaseException) how a running task is stopped from outside
    ├── SoftTimeout               its time limit has passed
    ├── Cancelled                 somebody asked it to stop
    ├── Snoozed                   it asked to be run later
    └── HandedBack                its worker shuts down

The docstring of a class is its default message. `TaskInterrupt` derives from `BaseException` so that
a task's own `except Exception` cannot swallow it.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from .models import Task


class TaskCenterError(Exception):
    """Something went wrong in TaskCenter."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or cleandoc(type(self).__doc__ or ""))


class AlreadyEnqueued(TaskCenterError):
    """A live task holds this unique key."""

    def __init__(self, holder: Task) -> None:
        super().__init__(f"Task {holder.id} ({holder.label}) holds this unique key and is {holder.state}.")
        self.task = holder

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.task,))


class ConfigurationError(TaskCenterError, ImproperlyConfigured):
    """TaskCenter is not configured in a way that can work."""


class InvalidPayload(TaskCenterError, ValueError):
    """The value cannot be kept with the task."""


class NotJSON(InvalidPayload, TypeError):
    """The value is not JSON: use strings, finite numbers, booleans, None, lists and dicts."""


class PayloadTooLarge(InvalidPayload):
    """The value is larger than the setting allows; store it elsewhere and pass its key."""


class NotAllowed(TaskCenterError):
    """Whoever asked for this may not do it any more."""


class Overtaken(TaskCenterError):
    """Another attempt owns this task by now."""


class UnknownDefinition(TaskCenterError, LookupError):
    """No task function of that name is registered here."""


class UnknownQueue(TaskCenterError, LookupError):
    """No queue of that name is named in RQ_QUEUES or in TASKS."""


class TaskInterrupt(BaseException):
    """The task was stopped from outside."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or cleandoc(type(self).__doc__ or ""))


class SoftTimeout(TaskInterrupt):
    """The task ran past its time limit."""


class Cancelled(TaskInterrupt):
    """The task was asked to stop."""


class Snoozed(TaskInterrupt):
    """The task asked to be run later."""

    def __init__(self, delay: float) -> None:
        super().__init__(f"Snoozed for {delay:g} seconds.")
        self.delay = delay


class HandedBack(TaskInterrupt):
    """The worker is shutting down; the task will run again elsewhere."""
