"""One slot is killed -9 while it runs a task: the parent sees it die."""

from __future__ import annotations

import psutil
import pytest

from taskcenter.models import Task
from tests.faults.stack import PATIENCE, Stack, is_gone, require_fired, wait_until
from tests.ledger.tasks import fragile, hold, mark


def test_the_parent_notices_at_once_and_runs_the_task_again(stack: Stack) -> None:
    worker = stack.worker()
    task_id = stack.enqueue(hold)
    stack.wait_begun(task_id)
    [slot] = worker.slots()
    require_fired(stack.book.ended(task_id) == [], "the task was over before the kill")
    slot.kill()
    wait_until(lambda: is_gone(slot), "the slot is gone")
    stack.book.open_gate(2)
    waiting = stack.enqueue(mark)
    stack.wait_final(task_id, waiting)

    stack.assert_completed([task_id, waiting])
    assert stack.book.begun(task_id) == [1, 2]
    assert stack.events(task_id) == ["crashed"], "its own parent knew, so no sweep had to find it"
    assert worker.popen.poll() is None
    assert Task.objects.get(id=task_id).crashes == 1


def test_a_neighbour_slot_works_on(stack: Stack) -> None:
    worker = stack.worker(concurrency=2)
    first, second = stack.enqueue(hold), stack.enqueue(hold)
    stack.wait_begun(first)
    stack.wait_begun(second)
    victim = worker.slots()[0]
    victim.kill()
    wait_until(lambda: is_gone(victim), "the slot is gone")
    crashed = wait_until(lambda: Task.objects.filter(crashes=1).first(), "the crash is on the row")
    neighbour = second if str(crashed.id) == first else first

    for attempt in (1, 2):
        stack.book.open_gate(attempt)
    stack.wait_final(first, second)

    stack.assert_completed([first, second])
    assert stack.book.begun(neighbour) == [1]
    assert stack.book.begun(crashed.id) == [1, 2]


@pytest.mark.parametrize("crashes", [1, 2])
def test_a_good_task_survives_crashes_while_some_are_left(stack: Stack, crashes: int) -> None:
    stack.worker()
    task_id = stack.enqueue(fragile, crashes)
    stack.wait_final(task_id)

    require_fired(Task.objects.get(id=task_id).crashes == crashes, "the task did not crash")
    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == list(range(1, crashes + 2))


def test_no_process_outlives_its_worker(stack: Stack) -> None:
    worker = stack.worker(concurrency=2)
    family = [*worker.slots(), psutil.Process(worker.pid)]

    assert worker.stop(PATIENCE) == 0

    assert [process.pid for process in family if not is_gone(process)] == []
