"""The testing room where there is no Redis; the rest of it is in tests/integration/test_testing.py."""

from __future__ import annotations

from typing import Any

import pytest

from taskcenter import task
from taskcenter.testing import assert_enqueued, run_pending


@task(takes_context=True)
def count(context: Any, to: int) -> int:
    return sum(1 for _ in context.progress.track(range(to), "counting"))


@pytest.mark.django_db
def test_tasks_run_without_a_redis_in_a_transaction_that_is_rolled_back() -> None:
    _enqueue_and_run()


@pytest.mark.django_db(transaction=True)
def test_tasks_run_without_a_redis_where_commits_are_real() -> None:
    _enqueue_and_run()


def _enqueue_and_run() -> None:
    count.enqueue(to=20)
    assert_enqueued(count, kwargs={"to": 20}, state="pending")
    [ran] = run_pending()
    assert (ran.task.state, ran.result.return_value, ran.task.progress) == ("completed", 20, 1.0)
