"""Waiting tasks whose definition no worker of their queue has known for long."""

from __future__ import annotations

from datetime import datetime

from taskcenter.models import Queue, Worker
from taskcenter.models.unknown import waiting_definitions

__all__ = ["out_of_reach"]

BATCH = 500


def out_of_reach(since: datetime) -> dict[str, list[str]]:
    """Waiting definitions, each with the queues of which no worker has known it since then.

    A deploy must lose nothing. So a queue counts only when its living workers (one at least) have all
    been up for as long, and when it moves; and so does every worker heard of since, dead by now or
    not: one that knows the definition may be on its way back.
    """
    waiting = waiting_definitions()
    settled = _settled_queues(since) if waiting else {}
    missing = {name: [queue for queue, known in settled.items() if name not in known] for name in waiting}
    missing = {name: queues for name, queues in missing.items() if queues}
    if missing:
        _take_out_the_remembered(missing, since)
    return {name: queues for name, queues in missing.items() if queues}


def _settled_queues(since: datetime) -> dict[str, set[str]]:
    """What living workers know, for each queue that moves and whose living workers are all older than that."""
    known: dict[str, set[str]] = {}
    unsettled = set(Queue.objects.paused().values_list("name", flat=True))
    for worker in Worker.objects.alive():
        if worker.started_at > since:
            unsettled.update(worker.queues)
        for queue in worker.queues:
            known.setdefault(queue, set()).update(worker.definitions)
    return {queue: names for queue, names in known.items() if queue not in unsettled}


def _take_out_the_remembered(missing: dict[str, list[str]], since: datetime) -> None:
    """Leave out what a worker knew that has fallen silent or stopped since then."""
    heard = Worker.objects.filter(heartbeat_at__gt=since).values_list("queues", "definitions")
    for queues, definitions in heard.iterator(chunk_size=BATCH):
        for name in missing.keys() & set(definitions):
            missing[name] = [queue for queue in missing[name] if queue not in queues]
