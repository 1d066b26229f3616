"""PostgreSQL breaks a turn off: a deadlock, or a serialisation failure."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from taskcenter.models import Report, Task
from tests.faults.company import enqueue_at_once, fresh, practise
from tests.faults.plugs import AWAY, assert_one_line_per_change, needs_postgres, refusing
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import mark
from tests.ledger.villains import linger

pytestmark = needs_postgres

ENDS = "UPDATE ON taskcenter_task", "NEW.state = 'completed'"
FEW, MANY = 2, 5
"""Refusals that a turn made again gets over by itself, and more than that."""


@pytest.mark.parametrize("times", [FEW, MANY], ids=["a few times", "many times"])
@pytest.mark.parametrize("sqlstate", ["40P01", "40001"], ids=["deadlock", "serialisation failure"])
def test_the_ends_of_a_batch_are_written_all_the_same(stack: Stack, sqlstate: str, times: int) -> None:
    worker = stack.worker()
    practise(stack)
    with refusing(*ENDS, sqlstate, times=times) as seen:
        ids = enqueue_at_once(stack, *[mark] * 8)
        stack.wait_final(*ids)
        require_fired(seen() > times, "nothing was refused")

    stack.assert_completed(ids)
    assert all(len(stack.book.begun(one)) == 1 for one in ids if not fresh(one).interrupted)
    assert (AWAY in worker.output()) <= (times == MANY), "it gave up too early"
    assert_one_line_per_change(worker.output())


def test_a_real_deadlock_costs_neither_side_its_work(stack: Stack) -> None:
    """Our end holds the task and wants the report; a stranger holds the report and wants the task."""
    worker = stack.worker()
    task_id = stack.enqueue(linger)
    stack.wait_begun(task_id)
    wait_until(lambda: Report.objects.filter(task_id=task_id).exists(), "its report is there")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '1min'")  # so that the other one is broken off
        Report.objects.select_for_update().get(task_id=task_id)
        stack.book.open_gate(1)
        wait_until(is_somebody_waiting, "the slot waits for the report")
        Task.objects.filter(id=task_id).update(title="changed by a stranger")
    stack.wait_final(task_id)

    require_fired(deadlocks(), "there was no deadlock")
    stack.assert_completed([task_id])
    assert fresh(task_id).title == "changed by a stranger"
    assert AWAY not in worker.output(), "the turn was not made again"


def is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def deadlocks() -> bool:
    def counted() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            return bool(cursor.fetchone()[0])

    return wait_until(counted, "PostgreSQL counts a deadlock")
