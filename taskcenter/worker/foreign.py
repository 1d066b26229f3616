"""RQ jobs that are not ours: refused where an operator sees it, or run as RQ runs them; never dropped.

What other people's code has put into Redis may be malformed. It must not end a slot, and not break the
pages of django-rq on which an operator would find it.
"""

from __future__ import annotations

import logging
import time
import zlib
from datetime import UTC, datetime
from typing import Any

import redis
from rq.defaults import DEFAULT_FAILURE_TTL
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.utils import as_text, utcformat

from taskcenter.conf import get_settings

from . import horse

__all__ = ["REASON", "handle", "refuse", "settle"]

logger = logging.getLogger("taskcenter")

REASON = (
    "TaskCenter's worker does not run RQ jobs that are not task pointers. Run this job with a stock RQ worker, "
    "make its function a task, or set TASKCENTER['FOREIGN_JOBS'] = 'run'."
)
UNREADABLE = "unreadable_"
"""What a field is called once RQ could not read it."""

_in_hand: dict[str, str] = {}
"""Jobs taken off their queue and not dealt with yet, with that queue's name: what an outage leaves to do."""


def handle(client: redis.Redis, job_id: str, queue: str, worker_name: str = "") -> None:
    """Deal with one job that was taken off its queue. Raises only the errors of an unreachable Redis.

    The job is then kept in mind, and dealt with by the next call of this or of `settle()`.
    """
    _in_hand[job_id] = queue
    settle(client, worker_name)


def settle(client: redis.Redis, worker_name: str = "") -> None:
    """Deal with what an outage has left; raises as handle() does."""
    for job_id, queue in list(_in_hand.items()):
        if get_settings().FOREIGN_JOBS == "run":
            _run(client, job_id, queue, worker_name)
        else:
            refuse(client, job_id, queue)
        _in_hand.pop(job_id, None)


def refuse(client: redis.Redis, job_id: str, queue: str, reason: str = REASON) -> None:
    """Move a job to RQ's registry of failed jobs, with the reason. Its payload is not read, only kept."""
    key = Job.key_for(job_id)
    kind = as_text(client.type(key))
    if kind == "none":
        logger.warning("RQ job %s on queue %s has no hash any more; there is nothing to run", job_id, queue)
        return
    logger.warning("Refused RQ job %s on queue %s: %s", job_id, queue, reason.partition(". ")[0])
    pipeline = client.pipeline()
    if kind == "hash":
        _mend(client, pipeline, key)
        pipeline.hset(key, mapping=_end(reason))
        pipeline.expire(key, DEFAULT_FAILURE_TTL)
    pipeline.zadd(FailedJobRegistry(queue, connection=client).key, {job_id: time.time() + DEFAULT_FAILURE_TTL})
    pipeline.execute()


def _run(client: redis.Redis, job_id: str, queue: str, worker_name: str) -> None:
    """Have RQ's own code run it, once; what RQ cannot even read is refused."""
    try:
        worker, job = horse.saddle(job_id, queue, worker_name)
    except NoSuchJobError:
        refuse(client, job_id, queue, "RQ cannot read this job: it has no payload.")
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        raise
    except Exception as error:  # noqa: BLE001 whatever is wrong with somebody else's data
        refuse(client, job_id, queue, f"RQ cannot read this job: {type(error).__name__}: {error}")
    else:
        _in_hand.pop(job_id, None)  # from here on a second try could run it twice
        worker.ride(job)


def _end(reason: str) -> dict[Any, Any]:
    ended = utcformat(datetime.now(UTC))
    return {"status": "failed", "ended_at": ended, "exc_info": zlib.compress(reason.encode())}


def _mend(client: redis.Redis, pipeline: Any, key: str) -> None:
    """Set aside each field that RQ cannot read: one of them would break the whole list of failed jobs."""
    fields = {as_text(name): value for name, value in client.hgetall(key).items()}
    for name, value in fields.items():
        if name != "data" and not _is_readable(client, name, value):
            pipeline.hdel(key, name)
            pipeline.hset(key, UNREADABLE + name, value)
    if "data" not in fields:
        pipeline.hset(key, "data", b"")


def _is_readable(client: redis.Redis, name: str, value: Any) -> bool:
    try:
        Job("probe", connection=client).restore({b"data": b"", name.encode(): value})
    except Exception:  # noqa: BLE001 RQ raises whatever the field makes it raise
        return False
    return True
