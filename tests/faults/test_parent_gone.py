"""A parent is deleted or cancelled while its children wait or run.

TaskCenter makes no task wait for another yet: `parent` says where a task came from, and nothing else. So what
must hold is that a parent's fate is its own, and that a row which is blocked all the same can be ended.
"""

from __future__ import annotations

from uuid import UUID

import pytest

from taskcenter import lifecycle
from taskcenter.models import Task
from tests.faults.operators import Operator
from tests.faults.stack import Stack, require_fired
from tests.ledger.tasks import hold, mark


def family(stack: Stack) -> tuple[str, str, str]:
    """A parent that has ended, a child that runs, and one that waits behind it."""
    parent = stack.enqueue(mark)
    stack.wait_final(parent)
    running, waiting = stack.enqueue(hold), stack.enqueue(mark)
    Task.objects.filter(id__in=[running, waiting]).update(parent=UUID(parent))
    stack.wait_begun(running)
    return parent, running, waiting


def test_children_of_a_deleted_parent_run_to_their_end(stack: Stack) -> None:
    stack.worker()
    parent, running, waiting = family(stack)
    Task.objects.get(id=parent).delete()
    require_fired(
        list(Task.objects.filter(id__in=[running, waiting]).order_by("id").values_list("state", "parent"))
        == [("processing", None), ("pending", None)],
        "the parent went when its children had ended",
    )
    stack.book.open_gate(1)
    stack.wait_final(running, waiting)
    stack.assert_completed([running, waiting])


def test_children_of_a_cancelled_parent_run_to_their_end(stack: Stack) -> None:
    stack.worker()
    parent, child = stack.enqueue(hold), stack.enqueue(mark)
    Task.objects.filter(id=child).update(parent=UUID(parent))
    stack.wait_begun(parent)
    require_fired(lifecycle.request_cancel(UUID(parent)).moved, "the parent had ended")
    stack.wait_final(parent, child)
    assert Task.objects.get(id=parent).state == "cancelled"
    stack.assert_completed([child])


@pytest.mark.parametrize("fate", ["deleted", "cancelled"])
def test_a_row_that_is_blocked_all_the_same_can_be_ended_and_run(stack: Stack, fate: str) -> None:
    """No door makes one; whoever has written it by hand is not left with a row that nobody can move."""
    stack.worker()
    parent, child = stack.enqueue(hold), stack.enqueue(mark)
    moved = Task.objects.filter(id=child, state="pending").update(state="blocked", parent=UUID(parent), waits_for=1)
    require_fired(moved, "the child had begun")
    stack.wait_begun(parent)
    lifecycle.request_cancel(UUID(parent))
    stack.wait_final(parent)
    if fate == "deleted":
        Task.objects.get(id=parent).delete()
    boss = Operator("boss")
    assert "Cancelled before it ran" in boss.confirm(boss.ask("cancel", child))
    assert "It will run again" in boss.confirm(boss.ask("retry", child))
    stack.wait_final(child)
    assert Task.objects.get(id=child).state == "completed"
