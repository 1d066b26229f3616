"""A task goes on past its time limit, deaf to what it is told: its slot is killed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.company import assert_unharmed, begun_with, fresh
from tests.faults.stack import Stack, require_fired
from tests.ledger.tasks import deaf
from tests.ledger.villains import deaf_at_first, numb_at_first


@pytest.mark.parametrize("definition", [deaf_at_first, numb_at_first], ids=["in Python", "in C, with Python's lock"])
def test_with_a_try_left_it_runs_again_and_its_batch_is_unharmed(stack: Stack, definition: Any) -> None:
    worker = stack.worker()
    bad, ids = begun_with(stack, definition)
    stack.wait_final(bad, *ids)

    task = fresh(bad)
    require_fired("SIGKILL" in worker.output(), "its slot was not killed")
    stack.assert_completed([bad])
    assert_unharmed(ids)
    assert stack.book.begun(bad) == [1, 2]
    assert (task.failures, task.crashes) == (1, 0)
    assert stack.events(bad)[:2] == ["timed_out", "retry_planned"]


def test_without_a_try_left_it_fails_and_its_batch_is_unharmed(stack: Stack) -> None:
    worker = stack.worker()
    bad, ids = begun_with(stack, deaf)
    stack.wait_final(bad, *ids)

    task = stack.assert_failed(bad)
    require_fired("SIGKILL" in worker.output(), "its slot was not killed")
    assert (task.failures, task.crashes) == (1, 0)
    assert "limit of 0.2 seconds" in task.error_message
    assert_unharmed(ids)
    assert worker.popen.poll() is None
