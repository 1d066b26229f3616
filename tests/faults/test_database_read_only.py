"""PostgreSQL takes no writes for a while: a full disk, or a primary that has become a standby."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from taskcenter.models import Report
from tests.faults.plugs import AWAY, END_AWAY, PARENT_AWAY, PARENT_BACK, assert_one_line_per_change, needs_postgres
from tests.faults.stack import PATIENCE, Stack, WorkerProcess, wait_until
from tests.ledger.tasks import mark
from tests.ledger.villains import linger, sulk


@contextmanager
def read_only() -> Iterator[None]:
    """Every session of the server, but for this one."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        cursor.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM RESET default_transaction_read_only")
            cursor.execute("SELECT pg_reload_conf()")
            cursor.execute("RESET default_transaction_read_only")


def wait_until_felt(worker: WorkerProcess, *words: str) -> None:
    for line in words:
        worker.wait_until(lambda it=line: it in worker.output(), f"it says: {line}", PATIENCE)


@needs_postgres
def test_what_ends_meanwhile_is_written_afterwards(stack: Stack) -> None:
    worker = stack.worker(concurrency=2)
    slots = wait_until(lambda: len(worker.slots()) == 2 and worker.slots(), "both slots are there")
    good, bad = stack.enqueue(linger), stack.enqueue(sulk)
    wait_until(lambda: Report.objects.filter(task_id=good).exists(), "all but its return is done")
    stack.wait_begun(bad)
    with read_only():
        stack.book.open_gate(1)
        wait_until_felt(worker, AWAY, END_AWAY, PARENT_AWAY)
    stack.wait_final(good, bad)

    stack.assert_completed([good])
    task = stack.assert_failed(bad)
    assert (task.failures, task.crashes, task.error_message) == (1, 0, "it sulks")
    assert worker.slots() == slots


@needs_postgres
def test_what_waits_meanwhile_runs_afterwards(stack: Stack) -> None:
    worker = stack.worker()
    with read_only():
        waiting = [stack.enqueue(mark, number) for number in range(5)]
        wait_until_felt(worker, AWAY, PARENT_AWAY)
    stack.wait_final(*waiting)

    stack.assert_completed(waiting)
    assert [stack.book.begun(one) for one in waiting] == [[1]] * 5
    wait_until_felt(worker, PARENT_BACK)
    assert worker.stop(PATIENCE) == 0
    assert_one_line_per_change(worker.output())
    assert_one_line_per_change(worker.output(), PARENT_AWAY, PARENT_BACK)
