"""The disk is full: the database refuses a report, or the end of a task."""

from __future__ import annotations

from taskcenter.models import Report
from tests.faults.plugs import AWAY, assert_one_line_per_change, needs_postgres, refusing
from tests.faults.stack import PATIENCE, Stack, require_fired
from tests.ledger.tasks import mark
from tests.ledger.villains import patient

pytestmark = needs_postgres

REPORTS = "INSERT ON taskcenter_report", "true"
NOTICES = "INSERT ON taskcenter_notification", "NEW.kind = 'completed'"
DISK_FULL = "53100"


def test_a_task_without_tries_left_fails_with_that_error(stack: Stack) -> None:
    with refusing(*REPORTS, DISK_FULL, times=1) as seen:
        stack.worker()
        bad = stack.enqueue(mark)
        stack.wait_final(bad)
        require_fired(seen(), "no report was refused")
        good = stack.enqueue(mark)
        stack.wait_final(good)

    task = stack.assert_failed(bad)
    assert "the plug is pulled" in task.error_message
    assert "OperationalError" in task.error_type
    assert (task.result, task.failures) == (None, 1)
    assert not Report.objects.filter(task=task).exists()
    stack.assert_completed([good])


def test_a_task_with_tries_left_completes_when_there_is_room(stack: Stack) -> None:
    with refusing(*REPORTS, DISK_FULL, times=2) as seen:
        stack.worker()
        task_id = stack.enqueue(patient)
        stack.wait_final(task_id)
        require_fired(seen() == 3, "no report was refused")

    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == [1, 2, 3]
    assert stack.book.ended(task_id) == [3]
    assert list(Report.objects.filter(task_id=task_id).values_list("attempt", flat=True)) == [3]


def test_an_end_is_whole_or_not_there(stack: Stack) -> None:
    """Result, report and notification are one commit, tried again by the slot: the work is not done twice."""
    worker = stack.worker()
    with refusing(*NOTICES, DISK_FULL, times=2) as seen:  # what was refused is sent once more, to hear why
        ids = [stack.enqueue(mark) for _ in range(3)]
        worker.wait_until(lambda: AWAY in worker.output(), "an end was refused", PATIENCE)
        final = Report.objects.filter(is_final=True).count()
        stack.wait_final(*ids)
        require_fired(seen() > 2, "no end was refused")

    assert final <= len(ids)
    stack.assert_completed(ids)
    assert [stack.book.begun(one) for one in ids] == [[1]] * 3
    assert_one_line_per_change(worker.output())
