"""A task is retried whose code no worker has any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from taskcenter import task
from taskcenter.models import Task
from taskcenter.recovery import TaskRecovery
from taskcenter.testing import run_pending
from tests.faults.operators import Operator
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import mark

MAY_FAIL = {"yes": True}


@task
def removed() -> str:
    """Known to this process, and to no worker: as after a deploy that has removed it."""
    if MAY_FAIL["yes"]:
        raise ValueError("as long as the code was there")
    return "run by the code that came back"


@pytest.fixture
def gone(stack: Stack) -> str:
    """A task that has failed, and whose code is gone since."""
    MAY_FAIL["yes"] = True
    task_id = stack.enqueue(removed)
    run_pending(definitions=[removed])
    [worker] = stack.worker().rows()
    require_fired(removed.module_path not in worker.definitions, "the worker knows the code")
    require_fired(Task.objects.get(id=task_id).state == "failed", "the task has not failed")
    return task_id


def retry(task_id: str) -> str:
    boss = Operator("boss")
    page = boss.browser.get(reverse("admin:taskcenter_task_retry", args=[task_id])).content.decode()
    assert f"No living worker knows <code>{removed.module_path}</code>" in page
    return boss.confirm(boss.ask("retry", task_id))


def test_the_operator_is_warned_and_others_are_not_held_up(stack: Stack, gone: str) -> None:
    assert "It will run again" in retry(gone)
    beside = [stack.enqueue(mark) for _ in range(3)]
    stack.wait_final(*beside)

    stack.assert_completed(beside)
    row = Task.objects.get(id=gone)
    assert (row.state, row.attempt) == ("pending", 1), "it waits, unharmed"
    MAY_FAIL["yes"] = False
    run_pending(definitions=[removed])
    row.refresh_from_db()
    assert (row.state, row.result) == ("completed", "run by the code that came back")


def test_what_waits_for_it_can_be_cancelled(stack: Stack, gone: str) -> None:
    retry(gone)
    boss = Operator("other")
    assert "Cancelled before it ran" in boss.confirm(boss.ask("cancel", gone))
    assert Task.objects.get(id=gone).state == "cancelled"


def test_it_does_not_wait_for_ever(stack: Stack, gone: str, settings: Any) -> None:
    retry(gone)
    settings.TASKCENTER = {**settings.TASKCENTER, "UNKNOWN_FAILS_AFTER": timedelta(seconds=1)}
    assert not TaskRecovery().recover_stuck_tasks().unknown_failed, "the retry counts as news of it"
    wait_until(lambda: TaskRecovery().recover_stuck_tasks().unknown_failed, "the sweep fails it")

    row = Task.objects.get(id=gone)
    assert row.state == "failed"
    assert removed.module_path in row.error_message
    assert "then retry the task" in row.error_message
