"""The rows of TaskCenter, their constraints, and all of its SQL."""

from .checkpoint import Checkpoint
from .dashboard import Dashboard
from .duty import Duty
from .event import TaskEvent
from .failure import FailureGroup
from .minute import Minute
from .notification import Notification
from .queue import Queue
from .report import Report
from .share import Share
from .task import Task, TaskQuerySet, visible_to
from .worker import Worker

__all__ = [
    "Checkpoint",
    "Dashboard",
    "Duty",
    "FailureGroup",
    "Minute",
    "Notification",
    "Queue",
    "Report",
    "Share",
    "Task",
    "TaskEvent",
    "TaskQuerySet",
    "Worker",
    "visible_to",
]
