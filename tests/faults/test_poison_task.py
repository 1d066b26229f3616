"""A task that kills every process that runs it."""

from __future__ import annotations

from taskcenter.models import Task
from tests.faults.stack import Stack, require_fired
from tests.ledger.tasks import mark, poison


def test_it_is_failed_after_its_crashes_and_the_worker_goes_on(stack: Stack) -> None:
    worker = stack.worker()
    before, poisonous, after = stack.enqueue(mark), stack.enqueue(poison), stack.enqueue(mark)
    stack.wait_final(before, poisonous, after)

    task = stack.assert_failed(poisonous)
    require_fired(task.crashes, "the task never crashed")
    assert task.crashes == task.max_crashes == 3
    assert stack.book.begun(poisonous) == [1, 2, 3]
    assert "exit code 7" in task.error_message
    stack.assert_completed([before, after])
    assert set(Task.objects.filter(id__in=[before, after]).values_list("crashes", flat=True)) == {0}
    assert worker.popen.poll() is None, "the worker died of a task"


def test_a_task_that_may_not_crash_is_begun_at_most_once(stack: Stack) -> None:
    stack.worker()
    task_id = stack.enqueue(poison.using(max_crashes=0))
    stack.wait_final(task_id)

    task = stack.assert_failed(task_id)
    assert stack.book.begun(task_id) == [1]
    assert task.attempt == 1
