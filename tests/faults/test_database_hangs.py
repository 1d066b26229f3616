"""The database is there, but a lock keeps it from answering: the worker's parent must not wait with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from django.db import connection, transaction

from taskcenter.models import Task, TaskEvent, Worker
from tests.faults.stack import Stack, WorkerProcess, is_gone, require_fired, wait_until
from tests.ledger.tasks import deaf, hold, mark

AWAY = "The database does not answer the worker's parent"
BACK = "The database answers the worker's parent again"


@contextmanager
def locked(*, whole: bool = False) -> Iterator[None]:
    """Workers' rows, or all that a worker writes, belong to this transaction. SQLite locks everything at once."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            tables = ["taskcenter_worker", "taskcenter_task"] if whole else []
            with connection.cursor() as cursor:
                for table in tables:
                    cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            if not whole:
                list(Worker.objects.select_for_update())
        yield


def in_the_middle(stack: Stack, task_id: str) -> tuple[WorkerProcess, psutil.Process]:
    worker = stack.worker()
    stack.wait_begun(task_id)
    [slot] = worker.slots()
    return worker, slot


def wait_stuck(worker: WorkerProcess) -> None:
    """Until the parent has run into the lock: without that a case has shown nothing."""
    worker.wait_until(lambda: AWAY in worker.output(), "its parent ran into the lock", 60)


def test_a_locked_worker_row_does_not_keep_a_task_alive_past_its_deadline(stack: Stack) -> None:
    task_id = stack.enqueue(deaf.using(timeout=8))
    worker, slot = in_the_middle(stack, task_id)
    with locked():
        wait_stuck(worker)
        require_fired(not is_gone(slot), "the deadline had passed before the lock was felt")
        wait_until(lambda: is_gone(slot), "the slot was killed while the row is locked")
    stack.wait_final(task_id)

    task = stack.assert_failed(task_id)
    assert (task.failures, task.crashes) == (1, 0)
    assert "limit of 8 seconds" in task.error_message
    worker.wait_until(lambda: BACK in worker.output(), "it beats again", 60)


@pytest.mark.parametrize("crashes", [3, 0], ids=["may run again", "at most once"])
def test_a_death_is_written_when_the_database_answers_again(stack: Stack, crashes: int) -> None:
    task_id = stack.enqueue(hold.using(max_crashes=crashes))
    worker, slot = in_the_middle(stack, task_id)
    with locked(whole=True):
        slot.kill()
        wait_until(lambda: is_gone(slot), "the slot is gone")
        wait_stuck(worker)
    wait_until(lambda: Task.objects.get(id=task_id).crashes, "its crash is on the row")
    if crashes:
        stack.book.open_gate(2)
    stack.wait_final(task_id)

    if crashes:
        stack.assert_completed([task_id])
        assert stack.book.begun(task_id) == [1, 2]
        assert Task.objects.get(id=task_id).crashes == 1
    else:
        stack.assert_failed(task_id)
        assert stack.book.begun(task_id) == [1]
    assert not TaskEvent.objects.filter(task_id=task_id, kind=TaskEvent.Kind.HANDED_BACK).exists()


def test_each_change_is_one_line_and_the_worker_lives_on(stack: Stack) -> None:
    worker = stack.worker()
    with locked(whole=True):
        wait_stuck(worker)
        spent = psutil.Process(worker.pid).num_ctx_switches().voluntary
        # It sleeps ten times a second between its tries, so this is some ten seconds of outage.
        wait_until(lambda: psutil.Process(worker.pid).num_ctx_switches().voluntary > spent + 50, "it tries on")
    worker.wait_until(lambda: BACK in worker.output(), "it is back", 60)
    after = stack.enqueue(mark)
    stack.wait_final(after)

    assert (worker.output().count(AWAY), worker.output().count(BACK)) == (1, 1), worker.output()
    stack.assert_completed([after])
    assert worker.popen.poll() is None
