"""TaskCenter: long work in Django. Your database remembers, Redis wakes, browsers watch.

    your code ── enqueue ──▶ Task row (pending) ── on commit ──▶ pointer in Redis
                                  │                                   │ wakes
                                  ▼                                   ▼
    browser ◀─ consumer ◀─ relay ◀── progress ──── a worker's slot claims, runs, finishes
       ▲                                                │
       └──────────── report, notification ◀─────────────┘      recovery puts right what broke

This module names what a task's author needs, and imports nothing that asks for loaded apps. The other
public rooms are `taskcenter.models`, `progress`, `reports`, `charts`, `queues`, `conf`, `testing`, `urls`.
"""

from .definitions import Exponential, TaskDefinition, exponential, task
from .exceptions import (
    AlreadyEnqueued,
    Cancelled,
    ConfigurationError,
    InvalidPayload,
    SoftTimeout,
    TaskCenterError,
    UnknownDefinition,
    UnknownQueue,
)
from .states import FINAL, LIVE, State

__all__ = [
    "FINAL",
    "LIVE",
    "AlreadyEnqueued",
    "Cancelled",
    "ConfigurationError",
    "Exponential",
    "InvalidPayload",
    "SoftTimeout",
    "State",
    "TaskCenterError",
    "TaskDefinition",
    "UnknownDefinition",
    "UnknownQueue",
    "exponential",
    "task",
]
