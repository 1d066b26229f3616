"""FLUSHALL: Redis forgets everything, the database nothing."""

from __future__ import annotations

import uuid

from django.utils import timezone

from taskcenter.models import Task
from taskcenter.pointers import hashes, listed, push
from taskcenter.recovery import TaskRecovery
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark


def flush(stack: Stack) -> None:
    require_fired(stack.waiting_pointers(), "there was nothing in Redis to lose")
    with stack.redis() as client:
        client.flushall()
    require_fired(not stack.waiting_pointers(), "pointers are still there")


def test_tasks_that_wait_and_run_all_complete(stack: Stack) -> None:
    stack.worker()
    running = stack.enqueue(hold)
    stack.wait_begun(running)
    waiting = [stack.enqueue(mark, n) for n in range(20)]
    flush(stack)
    stack.book.open_gate(1)
    stack.wait_final(running, *waiting)

    stack.assert_completed([running, *waiting])
    stack.assert_nothing_ran_twice()


def test_tasks_without_any_pointer_are_found_by_a_worker_that_comes_later(stack: Stack) -> None:
    waiting = [stack.enqueue(mark, n) for n in range(5)]
    flush(stack)
    stack.worker()
    stack.wait_final(*waiting)

    stack.assert_completed(waiting)


def test_a_sweep_puts_the_missing_pointers_back(stack: Stack) -> None:
    for number in range(5):
        stack.enqueue(mark, number)
    flush(stack)

    assert TaskRecovery().recover_stuck_tasks().pointers_pushed == 5
    assert stack.waiting_pointers() == 5
    assert TaskRecovery().recover_stuck_tasks().pointers_pushed == 0


def test_reconcile_puts_back_what_was_lost_and_clears_away_what_is_over(stack: Stack) -> None:
    """FLUSHALL while a worker is down: then the pointers of new tasks stand beside those that are missing."""
    waiting = [stack.enqueue(mark, n) for n in range(20)]
    flush(stack)
    later = stack.enqueue(mark, 20)
    push([(uuid.uuid4(), "default")])  # of a task that was deleted meanwhile

    done = TaskRecovery().reconcile()
    [default] = [one for one in done.queues if one.queue == "default"]
    assert (default.waiting, default.pointers, default.orphans, default.pushed) == (21, 2, 1, 20)
    assert set(listed("default") or ()) == {uuid.UUID(one) for one in [*waiting, later]}
    assert not TaskRecovery().reconcile().did_anything
    stack.worker()
    stack.wait_final(*waiting, later)
    stack.assert_completed([*waiting, later])


def test_after_a_sweep_pointers_and_rows_agree(stack: Stack) -> None:
    """Due work has pointers again, and those of tasks that have ended are gone (I4).

    While orphans stand in a list they wake as well as others: a sweep counts them.
    """
    lost = [stack.enqueue(mark, number) for number in range(5)]
    flush(stack)
    cancelled = [stack.enqueue(mark, number) for number in range(3)]
    for task_id in cancelled:
        Task.objects.filter(id=task_id).update(state="cancelled", finished_at=timezone.now())  # by one who cannot push
    require_fired(stack.waiting_pointers() == 3, "there are no orphans")
    assert TaskRecovery().recover_stuck_tasks().pointers_pushed == 2
    assert TaskRecovery().delete_orphans() == 3
    assert TaskRecovery().recover_stuck_tasks().pointers_pushed == 3

    assert {str(one) for one in listed("default") or ()} == set(lost)
    assert {str(one) for one in hashes("default")} == set(lost)
    stack.worker()
    stack.wait_final(*lost)
    stack.assert_completed(lost)
    wait_until(lambda: not stack.waiting_pointers() and not list(hashes("default")), "nothing is left in Redis")
