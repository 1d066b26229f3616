"""The tests' settings for a worker of one test: what it does with foreign jobs, and tasks that look around."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403 a settings module is its names
from tests.settings import REDIS_URL, TASKCENTER

TASKCENTER = {
    **TASKCENTER,
    "FOREIGN_JOBS": os.environ.get("FOREIGN_JOBS", "refuse"),
    "TASK_MODULES": ("tests.ledger.probes",),
}
RQ_QUEUES = {
    "default": {"URL": REDIS_URL},
    "analysis": {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer"},
}
