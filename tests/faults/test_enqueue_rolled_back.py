"""The caller's transaction, or a part of it, is rolled back after an enqueue."""

from __future__ import annotations

import contextlib

from django.db import transaction

from taskcenter.enqueue import enqueue_many
from taskcenter.models import Task
from tests.faults.stack import Stack, require_fired
from tests.ledger.tasks import mark


class Trouble(Exception):
    """What makes a transaction fail."""


def test_a_rollback_leaves_nothing_in_either_store_and_the_key_free(stack: Stack) -> None:
    definition = mark.using(owner=stack.owner, unique_key="once")
    with contextlib.suppress(Trouble), transaction.atomic():
        taken = definition.enqueue(1)
        enqueue_many(mark, [{"number": 1}] * 50)
        require_fired(Task.objects.count() == 51, "nothing was written that could be rolled back")
        raise Trouble
    with stack.redis() as client:
        assert client.keys("rq:*") == []
    assert not Task.objects.exists()

    again = definition.enqueue(2)
    assert again.id != taken.id
    stack.worker()
    stack.wait_final(again.id)
    stack.assert_completed([again.id])


def test_a_nested_rollback_takes_back_only_its_own(stack: Stack) -> None:
    with transaction.atomic():
        kept = [stack.enqueue(mark)]
        with contextlib.suppress(Trouble), transaction.atomic():
            lost = stack.enqueue(mark)
            with transaction.atomic():
                lost_too = stack.enqueue(mark)
            raise Trouble
        kept.append(stack.enqueue(mark))
        assert stack.waiting_pointers() == 0, "nothing wakes before the commit"
    assert stack.waiting_pointers() == 2
    stack.worker()
    stack.wait_final(*kept)
    stack.assert_completed(kept)
    assert not Task.objects.filter(id__in=[lost, lost_too]).exists()
    assert not stack.book.begun(lost)
    assert not stack.book.begun(lost_too)
