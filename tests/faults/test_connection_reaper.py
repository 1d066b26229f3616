"""Somebody ends every connection to the database, again and again, while tasks flow."""

from __future__ import annotations

from taskcenter.models import Task
from tests.faults.plugs import (
    PARENT_AWAY,
    PARENT_BACK,
    assert_one_line_per_change,
    needs_postgres,
    reap,
)
from tests.faults.stack import PATIENCE, Stack, require_fired, wait_until
from tests.ledger.villains import patient

ROUNDS, SHARE = 5, 40
"""How often it reaps, and how many tasks end in between."""


@needs_postgres
def test_every_task_ends_well_and_each_change_is_one_line(stack: Stack) -> None:
    worker = stack.worker()
    [slot] = worker.slots()
    made = patient.using(owner=stack.owner).enqueue_many([{}] * ROUNDS * SHARE)
    ids = [str(one.id) for one in made]
    reaped = 0
    for number in range(ROUNDS):
        wait_until(lambda: Task.objects.finished().count() >= number * SHARE + SHARE // 2, "tasks end")  # noqa: B023 at once
        reaped += reap()
    # The slot's among them. Its helper may be the one that meets it, and connects anew without a word.
    require_fired(reaped >= ROUNDS, "it found nobody")
    stack.wait_final(*ids)

    stack.assert_completed(ids)
    assert set(Task.objects.values_list("crashes", flat=True)) == {0}
    assert worker.slots() == [slot], "the slot did not live on"
    assert worker.stop(PATIENCE) == 0
    assert_one_line_per_change(worker.output())
    assert_one_line_per_change(worker.output(), PARENT_AWAY, PARENT_BACK)
