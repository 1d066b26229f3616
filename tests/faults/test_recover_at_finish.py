"""A task is recovered in the very moment in which it ends: whoever comes second finds that it is too late.

The worker's parent is stopped, so that nobody beats, while its slots work on: taken for dead, but not dead.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psutil
import pytest
from django.db import connection, connections, transaction

from taskcenter.models import Report, Task, TaskEvent
from taskcenter.models.worker import stale_before
from taskcenter.recovery import Swept, TaskRecovery
from tests.faults.plugs import ask, needs_postgres
from tests.faults.stack import Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import hold
from tests.ledger.villains import linger

SLOTS = 4


def seem_dead(stack: Stack, work: Any = hold) -> tuple[list[str], WorkerProcess, psutil.Process]:
    """Tasks that run in the slots of a parent that beats no more."""
    worker = stack.worker(concurrency=SLOTS)
    ids = [stack.enqueue(work) for _ in range(SLOTS)]
    for task_id in ids:
        stack.wait_begun(task_id)
    parent = psutil.Process(worker.pid)
    parent.suspend()
    wait_until(lambda: lost() == SLOTS, "its tasks count as lost")
    return ids, worker, parent


def lost() -> int:
    return Task.objects.lost(stale_before()).count()


def sweep() -> Swept:
    try:
        return TaskRecovery().recover_stuck_tasks()
    finally:
        connections.close_all()


def recover_each(ids: list[str]) -> None:
    """Unlike a sweep, which leaves out what is locked, this waits."""
    try:
        for task_id in ids:
            TaskRecovery().recover_task(UUID(task_id))
    finally:
        connections.close_all()


def recovered() -> int:
    return TaskEvent.objects.filter(kind="recovered").count()


def assert_each_ended_once(stack: Stack, ids: list[str]) -> None:
    stack.assert_completed(ids)
    for task_id in ids:
        task = Task.objects.get(id=task_id)
        assert stack.book.begun(task_id) == list(range(1, task.attempt + 1))
        assert ("recovered" in stack.events(task_id)) == (task.attempt == 2)
        assert task.crashes == task.attempt - 1


def test_one_that_ended_first_is_not_recovered(stack: Stack) -> None:
    ids, _, parent = seem_dead(stack)
    stale = list(TaskRecovery().lost_tasks())
    require_fired(len(stale) == SLOTS, "they were not lost")
    stack.book.open_gate(1)
    stack.wait_final(*ids)
    outcomes = [TaskRecovery().recover_task(task.id) for task in stale]
    sweep()
    parent.resume()

    assert not any(outcomes)
    assert recovered() == 0
    assert_each_ended_once(stack, ids)
    stack.assert_nothing_ran_twice()


def test_one_that_was_recovered_first_does_not_end_twice(stack: Stack) -> None:
    ids, _, parent = seem_dead(stack)
    assert len(sweep().recovered) == SLOTS
    stack.book.open_gate(1)
    wait_until(lambda: all(1 in stack.book.ended(one) for one in ids), "the first attempts come to their end")
    wait_until(lambda: all("superseded" in stack.events(one) for one in ids), "they are set aside")
    parent.resume()
    stack.book.open_gate(2)
    stack.wait_final(*ids)

    require_fired(recovered() == SLOTS, "nothing was recovered")
    assert_each_ended_once(stack, ids)
    assert set(Task.objects.values_list("attempt", flat=True)) == {2}


@needs_postgres
@pytest.mark.parametrize("first", ["recovery", "the ends"])
def test_both_at_once_end_as_one_of_them(stack: Stack, first: str) -> None:
    """Ends and recovery wait for the same rows, in this order; then all are let go at once."""
    ids, _, parent = seem_dead(stack, linger)
    wait_until(lambda: Report.objects.count() == SLOTS, "all but their return is done")
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            list(Task.objects.select_for_update().filter(id__in=ids))
            if first == "the ends":
                stack.book.open_gate(1)
                wait_until(lambda: blocked() >= SLOTS, "the ends wait for their rows")
            swept = pool.submit(recover_each, ids)
            wait_until(lambda: blocked() > (SLOTS if first == "the ends" else 0), "recovery waits for a row")
            if first == "recovery":
                stack.book.open_gate(1)
                wait_until(lambda: blocked() > SLOTS, "and so do the ends")
            require_fired(all(stack.book.ended(one) for one in ids), "a body was not over")
        swept.result()
    connection.close()
    parent.resume()
    stack.book.open_gate(2)
    stack.wait_final(*ids)

    assert_each_ended_once(stack, ids)


def blocked() -> int:
    return ask("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
