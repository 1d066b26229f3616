"""PostgreSQL is shut down and started again, in order or at once, while tasks flow.

It is the run's own server, back at the same address; each pytest process has one of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest
from django.db import connection

from taskcenter.models import Report, Task
from tests.faults.plugs import (
    AWAY,
    BACK,
    END_AWAY,
    PARENT_AWAY,
    PARENT_BACK,
    assert_one_line_per_change,
    needs_postgres,
)
from tests.faults.stack import PATIENCE, Stack, WorkerProcess, is_gone, require_fired, wait_until
from tests.ledger.villains import linger, patient, sulk
from tests.servers import PostgresServer

pytestmark = needs_postgres


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    yield postgres_server
    if not postgres_server.answers():
        postgres_server.restart()
    connection.close()


def fast(server: PostgresServer) -> None:
    """As `pg_ctl stop -m fast`: what runs is rolled back, what is connected is told."""
    server.stop()


def immediate(server: PostgresServer) -> None:
    """As `pg_ctl stop -m immediate`: the next start has to replay the log."""
    running = psutil.Process(server.pid)
    os.kill(server.pid, signal.SIGQUIT)
    wait_until(lambda: is_gone(running), "the server is gone")


def start_again(server: PostgresServer) -> None:
    server.restart()
    connection.close()


def assert_it_said_so_once(worker: WorkerProcess) -> None:
    assert worker.stop(PATIENCE) == 0
    assert_one_line_per_change(worker.output())
    assert_one_line_per_change(worker.output(), PARENT_AWAY, PARENT_BACK)


@pytest.mark.parametrize("stop", [fast, immediate])
def test_what_waits_and_what_runs_is_done_all_the_same(
    stack: Stack, server: PostgresServer, stop: Callable[[PostgresServer], None]
) -> None:
    worker = stack.worker()
    [slot] = worker.slots()
    ids = [str(one.id) for one in patient.using(owner=stack.owner).enqueue_many([{}] * 150)]
    wait_until(lambda: Task.objects.finished().count() >= 20, "tasks flow")
    stop(server)
    start_again(server)
    require_fired(Task.objects.live().exists(), "all was over before the stop")
    stack.wait_final(*ids)
    require_fired(any(line in worker.output() for line in (AWAY, END_AWAY, PARENT_AWAY)), "nobody felt it")

    stack.assert_completed(ids)
    assert set(Task.objects.values_list("crashes", flat=True)) == {0}
    assert worker.slots() == [slot], "the slot did not live on"
    assert_it_said_so_once(worker)


def test_ends_that_come_while_it_is_away_are_written_when_it_is_back(stack: Stack, server: PostgresServer) -> None:
    worker = stack.worker(concurrency=2)
    good, bad = stack.enqueue(linger), stack.enqueue(sulk)
    wait_until(lambda: Report.objects.filter(task_id=good).exists(), "all but its return is done")
    stack.wait_begun(bad)
    server.stop()
    stack.book.open_gate(1)
    worker.wait_until(lambda: AWAY in worker.output(), "a slot could not write an end", PATIENCE)
    worker.wait_until(lambda: END_AWAY in worker.output(), "nor could the other", PATIENCE)
    worker.wait_until(lambda: PARENT_AWAY in worker.output(), "nor could the parent beat", PATIENCE)
    start_again(server)
    stack.wait_final(good, bad)

    stack.assert_completed([good])
    task = stack.assert_failed(bad)
    assert (task.failures, task.crashes, task.error_message) == (1, 0, "it sulks")
    assert [stack.book.begun(one) for one in (good, bad)] == [[1], [1]]
    worker.wait_until(lambda: BACK in worker.output(), "it is at work again", PATIENCE)
    assert worker.output().count(END_AWAY) == 1
    worker.wait_until(lambda: PARENT_BACK in worker.output(), "its parent is at work again", PATIENCE)
