"""Two `recover_tasks` at once: what both find lost is put right once."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from django.db import connection, transaction
from django.utils import timezone

from taskcenter.models import Task, TaskEvent, Worker
from tests.factories import make_worker
from tests.faults.stack import PATIENCE, Stack, require_fired, wait_until
from tests.ledger.tasks import mark
from tests.processes import Process, manage

LOST, RIVALS = 60, 2


def lose(stack: Stack, count: int) -> list[str]:
    """Tasks of a worker that fell silent an hour ago, each claimed by itself."""
    worker = make_worker(silent=3600)
    ids = [stack.enqueue(mark, number) for number in range(count)]
    begun = timezone.now() - timedelta(hours=1)
    for number, task_id in enumerate(ids):
        moment = begun + timedelta(milliseconds=number)
        Task.objects.filter(id=task_id).update(
            state="processing", attempt=1, worker_id=worker.id, started_at=moment, attempted_at=moment
        )
    return ids


@contextmanager
def nobody_may_write() -> Iterator[None]:
    """Rows may be read, but whoever wants to change one waits."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE taskcenter_task IN EXCLUSIVE MODE")
        else:
            Worker.objects.filter(id=uuid.uuid4()).update(pid=1)
        yield


def waiting(processes: list[Process]) -> bool:
    """Whether each has read what is lost, and wants to write."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
            return int(cursor.fetchone()[0]) >= len(processes)
    database = Path(urlsplit(os.environ["DATABASE_URL"]).path).name
    files = [psutil.Process(one.pid).open_files() for one in processes]
    return all(any(Path(file.path).name == database for file in opened) for opened in files)


def test_each_lost_task_is_recovered_once(stack: Stack) -> None:
    ids = lose(stack, LOST)
    environment = {"REDIS_URL": stack.url}
    command = manage("recover_tasks")
    with nobody_may_write():
        rivals = [
            Process(command, log=stack.directory / f"recover-{number}.log", **environment) for number in range(RIVALS)
        ]
        wait_until(lambda: waiting(rivals), "all of them want to write")
        require_fired(all(one.popen.poll() is None for one in rivals), "one was over before the other began")
    for one in rivals:
        assert one.wait(PATIENCE) == 0, one.output()

    told = TaskEvent.objects.filter(kind="recovered")
    assert sorted(map(str, told.values_list("task_id", flat=True))) == sorted(ids), "once each"
    assert set(Task.objects.values_list("state", "attempt", "crashes")) == {("pending", 1, 1)}
    assert Worker.objects.filter(stopped_at=None).count() == 0, "the dead worker was not retired"
    stack.worker(concurrency=2)
    stack.wait_final(*ids)

    stack.assert_completed(ids)
    assert set(Task.objects.values_list("attempt", flat=True)) == {2}
