"""A worker is killed -9 beside another one of its host, with the heartbeats of the defaults."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from datetime import timedelta

import pytest

from taskcenter.models import Task, Worker
from taskcenter.recovery import lifelines
from tests.faults.stack import Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import hold

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="lifelines are Linux's; elsewhere heartbeats tell")

PATIENT = {"DJANGO_SETTINGS_MODULE": "tests.patient_settings"}
SILENCE = timedelta(seconds=30)
"""STALE_AFTER of the defaults: no heartbeat can have told sooner."""
PROMISED = timedelta(seconds=45)


def worker_that_runs(stack: Stack) -> tuple[WorkerProcess, str]:
    """A worker in the middle of a task; whoever is up already must be busy."""
    worker, task_id = stack.worker(**PATIENT), stack.enqueue(hold)
    stack.wait_begun(task_id)
    require_fired(Task.objects.get(id=task_id).worker_id == worker.rows()[0].id, "another one runs it")
    return worker, task_id


def kill_parent(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    require_fired(worker.popen.wait(10) == -signal.SIGKILL, "the parent did not die of SIGKILL")


def test_its_task_runs_again_within_seconds(stack: Stack) -> None:
    victim, task_id = worker_that_runs(stack)
    [row] = victim.rows()
    stack.worker(**PATIENT)
    kill_parent(victim)
    stack.wait_begun(task_id, attempt=2)

    again = Task.objects.get(id=task_id)
    last_heard = Worker.objects.get(id=row.id).heartbeat_at
    assert again.attempted_at is not None
    assert again.attempted_at - last_heard < SILENCE, "it was the heartbeat that told"
    assert again.crashes == 1
    assert "Its worker is gone." in str(again.events.get(kind="crashed"))
    stack.book.open_gate(2)
    stack.wait_final(task_id)
    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == [1, 2]
    assert row.id not in lifelines.broken(), "its lifeline was left behind"


def test_one_that_is_stopped_is_left_alone_whoever_else_dies(stack: Stack) -> None:
    """The death of another one proves that somebody has looked."""
    sleeper, asleep = worker_that_runs(stack)
    sleeper.freeze()
    for _ in range(2):  # two looks, each well after the stop
        victim, task_id = worker_that_runs(stack)
        stack.worker(**PATIENT)
        kill_parent(victim)
        stack.wait_begun(task_id, attempt=2)

    assert stack.book.begun(asleep) == [1]
    assert sleeper.rows()[0].stopped_at is None
    assert Task.objects.get(id=asleep).attempt == 1
    sleeper.thaw()
    stack.book.open_gate(1)
    stack.wait_final(asleep)
    stack.assert_completed([asleep])


def test_the_next_worker_of_the_host_finds_what_the_only_one_left(stack: Stack) -> None:
    victim, task_id = worker_that_runs(stack)
    kill_parent(victim)
    wait_until(lambda: victim.rows()[0].id in lifelines.broken(), "its lifeline is broken")
    stack.worker(**PATIENT)
    stack.wait_begun(task_id, attempt=2)
    assert Worker.objects.get(id=victim.rows()[0].id).stopped_at is not None
    stack.book.open_gate(2)
    stack.wait_final(task_id)
    stack.assert_completed([task_id])


def test_without_a_lifeline_the_heartbeat_tells(stack: Stack) -> None:
    """As between two hosts: within 45 seconds, with no scheduler running."""
    victim, task_id = worker_that_runs(stack)
    [row] = victim.rows()
    cut_lifeline(row.id)
    stack.worker(**PATIENT)
    kill_parent(victim)
    stack.wait_begun(task_id, attempt=2)
    again = Task.objects.get(id=task_id)
    assert "Its worker stopped answering." in str(again.events.get(kind="crashed"))
    assert again.attempted_at is not None
    assert SILENCE <= again.attempted_at - Worker.objects.get(id=row.id).heartbeat_at < PROMISED
    stack.book.open_gate(2)
    stack.wait_final(task_id)
    stack.assert_completed([task_id])


def test_a_worker_that_ends_in_order_leaves_no_lifeline(stack: Stack) -> None:
    worker = stack.worker()
    [row] = worker.rows()
    require_fired(lifeline_of(row.id), "it never had one")
    assert worker.stop(60) == 0
    assert not lifeline_of(row.id)


def lifeline_of(incarnation: uuid.UUID) -> bool:
    folder = lifelines._folder()
    return folder is not None and (folder / lifelines._name(incarnation)).exists()


def cut_lifeline(incarnation: uuid.UUID) -> None:
    """As if its host were another one."""
    require_fired(lifeline_of(incarnation), "it has no lifeline")
    lifelines.forget([incarnation])
