"""Cancel races the start of a task, its end, and a retry; whoever is first wins, and everybody is told so."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from taskcenter import lifecycle
from taskcenter.lifecycle import Outcome
from taskcenter.models import Notification, Task, TaskEvent
from tests.faults.operators import all_at_once
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold, listen, mark

ROUNDS = 6
EACH = 30


def cancel(task_id: str) -> Outcome:
    return lifecycle.request_cancel(UUID(task_id), reason="no longer wanted")


def retry(task_id: str) -> Outcome:
    return lifecycle.retry(UUID(task_id), reason="wanted again")


def assert_consistent(stack: Stack, task_id: str) -> Task:
    """It ended once, as its row, its history, its owner and the ledger agree."""
    task = Task.objects.get(id=task_id)
    begun, ended = stack.book.begun(task_id), stack.book.ended(task_id)
    assert task.finished_at is not None
    assert begun == sorted(set(begun)), "one row per (task, attempt)"
    assert set(begun) <= set(range(1, task.attempt + 1))
    told = list(Notification.objects.filter(task=task, attempt=task.attempt).values_list("kind", flat=True))
    assert task.state in told
    if task.state == "completed":
        assert task.attempt in ended, "completed by an attempt that never came to its end"
        assert task.result["attempt"] == task.attempt
    else:
        assert task.state == "cancelled"
        assert task.cancel_requested_at is not None
        assert "cancelled" in stack.events(task_id)
    return task


def test_a_cancel_that_races_start_and_end(stack: Stack) -> None:
    stack.worker(concurrency=2)
    outcomes: dict[str, Outcome] = {}

    def cancel_all(ids: list[str]) -> None:
        outcomes.update({task_id: cancel(task_id) for task_id in ids})

    def round_of() -> list[str]:
        return [stack.enqueue(mark) for _ in range(EACH)]

    for _ in range(ROUNDS):
        ids = round_of()
        all_at_once(lambda ids=ids: cancel_all(ids[::2]), lambda ids=ids: cancel_all(ids[::-1][::2]))
        stack.wait_final(*ids)

    texts = {outcome.text for outcome in outcomes.values()}
    require_fired("Cancelled before it ran." in texts, "no cancel came before the start")
    require_fired(texts - {"Cancelled before it ran."}, "no cancel came too late")
    for task_id, outcome in outcomes.items():
        task = assert_consistent(stack, task_id)
        asked = TaskEvent.objects.filter(task=task, kind__in=["cancel_asked", "cancelled"], text="no longer wanted")
        assert asked.count() == outcome.moved
        if outcome.text == "Cancelled before it ran.":
            assert (task.state, stack.book.begun(task_id)) == ("cancelled", []), "it ran all the same"
        if not outcome.moved:
            assert task.state == "completed", f"nobody cancelled it: {outcome.text}"


@pytest.mark.parametrize("body", [hold, listen], ids=["deaf", "listening"])
def test_a_running_task_is_asked_once_however_many_click(stack: Stack, body: Any) -> None:
    stack.worker()
    task_id = stack.enqueue(body)
    stack.wait_begun(task_id)
    outcomes = all_at_once(*[lambda: cancel(task_id)] * 4)
    require_fired([outcome.moved for outcome in outcomes].count(False), "nobody came second")
    stack.wait_final(task_id)

    assert [outcome.moved for outcome in outcomes].count(True) == 1
    assert stack.events(task_id).count("cancel_asked") == 1
    assert assert_consistent(stack, task_id).state == "cancelled"
    assert stack.book.begun(task_id) == [1]


def test_a_cancel_that_races_a_retry(stack: Stack) -> None:
    stack.worker(concurrency=2)
    ids = [stack.enqueue(listen) for _ in range(2)]
    for task_id in ids:
        stack.wait_begun(task_id)
        cancel(task_id)
    stack.wait_final(*ids)
    moved = {"retry": 0, "cancel": 0}
    for _ in range(ROUNDS):
        made = all_at_once(*[lambda it=it, verb=verb: verb(it) for it in ids for verb in (retry, cancel)])
        moved["retry"] += sum(outcome.moved for outcome in made[::2])
        moved["cancel"] += sum(outcome.moved for outcome in made[1::2])
        for task_id in ids:  # what only the retry has reached runs on until it is cancelled
            moved["cancel"] += cancel(task_id).moved
        stack.wait_final(*ids)

    require_fired(moved["retry"], "nothing was ever retried")
    for task_id in ids:
        assert assert_consistent(stack, task_id).state == "cancelled"
    kinds = [kind for task_id in ids for kind in stack.events(task_id)]
    assert kinds.count("retried") == moved["retry"]
    asked = TaskEvent.objects.filter(task_id__in=ids, text="no longer wanted")
    assert asked.count() == moved["cancel"] + len(ids)


def test_a_retry_races_the_end_of_what_was_asked_to_stop(stack: Stack) -> None:
    """A retry in the moment of the end is refused or runs; it never undoes the cancel of the old attempt."""
    stack.worker()
    task_id = stack.enqueue(listen)
    refused = 0
    for attempt in range(1, 6):
        stack.wait_begun(task_id, attempt)
        cancel(task_id)
        while not retry(task_id).moved:
            refused += 1
        assert stack.events(task_id).count("cancelled") == attempt, "it was retried before it had ended"
    require_fired(refused, "no retry came before the end")
    wait_until(lambda: stack.book.begun(task_id) == [1, 2, 3, 4, 5, 6], "each retry ran once")
    cancel(task_id)
    stack.wait_final(task_id)
    assert_consistent(stack, task_id)
