"""An operator's action on many tasks is killed in the middle, before and behind the commit of a chunk."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Count

from taskcenter.models import Queue, Report, Task, TaskEvent
from taskcenter.operations.work import CHUNK
from tests.factories import make_task
from tests.faults.operators import Operator
from tests.faults.stack import Stack, require_fired

MANY = 3 * CHUNK + 17


@pytest.mark.parametrize("moment", ["chunk undone", "chunk done"])
def test_the_next_attempt_goes_on_and_does_nothing_twice(stack: Stack, moment: str) -> None:
    sample = make_task("failed", queue="analysis")
    rows = [Task(**{**_values(sample), "id": None}) for _ in range(MANY - 1)]
    for row in rows:
        row.pk = Task._meta.pk.get_default()
    Task.objects.bulk_create(rows)
    Queue.objects.pause("analysis", "so that what is retried stays where it is")
    armed = stack.book.path.with_name("armed")
    armed.touch()
    stack.worker(SABOTAGE=moment)
    boss = Operator("boss")
    said = boss.confirm(boss.ask_for_list("retry", "?state=failed"))
    assert f"Retry {MANY:,} tasks" in said
    operation = Task.objects.get(queue="default")
    stack.wait_final(str(operation.id))

    require_fired(armed.with_name("pulled").exists(), "nobody was killed")
    operation.refresh_from_db()
    assert operation.state == "completed", operation.error_message
    assert (operation.attempt, operation.crashes) == (2, 1)
    assert operation.result == {"done": {"retried": MANY}, "left": {}}
    assert Task.objects.filter(queue="analysis", state="pending").count() == MANY
    lines = TaskEvent.objects.filter(kind="retried", actor=boss.user)
    assert lines.count() == lines.values("task").aggregate(Count("task", distinct=True))["task__count"] == MANY
    asked, done = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert f"would be {MANY:,} retried" in asked
    assert f"Done: {MANY:,} retried" in done
    assert Report.objects.filter(task=operation, is_final=True).count() == 1


def _values(task: Task) -> dict[str, object]:
    return {field.attname: getattr(task, field.attname) for field in Task._meta.concrete_fields}
