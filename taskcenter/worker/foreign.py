"""RQ jobs that are not ours: put where an operator sees them, never run, never dropped."""

from __future__ import annotations

import logging
import time
import zlib
from datetime import UTC, datetime

import redis
from rq.defaults import DEFAULT_FAILURE_TTL
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.utils import utcformat

__all__ = ["refuse"]

logger = logging.getLogger("taskcenter")

REASON = (
    "TaskCenter's worker does not run RQ jobs that are not task pointers. Run this job with a stock RQ worker, "
    "or make its function a task."
)


def refuse(client: redis.Redis, job_id: str, queue: str) -> None:
    """Move a job to RQ's registry of failed jobs, with the reason; its hash is not read, only marked."""
    key = Job.key_for(job_id)
    logger.warning("Refused RQ job %s on queue %s: not a task pointer", job_id, queue)
    if not client.exists(key):
        return
    registry = FailedJobRegistry(queue, connection=client)
    ended = utcformat(datetime.now(UTC))
    pipeline = client.pipeline()
    pipeline.hset(key, mapping={"status": "failed", "ended_at": ended, "exc_info": zlib.compress(REASON.encode())})
    pipeline.zadd(registry.key, {job_id: time.time() + DEFAULT_FAILURE_TTL})
    pipeline.execute()
