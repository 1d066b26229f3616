"""Enqueue: a row in the caller's transaction, a pointer when that commits, nothing at all otherwise."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from taskcenter import InvalidPayload
from taskcenter.enqueue import enqueue, enqueue_many
from taskcenter.models import Task
from taskcenter.pointers import pointer_id, queue_key
from tests.factories import make_user
from tests.integration.rivals import at_once
from tests.ledger.tasks import add, echo, flaky, hold

pytestmark = pytest.mark.django_db(transaction=True)


def pointers(client: redis.Redis, queue: str = "default") -> list[str]:
    return [job_id.decode() for job_id in client.lrange(queue_key(queue), 0, -1)]  # type: ignore[union-attr]


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint, that something makes fail at its end."""
    with contextlib.suppress(RuntimeError), transaction.atomic():
        yield
        raise RuntimeError


def test_the_row_holds_what_was_asked_for(redis_client: redis.Redis) -> None:
    owner = make_user()
    options = {"owner": owner, "title": "Sum", "priority": 7, "tags": ["a"], "metadata": {"from": "test"}}
    row, is_new = enqueue(flaky.using(queue_name="analysis", timeout=60, **options), [1], {"b": 2})
    task = Task.objects.get(id=row.id)
    assert is_new
    assert (task.definition, task.queue, task.state) == ("tests.ledger.tasks.flaky", "analysis", "pending")
    assert (task.args, task.kwargs, task.tags, task.metadata) == ([1], {"b": 2}, ["a"], {"from": "test"})
    assert (task.owner, task.title, task.priority, task.timeout) == (owner, "Sum", 7, 60)
    assert (task.max_attempts, task.max_crashes, task.attempt, task.rev) == (3, 3, 0, 1)
    assert pointers(redis_client, "analysis") == [pointer_id(task.id)]


def test_nothing_is_in_redis_before_the_commit(redis_client: redis.Redis) -> None:
    with transaction.atomic():
        row, _ = enqueue(add, [1, 2], {})
        assert redis_client.dbsize() == 0
    assert pointers(redis_client) == [pointer_id(row.id)]


def test_a_rollback_leaves_nothing_anywhere_and_frees_the_key(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once")
    with rolled_back():
        enqueue(definition, [1, 2], {})
    assert not Task.objects.exists()
    assert redis_client.dbsize() == 0
    assert enqueue(definition, [1, 2], {})[1]


def test_a_nested_rollback_takes_back_only_its_own(redis_client: redis.Redis) -> None:
    with transaction.atomic():
        kept, _ = enqueue(add, [1, 2], {})
        with rolled_back():
            enqueue(add, [3, 4], {})
    assert [task.id for task in Task.objects.all()] == [kept.id]
    assert pointers(redis_client) == [pointer_id(kept.id)]


def test_a_unique_key_gives_the_live_task_and_is_free_after_its_end(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once")
    first, _ = enqueue(definition, [1, 2], {})
    again, is_new = enqueue(definition, [3, 4], {})
    assert (again.id, is_new) == (first.id, False)
    assert len(pointers(redis_client)) == 1
    Task.objects.filter(id=first.id).update(state="cancelled", finished_at=timezone.now())
    assert enqueue(definition, [1, 2], {})[1]


def test_one_key_on_two_definitions_is_two_tasks(redis_client: redis.Redis) -> None:
    first, _ = enqueue(add.using(unique_key="once"), [1, 2], {})
    second, is_new = enqueue(echo.using(unique_key="once"), [], {})
    assert is_new
    assert first.id != second.id


def test_a_unique_key_leaves_the_caller_s_transaction_usable(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once")
    first, _ = enqueue(definition, [1, 2], {})
    with transaction.atomic():
        assert enqueue(definition, [1, 2], {})[0].id == first.id
        other, _ = enqueue(add, [5, 6], {})
    assert Task.objects.filter(id=other.id).exists()


def test_twenty_people_press_the_same_button_at_once_and_get_one_task(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once")
    outcomes = at_once(20, lambda _: enqueue(definition, [1, 2], {}))
    assert len({row.id for row, _ in outcomes}) == 1
    assert [is_new for _, is_new in outcomes].count(True) == 1
    assert Task.objects.count() == 1
    assert len(pointers(redis_client)) == 1


@pytest.mark.parametrize(
    "bad",
    [math.nan, math.inf, "a\x00b", {"\x00": 1}, object(), b"bytes", "\ud800", "x" * 70_000],
    ids=["NaN", "inf", "NUL", "NUL in a key", "object", "bytes", "half a surrogate", "oversize"],
)
def test_arguments_that_cannot_be_kept_write_nothing(redis_client: redis.Redis, bad: Any) -> None:
    for attempt in (lambda: enqueue(echo, [bad], {}), lambda: enqueue(echo, [], {"value": bad})):
        with pytest.raises(InvalidPayload):
            attempt()
    with pytest.raises(InvalidPayload):
        enqueue_many(echo, [{"value": 1}, {"value": bad}])
    with pytest.raises(InvalidPayload):
        enqueue(echo.using(metadata={"value": bad}), [], {})
    assert not Task.objects.exists()
    assert redis_client.dbsize() == 0


def test_refused_arguments_leave_the_caller_s_transaction_usable(redis_client: redis.Redis) -> None:
    with transaction.atomic():
        with pytest.raises(InvalidPayload):
            enqueue(echo, [object()], {})
        enqueue(add, [1, 2], {})
    assert Task.objects.count() == 1


def test_a_delayed_task_waits_without_a_pointer(redis_client: redis.Redis) -> None:
    row, _ = enqueue(add.using(run_after=timedelta(hours=1)), [1, 2], {})
    assert row.state == "scheduled"
    assert timedelta(minutes=59) < row.run_after - timezone.now() <= timedelta(hours=1)
    assert pointers(redis_client) == []


@pytest.mark.parametrize("past", [timedelta(0), timedelta(hours=-1)])
def test_a_time_that_has_passed_means_now(redis_client: redis.Redis, past: timedelta) -> None:
    row, _ = enqueue(add.using(run_after=past), [1, 2], {})
    assert (row.state, row.run_after) == ("pending", None)
    assert len(pointers(redis_client)) == 1


def test_many_are_all_or_none_and_go_in_order(redis_client: redis.Redis) -> None:
    rows = enqueue_many(add, [{"a": number, "b": 1} for number in range(1500)])
    assert pointers(redis_client) == [pointer_id(row.id) for row in rows]
    assert list(Task.objects.in_claim_order().values_list("id", flat=True)) == [row.id for row in rows]
    with rolled_back():
        enqueue_many(add, [{"a": 1, "b": 1}] * 3)
    assert Task.objects.count() == 1500


def test_many_of_nothing_is_nothing(redis_client: redis.Redis) -> None:
    assert enqueue_many(add, []) == []
    assert redis_client.dbsize() == 0


def test_many_with_one_unique_key_make_no_sense(redis_client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="unique_key"):
        enqueue_many(add.using(unique_key="once"), [{"a": 1, "b": 1}])


def test_a_pointer_holds_the_task_s_id_and_none_of_its_arguments(redis_client: redis.Redis) -> None:
    row, _ = enqueue(echo, ["secret"], {})
    stored = repr(redis_client.hgetall(f"rq:job:{pointer_id(row.id)}"))
    assert str(row.id) in stored
    assert "secret" not in stored


def test_limits_of_the_settings_are_kept_with_the_row(redis_client: redis.Redis) -> None:
    with override_settings(TASKCENTER={"MAX_ATTEMPTS": 4, "MAX_CRASHES": 0}):
        row, _ = enqueue(add, [1, 2], {})
        own, _ = enqueue(hold.using(max_attempts=2), [], {})
    assert (row.max_attempts, row.max_crashes, own.max_attempts) == (4, 0, 2)
