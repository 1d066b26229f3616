"""A task computes for longer than its worker's heartbeat may be silent."""

from __future__ import annotations

from typing import Any

import pytest

from taskcenter.conf import get_settings
from taskcenter.models import Task
from tests.faults.company import assert_unharmed, begun_with, fresh
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.villains import numb, spin


def longer_than_silence() -> int:
    return int(get_settings().STALE_AFTER) + 2


def test_what_ended_before_it_is_written_and_the_rest_runs_elsewhere(stack: Stack) -> None:
    stack.worker()
    busy, ids = begun_with(stack, spin, longer_than_silence())
    wait_until(lambda: {fresh(one).state for one in ids[:2]} == {"completed"}, "what ended before is written")
    wait_until(lambda: {fresh(one).state for one in ids[2:]} == {"pending"}, "the rest is handed back")
    require_fired(fresh(busy).state == "processing", "it was over too early")
    stack.worker()
    stack.wait_final(*ids)
    assert fresh(busy).state == "processing", "it was over too early"
    stack.wait_final(busy)

    stack.assert_completed([busy])
    assert_unharmed(ids)
    assert stack.book.begun(busy) == [1]


@pytest.mark.parametrize("definition", [spin, numb], ids=["in Python", "in C, with Python's lock"])
def test_it_is_not_taken_for_lost(stack: Stack, definition: Any) -> None:
    stack.worker()
    task_id = stack.enqueue(definition, longer_than_silence())
    stack.wait_begun(task_id)
    stack.worker()  # somebody who would recover it
    stack.wait_final(task_id)

    task = Task.objects.get(id=task_id)
    ran = (task.finished_at - task.attempted_at).total_seconds()
    require_fired(ran > get_settings().STALE_AFTER, "it was over too early")
    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == [1]
    assert stack.events(task_id) == []
