"""What should be gone at the end of a run: pointers, keys, rows, connections (I4 and I9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import redis
from django.db import connection

from taskcenter.models import Worker
from taskcenter.pointers import queue_key
from taskcenter.recovery import TaskRecovery

from .generator import Promises
from .plan import QUEUES
from .verdict import Violation

__all__ = ["complaints", "connections_open", "keys", "pointers_listed", "sweep", "unretired"]

LASTING = ("rq:queues", "rq:workers", "rq:scheduler", "rq:clean_registries", "rq:scheduler-lock")
"""RQ's own keys that are no more for a million tasks than for one."""


def pointers_listed(client: redis.Redis) -> int:
    """How many pointers stand in the queues."""
    return sum(int(client.llen(queue_key(queue))) for queue in QUEUES)


def unretired() -> int:
    """Worker rows that nobody has ended."""
    return Worker.objects.filter(stopped_at=None).count()


def sweep() -> int:
    """What the scheduler does once a day: delete pointers that lost their way; how many."""
    return TaskRecovery().delete_orphans()


def keys(client: redis.Redis, promises: Promises) -> Iterator[Violation]:
    """What is in Redis and should not be, after a sweep."""
    for raw in client.scan_iter(count=1000):
        key = raw.decode()
        if key.startswith("rq:job:"):
            yield "I4", f"the hash {key} outlived its task"
        elif key.startswith("progress:"):
            if UUID(key.removeprefix("progress:")) not in promises.kinds:
                yield "I9", f"{key} is of a task that nobody committed"
            if client.ttl(key) < 0:
                yield "I9", f"{key} stays for ever"
        elif not key.startswith(LASTING) and client.ttl(key) < 0:
            yield "I9", f"{key} stays for ever"


def complaints(logs: Path) -> Counter[str]:
    """The last line of each traceback in the logs."""
    found: Counter[str] = Counter()
    for path in logs.iterdir():
        inside = False
        with path.open(errors="replace") as lines:
            for line in lines:
                if line.startswith("Traceback "):
                    inside = True
                elif inside and not line.startswith((" ", "\n")):
                    found[line.strip()[:160]] += 1
                    inside = False
    return found


def connections_open() -> int:
    """Connections to the database beside our own; 0 where there are none to count."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0
