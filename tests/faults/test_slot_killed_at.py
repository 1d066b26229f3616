"""A slot is killed -9, or its database's answer is lost, at each moment of a task's way through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskcenter.models import Task, TaskEvent
from tests.faults.company import enqueue_at_once, fresh
from tests.faults.stack import Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import mark


def sabotaged(stack: Stack, moment: str) -> WorkerProcess:
    """A worker whose next slot to come to that moment pulls the plug there."""
    stack.book.path.with_name("armed").touch()
    return stack.worker(SABOTAGE=moment)


def pulled(stack: Stack) -> list[str]:
    """The tasks that were in hand when the plug was pulled."""
    note: Path = stack.book.path.with_name("pulled")
    wait_until(note.exists, "the plug is pulled")
    require_fired(wait_until(note.read_text, "it says for which tasks"), "no task was in hand")
    return note.read_text().split()


def counts(task_id: str) -> tuple[int, int]:
    task = fresh(task_id)
    return task.crashes, task.interrupted


@pytest.mark.parametrize(
    ("moment", "begun", "blamed"),
    [
        ("claimed", [2], (0, 1)),
        ("begun", [2], (1, 0)),
        ("returned", [1, 2], (1, 0)),
        ("to be written", [1, 2], (0, 1)),
    ],
)
def test_it_runs_again_and_ends_well(stack: Stack, moment: str, begun: list[int], blamed: tuple[int, int]) -> None:
    task_id = stack.enqueue(mark)
    worker = sabotaged(stack, moment)
    assert pulled(stack) == [task_id]
    after = stack.enqueue(mark)
    stack.wait_final(task_id, after)

    stack.assert_completed([task_id, after])
    assert stack.book.begun(task_id) == begun
    assert counts(task_id) == blamed
    assert stack.book.begun(after) == [1]
    assert worker.popen.poll() is None


@pytest.mark.parametrize("moment", ["begun", "returned", "to be written"])
def test_one_that_must_not_be_begun_twice_is_failed(stack: Stack, moment: str) -> None:
    task_id = stack.enqueue(mark.using(max_crashes=0))
    sabotaged(stack, moment)
    assert pulled(stack) == [task_id]
    wait_until(lambda: fresh(task_id).state == "failed", "it is failed")

    assert fresh(task_id).attempt == 1
    assert stack.book.begun(task_id) == ([] if moment == "begun" else [1])


@pytest.mark.parametrize("moment", ["written", "answer lost"])
def test_what_was_written_stays_and_what_was_claimed_with_it_runs(stack: Stack, moment: str) -> None:
    """The parent hands back what is in its name and on no page."""
    ids = enqueue_at_once(stack, *[mark] * 6)
    worker = sabotaged(stack, moment)
    claimed = pulled(stack)
    stack.wait_final(*ids)

    stack.assert_completed(ids)
    assert [stack.book.begun(one) for one in claimed] == [[2]] * len(claimed)
    assert {counts(one) for one in claimed} == {(0, 1)}
    others = set(ids) - set(claimed)
    assert not TaskEvent.objects.filter(kind=TaskEvent.Kind.SUPERSEDED).exists()
    assert ("died" in worker.output()) == (moment == "written")
    assert others
    assert set(Task.objects.filter(id__in=others).values_list("attempt", "crashes")) == {(1, 0)}
