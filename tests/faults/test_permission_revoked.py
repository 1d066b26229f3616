"""Somebody who watches a task may not see it any more: another owner, a permission taken away, a session ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session

from taskcenter import passes
from taskcenter.models import Task
from taskcenter.progress import TaskProgress, announce
from tests.factories import make_task, make_user
from tests.faults.pages import watching
from tests.faults.stack import Stack, require_fired, wait_until

LEFT = 15
"""Seconds of its hour that are left to a pass when its page opens: enough for a slow machine."""


def test_another_owner_and_nothing_told_after_that(stack: Stack) -> None:
    task_id = str(make_task("processing", owner=stack.owner).id)
    with watching(stack) as readers:
        page = readers.open(stack.owner, task_id)
        require_fired(page.state(task_id) == "processing", "it was never seen")
        Task.objects.filter(id=task_id).update(
            owner=make_user(), state="failed", rev=2, error_message="a secret", finished_at="2026-01-01T00:00:00Z"
        )
        announce(task_id, 2)
        wait_until(lambda: page.denied == {task_id}, "it is denied")
        assert page.state(task_id) == "processing"
        announce(task_id, 2)
        TaskProgress(Task.objects.get(id=task_id).id, 1).set(0.5, "another secret")
        other = str(make_task(owner=stack.owner).id)
        assert readers.open(stack.owner, other).state(other), "the site still serves"
        assert "secret" not in str(page.known)


def test_a_permission_taken_away(stack: Stack) -> None:
    operator = make_user(permissions=("view_task",))
    task_id = str(make_task("processing", owner=stack.owner).id)
    with watching(stack) as readers:
        page, owners = readers.open(operator, task_id), readers.open(stack.owner, task_id)
        require_fired(page.state(task_id), "it was never seen")
        operator.user_permissions.clear()
        wait_until(lambda: page.denied == {task_id}, "it is denied")
        assert (owners.denied, owners.codes) == (set(), [])


@pytest.mark.parametrize(("deed", "code"), [("sign out", 4401), ("deactivate", 4403), ("new password", 4401)])
def test_a_session_that_ended_closes_the_socket(stack: Stack, deed: str, code: int) -> None:
    task_id = str(make_task("processing", owner=stack.owner).id)
    with watching(stack) as readers:
        page = readers.open(stack.owner, task_id)
        require_fired(page.state(task_id), "it was never seen")
        end(deed, stack.owner)
        wait_until(lambda: page.codes, "the socket is closed")
        assert page.codes == [code]


def end(deed: str, user: Any) -> None:
    if deed == "sign out":
        Session.objects.all().delete()
        return
    user.is_active = deed != "deactivate"
    user.set_password("another")
    user.save()


def test_a_pass_that_ran_out(stack: Stack) -> None:
    task_id = str(make_task("processing", owner=stack.owner).id)
    with time_machine.travel(datetime.now(UTC) - timedelta(seconds=passes.LIFETIME - LEFT)):
        made = passes.make_pass(task_id)
    with watching(stack) as readers:
        page = readers.open(None, task_id, passes={task_id: made})
        require_fired(page.state(task_id) == "processing", "it had run out before")
        wait_until(lambda: page.denied == {task_id}, "it is denied")
