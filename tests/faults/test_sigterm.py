"""SIGTERM: a deploy. What runs is given its grace, what cannot end is handed back, nothing is lost."""

from __future__ import annotations

import os
import signal

from taskcenter.models import Task
from tests.faults.stack import PATIENCE, Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import hold, last, mark, polite


def worker_in_the_middle_of(stack: Stack, task_id: str) -> WorkerProcess:
    worker = stack.worker()
    stack.wait_begun(task_id)
    require_fired(stack.book.ended(task_id) == [], "the task was over before the signal")
    return worker


def finish_elsewhere(stack: Stack, *task_ids: str) -> None:
    for attempt in (1, 2):
        stack.book.open_gate(attempt)
    stack.worker()
    stack.wait_final(*task_ids)
    stack.assert_completed(task_ids)


def test_a_task_that_ends_within_the_grace_completes(stack: Stack) -> None:
    task_id, waiting = stack.enqueue(last), stack.enqueue(mark)
    worker = worker_in_the_middle_of(stack, task_id)

    assert worker.stop(PATIENCE) == 0
    assert Task.objects.get(id=task_id).state == "completed"
    assert Task.objects.get(id=waiting).state == "pending", "a worker that ends claims nothing more"
    finish_elsewhere(stack, task_id, waiting)
    assert stack.book.begun(task_id) == [1]


def test_a_task_that_does_not_end_is_handed_back_without_blame(stack: Stack) -> None:
    task_id = stack.enqueue(hold)
    worker = worker_in_the_middle_of(stack, task_id)

    assert worker.stop(PATIENCE) == 0
    task = Task.objects.get(id=task_id)
    assert (task.state, task.interrupted, task.crashes, task.failures) == ("pending", 1, 0, 0)
    finish_elsewhere(stack, task_id)
    assert stack.book.begun(task_id) == [1, 2]
    assert stack.events(task_id) == ["handed_back"]


def test_a_task_that_listens_hands_itself_back(stack: Stack) -> None:
    task_id = stack.enqueue(polite)
    worker = worker_in_the_middle_of(stack, task_id)

    assert worker.stop(PATIENCE) == 0
    task = Task.objects.get(id=task_id)
    assert (task.state, task.interrupted, task.crashes, task.failures) == ("pending", 1, 0, 0)
    finish_elsewhere(stack, task_id)


def test_a_second_signal_ends_it_at_once(stack: Stack) -> None:
    task_id = stack.enqueue(hold)
    worker = worker_in_the_middle_of(stack, task_id)
    os.kill(worker.pid, signal.SIGSTOP)  # so that both signals are there before it looks
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        worker.popen.send_signal(number)

    assert worker.popen.wait(PATIENCE) == 0
    wait_until(lambda: Task.objects.get(id=task_id).state == "pending", "the task is handed back")
    assert worker.rows()[0].stopped_at is not None
    finish_elsewhere(stack, task_id)


def test_a_task_that_must_not_be_begun_twice_is_failed_not_handed_back(stack: Stack) -> None:
    task_id = stack.enqueue(hold.using(max_crashes=0))
    worker = worker_in_the_middle_of(stack, task_id)

    assert worker.stop(PATIENCE) == 0
    assert Task.objects.get(id=task_id).state == "failed"
    stack.assert_failed(task_id)
    assert stack.book.begun(task_id) == [1]
