"""A worker is stopped (SIGSTOP) for longer than its heartbeat may be silent, and wakes up again."""

from __future__ import annotations

import pytest

from taskcenter.models import Report, Task
from tests.faults.stack import PATIENCE, Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import hold, mark


def freeze_and_let_another_take_over(stack: Stack) -> tuple[str, WorkerProcess, WorkerProcess]:
    sleeper = stack.worker()
    task_id = stack.enqueue(hold)
    stack.wait_begun(task_id)
    sleeper.freeze()
    rescuer = stack.worker()
    stack.wait_begun(task_id, attempt=2)
    require_fired(stack.book.ended(task_id) == [], "the first attempt was over before the stop")
    return task_id, sleeper, rescuer


def wake_and_wait_for_the_late_result(stack: Stack, task_id: str, sleeper: WorkerProcess) -> None:
    stack.book.open_gate(1)
    sleeper.thaw()
    wait_until(lambda: "superseded" in stack.events(task_id), "the late result was set aside")
    require_fired(1 in stack.book.ended(task_id), "the first attempt never came to its end")


@pytest.mark.parametrize("late", [True, False], ids=["after the second finished", "while the second runs"])
def test_a_superseded_result_does_not_land(stack: Stack, late: bool) -> None:
    task_id, sleeper, _ = freeze_and_let_another_take_over(stack)
    if late:
        stack.book.open_gate(2)
        stack.wait_final(task_id)
        wake_and_wait_for_the_late_result(stack, task_id, sleeper)
    else:
        wake_and_wait_for_the_late_result(stack, task_id, sleeper)
        assert Task.objects.get(id=task_id).state == "processing"
        stack.book.open_gate(2)
        stack.wait_final(task_id)

    stack.assert_completed([task_id])
    assert stack.book.ended(task_id) == [1, 2]
    assert Task.objects.get(id=task_id).attempt == 2
    draft = Report.objects.get(task_id=task_id, attempt=1)
    assert not draft.is_final


def test_a_worker_that_was_taken_for_dead_works_on_as_a_new_one(stack: Stack) -> None:
    task_id, sleeper, rescuer = freeze_and_let_another_take_over(stack)
    stack.book.open_gate(2)
    stack.wait_final(task_id)
    wait_until(lambda: sleeper.rows()[0].stopped_at, "the stopped worker was retired")
    stack.book.open_gate(1)
    sleeper.thaw()
    first, second = wait_until(lambda: len(sleeper.rows()) == 2 and sleeper.rows(), "it registered anew")
    assert first.stopped_at is not None
    assert second.is_alive

    assert rescuer.stop(PATIENCE) == 0
    after = stack.enqueue(mark)
    stack.wait_final(after)
    stack.assert_completed([task_id, after])
    assert Task.objects.get(id=after).worker_id == second.id
