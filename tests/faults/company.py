"""Tasks in one batch: what a fault of one does to those beside it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from taskcenter.models import Task
from tests.faults.stack import Stack, wait_until
from tests.ledger.tasks import add

TRIES = 15
"""To be claimed together. On a busy machine a quick task may count as slow, and then the rest is handed back."""


def practise(stack: Stack) -> None:
    """Show the slot so many quick tasks that it takes the next ones by the dozen."""
    add.enqueue_many([{"a": number, "b": 1} for number in range(200)])
    wait_until(lambda: not Task.objects.live().exists(), lambda: "the slot is warm; logs:\n" + stack.logs())


def enqueue_at_once(stack: Stack, *definitions: Any) -> list[str]:
    """Tasks that are seen all together."""
    with transaction.atomic():
        return [stack.enqueue(definition) for definition in definitions]


def fresh(task_id: str) -> Task:
    return Task.objects.get(id=task_id)


def were_claimed_together(bad: str, before: list[str], behind: list[str]) -> bool:
    """Whether these were in hand with the one that runs now.

    An end that was not in hand with it had been written by the statement that claimed it.
    """
    claimed_at = fresh(bad).attempted_at
    ends = [fresh(one).finished_at for one in before]
    assert claimed_at is not None
    return all(end is None or end > claimed_at for end in ends) and all(fresh(one).attempt == 1 for one in behind)


def begun_with(stack: Stack, villain: Any, *arguments: Any) -> tuple[str, list[str]]:
    """A villain that has begun in the middle of four others of one claim, and these."""
    for _ in range(TRIES):
        practise(stack)
        with transaction.atomic():
            before = [stack.enqueue(add, 1, 2) for _ in range(2)]
            bad = stack.enqueue(villain, *arguments)
            mates = before + [stack.enqueue(add, 1, 2) for _ in range(2)]
        begun = wait_until(lambda: stack.book.begun(bad), "it has begun")  # noqa: B023 at once
        if begun == [1] and were_claimed_together(bad, before, mates[2:]):
            return bad, mates
        stack.wait_final(bad, *mates)
    pytest.fail("VACUOUS: they were never claimed together")


def assert_unharmed(mates: list[str]) -> None:
    """They ended well, and nothing was counted against them."""
    tasks = [fresh(one) for one in mates]
    assert [(task.state, task.result, task.failures, task.crashes) for task in tasks] == [("completed", 3, 0, 0)] * 4
