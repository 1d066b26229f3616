"""Tasks that do what no task should: each ends in a clear state, and the worker goes on."""

from __future__ import annotations

from typing import Any

import pytest

from taskcenter.models import Task
from tests.faults.stack import Stack
from tests.ledger.tasks import add, interrupted, leave, mark, segfault, twins


def test_one_that_forks_is_finished_once_and_its_child_leaves_in_silence(stack: Stack) -> None:
    worker = stack.worker()
    ids = [stack.enqueue(twins), stack.enqueue(mark), stack.enqueue(twins), stack.enqueue(mark)]
    stack.wait_final(*ids)
    assert set(Task.objects.values_list("state", "attempt")) == {("completed", 1)}
    assert [stack.book.begun(one) for one in ids] == [[1]] * 4
    assert "superseded" not in worker.output()


def test_one_that_reads_from_nowhere_is_failed_with_the_signal_s_name(stack: Stack) -> None:
    worker = stack.worker()
    bad, good = stack.enqueue(segfault.using(max_crashes=2)), stack.enqueue(mark)
    stack.wait_final(bad, good)
    task = stack.assert_failed(bad)
    assert "SIGSEGV" in task.error_message
    assert stack.book.begun(bad) == [1, 2]
    stack.assert_completed([good])
    assert worker.popen.poll() is None


@pytest.mark.parametrize(("definition", "error"), [(interrupted, "KeyboardInterrupt"), (leave, "SystemExit")])
def test_one_that_wants_the_process_to_end_only_ends_itself(stack: Stack, definition: Any, error: str) -> None:
    worker = stack.worker()
    [slot] = worker.slots()
    bad = definition.enqueue()
    good = add.enqueue(1, 2)
    stack.wait_final(str(bad.id), str(good.id))
    task = Task.objects.get(id=bad.id)
    assert (task.state, task.crashes, task.failures) == ("failed", 0, 1)
    assert error in task.error_type
    assert worker.slots() == [slot], "the slot outlived it"
