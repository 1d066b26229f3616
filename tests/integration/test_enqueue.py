"""Enqueue: a row in the caller's transaction, a pointer when that commits, nothing at all otherwise."""

from __future__ import annotations

import contextlib
import math
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from taskcenter import AlreadyEnqueued, InvalidPayload
from taskcenter import enqueue as enqueue_room
from taskcenter.enqueue import enqueue, enqueue_many
from taskcenter.models import Task
from taskcenter.pointers import ENOUGH, pointer_id, queue_key
from tests.factories import make_user
from tests.integration.rivals import at_once, overtaken
from tests.ledger.tasks import add, echo, flaky, hold

pytestmark = pytest.mark.django_db(transaction=True)


def pointers(client: redis.Redis, queue: str = "default") -> list[str]:
    return [job_id.decode() for job_id in client.lrange(queue_key(queue), 0, -1)]  # type: ignore[union-attr]


def fields_of(row: Task) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in Task._meta.concrete_fields}


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


def test_a_holder_can_be_an_error_that_names_it(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once", on_conflict="raise", title="Sum")
    first, _ = enqueue(definition, [1, 2], {})
    with transaction.atomic():
        with pytest.raises(AlreadyEnqueued, match=rf"Task {first.id} \(Sum\) .* is pending") as raised:
            enqueue(definition, [3, 4], {})
        enqueue(add, [5, 6], {})
    assert raised.value.task == first
    assert pickle.loads(pickle.dumps(raised.value)).task == first  # noqa: S301 our own bytes
    assert Task.objects.count() == 2


@pytest.mark.parametrize("options", [{}, {"run_after": timedelta(hours=1)}], ids=["pending", "scheduled"])
def test_a_holder_that_waits_can_be_replaced(redis_client: redis.Redis, options: dict[str, Any]) -> None:
    definition = add.using(unique_key="once", on_conflict="replace")
    first, _ = enqueue(definition.using(**options), [1, 2], {})
    second, is_new = enqueue(definition.using(priority=9), [3, 4], {})
    assert is_new
    assert (second.args, second.priority, second.state) == ([3, 4], 9, "pending")
    assert Task.objects.get(id=first.id).state == "cancelled"
    [event] = first.events.all()
    assert (event.kind, event.text) == ("cancelled", f"Replaced by task {second.id}.")
    assert pointer_id(second.id) in pointers(redis_client)


def test_a_holder_that_waits_for_others_can_be_replaced(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once", on_conflict="replace")
    first, _ = enqueue(definition, [1, 2], {})
    Task.objects.filter(id=first.id).update(state="blocked")
    assert enqueue(definition, [3, 4], {})[1]


def test_a_holder_that_runs_is_not_replaced_and_not_asked_to_stop(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once", on_conflict="replace")
    first, _ = enqueue(definition, [1, 2], {})
    Task.objects.filter(id=first.id).update(state="processing", attempt=1, attempted_at=timezone.now())
    again, is_new = enqueue(definition, [3, 4], {})
    assert (again.id, is_new, again.args) == (first.id, False, [1, 2])
    assert Task.objects.get().cancel_requested_at is None


def test_a_rollback_brings_the_replaced_task_back(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once", on_conflict="replace")
    first, _ = enqueue(definition, [1, 2], {})
    with rolled_back():
        enqueue(definition, [3, 4], {})
    assert Task.objects.get().id == first.id
    assert Task.objects.get().state == "pending"


def test_of_many_who_replace_at_once_one_is_left(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once", on_conflict="replace")
    outcomes = at_once(10, lambda number: enqueue(definition, [number, 0], {}))
    assert all(is_new for _, is_new in outcomes)
    assert Task.objects.live().count() == 1
    assert Task.objects.filter(state="cancelled").count() == 9


def test_a_key_that_is_being_taken_is_waited_for(redis_client: redis.Redis) -> None:
    definition = add.using(unique_key="once")
    (first, _), (second, is_new) = overtaken(
        lambda: enqueue(definition, [1, 2], {}), lambda: enqueue(definition, [3, 4], {})
    )
    assert (second.id, is_new) == (first.id, False)


def test_a_key_is_taken_when_its_holder_ends_between_the_two_looks(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = add.using(unique_key="once")
    first, _ = enqueue(definition, [1, 2], {})
    look = enqueue_room._holder

    def too_late(*args: Any, **kwargs: Any) -> Task | None:
        Task.objects.filter(id=first.id).update(state="cancelled", finished_at=timezone.now())
        return look(*args, **kwargs)

    monkeypatch.setattr(enqueue_room, "_holder", too_late)
    second, is_new = enqueue(definition, [3, 4], {})
    assert is_new
    assert second.id != first.id


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
    assert pointers(redis_client) == [pointer_id(row.id) for row in rows[:ENOUGH]]
    assert list(Task.objects.in_claim_order().values_list("id", flat=True)) == [row.id for row in rows]
    with rolled_back():
        enqueue_many(add, [{"a": 1, "b": 1}] * 3)
    assert Task.objects.count() == 1500


def test_many_of_nothing_is_nothing(redis_client: redis.Redis) -> None:
    assert list(enqueue_many(add, [])) == []
    assert redis_client.dbsize() == 0


def test_many_with_one_unique_key_make_no_sense(redis_client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="unique_key"):
        enqueue_many(add.using(unique_key="once"), [{"a": 1, "b": 1}])


def test_rows_of_many_are_those_of_the_table(redis_client: redis.Redis) -> None:
    owner = make_user()
    definition = echo.using(owner=owner, title="Echo", tags=["a"], metadata={"k": 1}, priority=2, timeout=5)
    rows = enqueue_many(definition, [{"value": (number, "é")} for number in range(5)])
    found = Task.objects.in_claim_order()
    assert [fields_of(row) for row in rows] == [fields_of(row) for row in found]
    assert rows[-1].kwargs == {"value": [4, "é"]}
    assert rows[2] is rows[2], "what was changed on a row is still there"
    assert rows[0].owner == owner


def test_many_delayed_tasks_wait_without_a_pointer(redis_client: redis.Redis) -> None:
    enqueue_many(add.using(run_after=timedelta(hours=1)), [{"a": 1, "b": 1}] * 3)
    assert Task.objects.filter(state="scheduled").count() == 3
    assert pointers(redis_client) == []


@pytest.mark.parametrize("bad", [[1, 2], "text", None, 7])
def test_many_take_a_dict_for_each(redis_client: redis.Redis, bad: Any) -> None:
    with pytest.raises(InvalidPayload, match="must be a dict"):
        enqueue_many(add, [{"a": 1, "b": 1}, bad])
    assert not Task.objects.exists()


@pytest.mark.parametrize("make", [lambda: "root", lambda: 7, AnonymousUser, get_user_model()])
def test_only_a_saved_user_can_own_a_task(redis_client: redis.Redis, make: Callable[[], Any]) -> None:
    owner = make()
    with pytest.raises(ValueError, match="owner must be a saved User"):
        enqueue(add.using(owner=owner), [1, 2], {})
    assert not Task.objects.exists()


def test_a_lazy_user_as_of_a_request_can_own_a_task(redis_client: redis.Redis) -> None:
    owner = make_user()
    row, _ = enqueue(add.using(owner=SimpleLazyObject(lambda: owner)), [1, 2], {})
    assert Task.objects.get(owner=owner).id == row.id


def test_arguments_share_one_limit(redis_client: redis.Redis) -> None:
    with override_settings(TASKCENTER={"ARGS_LIMIT": 60}):
        enqueue(echo, ["x" * 20], {"more": "y" * 20})
        with pytest.raises(InvalidPayload, match="68 bytes"):
            enqueue(echo, ["x" * 26], {"more": "y" * 26})
    assert Task.objects.count() == 1


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
