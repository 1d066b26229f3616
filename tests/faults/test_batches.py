"""Short tasks are claimed several at a time: nobody waits for a slow one, nobody suffers for a bad one."""

from __future__ import annotations

import pytest

from taskcenter.models import Task
from tests.faults.company import TRIES, enqueue_at_once, fresh, practise, were_claimed_together
from tests.faults.stack import PATIENCE, Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark, poison, regicide


def begun_together(stack: Stack) -> list[str]:
    """Five tasks of one claim, of which the third runs until its gate is opened."""
    for _ in range(TRIES):
        practise(stack)
        ids = enqueue_at_once(stack, mark, mark, hold, mark, mark)
        [attempt] = wait_until(lambda: stack.book.begun(ids[2]), "the slow one has begun")  # noqa: B023 at once
        if attempt == 1 and were_claimed_together(ids[2], ids[:2], ids[3:]):
            return ids
        stack.book.open_gate(attempt)
        stack.wait_final(*ids)
    pytest.fail("VACUOUS: they were never claimed together")


def test_what_is_done_is_seen_and_the_rest_is_free_while_a_slow_one_runs(stack: Stack) -> None:
    stack.worker()
    ids = begun_together(stack)
    first, slow, rest = ids[:2], ids[2], ids[3:]

    wait_until(lambda: {fresh(one).state for one in first} == {"completed"}, "what was done before is written")
    wait_until(lambda: {fresh(one).state for one in rest} == {"pending"}, "what was not begun is handed back")
    assert [fresh(one).interrupted for one in ids] == [0, 0, 0, 1, 1]
    assert fresh(slow).state == "processing"

    other = stack.worker()
    stack.wait_final(*rest)
    assert fresh(slow).state == "processing"
    stack.book.open_gate(1)
    stack.wait_final(slow)
    stack.assert_completed(ids)
    assert other.popen.poll() is None


def test_a_poison_task_convicts_only_itself(stack: Stack) -> None:
    stack.worker()
    practise(stack)
    ids = enqueue_at_once(stack, mark, mark, poison, mark, mark)
    bad = ids.pop(2)
    stack.wait_final(bad, *ids)

    task = stack.assert_failed(bad)
    require_fired(task.crashes == 3, "it did not crash")
    stack.assert_completed(ids)
    assert {fresh(one).crashes for one in ids} == {0}
    require_fired(any(fresh(one).attempt > 1 for one in ids), "it had no company")


def lost_together(stack: Stack) -> list[str]:
    """Four tasks of one claim whose worker is dead."""
    for _ in range(TRIES):
        worker = stack.worker()
        practise(stack)
        ids = enqueue_at_once(stack, mark, regicide, mark, mark.using(max_crashes=0))
        wait_until(lambda: worker.popen.poll() is not None, "the worker is dead")  # noqa: B023 at once
        if Task.objects.processing().filter(id__in=ids, attempt=1).count() == len(ids):
            return ids
    pytest.fail("VACUOUS: they never died together")


def test_when_nobody_knows_which_one_ran_none_is_blamed(stack: Stack) -> None:
    ids = lost_together(stack)
    stack.worker()
    stack.wait_final(*ids)

    stack.assert_completed(ids)
    assert {fresh(one).crashes for one in ids} == {0}
    assert {fresh(one).interrupted for one in ids} == {1}
    assert stack.book.begun(ids[3]) == [2], "begun twice"


def test_one_that_must_not_be_begun_twice_is_not_even_among_others(stack: Stack) -> None:
    stack.worker()
    practise(stack)
    once = {"max_crashes": 0}
    ids = enqueue_at_once(stack, mark, mark.using(**once), poison.using(**once), mark.using(**once), mark)
    bad = ids.pop(2)
    stack.wait_final(bad, *ids)

    stack.assert_failed(bad)
    stack.assert_completed(ids)
    assert all(len(stack.book.begun(one)) == 1 for one in [bad, *ids[1:3]])


def test_a_worker_that_is_told_to_stop_hands_back_what_it_has_not_begun(stack: Stack) -> None:
    worker = stack.worker()
    practise(stack)
    ids = enqueue_at_once(stack, *[mark] * 40)
    assert worker.stop(PATIENCE) == 0
    assert not Task.objects.processing().exists(), "something is held by nobody"
    stack.worker()
    stack.wait_final(*ids)
    stack.assert_completed(ids)
    assert all(len(stack.book.begun(one)) == 1 for one in ids), "an orderly stop repeats nothing"
