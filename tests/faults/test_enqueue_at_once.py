"""A hundred people press the same button at the same moment."""

from __future__ import annotations

from taskcenter.models import Task
from tests.faults.stack import Stack, require_fired
from tests.integration.rivals import at_once
from tests.ledger.tasks import mark

THREADS, EACH = 50, 2
"""Fewer connections than PostgreSQL has by default."""


def test_a_hundred_submits_of_one_key_are_one_task_that_runs_once(stack: Stack) -> None:
    definition = mark.using(owner=stack.owner, unique_key="once")
    ids = at_once(THREADS, lambda _: [definition.enqueue(7).id for _ in range(EACH)])
    require_fired(sum(map(len, ids)) == THREADS * EACH, "not all have submitted")
    assert len({task_id for some in ids for task_id in some}) == 1
    assert Task.objects.count() == 1
    assert stack.waiting_pointers() == 1
    stack.worker(concurrency=2)
    [task_id] = ids[0][:1]
    stack.wait_final(task_id)
    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == [1]
