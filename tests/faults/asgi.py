"""The site as its ASGI server has it, with everything that happens from time to time happening soon."""

from __future__ import annotations

from analysis.asgi import application
from taskcenter.consumers import TaskConsumer
from taskcenter.relay import readings

__all__ = ["application"]

TaskConsumer.LOOK_AGAIN = readings.LOOK_AGAIN = 1.0
TaskConsumer.CHECK_SESSION = 2.0
TaskConsumer.STUCK = 2.0
