"""One task's way through a slot, where what surrounds the task misbehaves."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError

from taskcenter import lifecycle
from taskcenter.compat import task_started
from taskcenter.definitions import find
from taskcenter.models import Task
from taskcenter.worker import story
from tests.ledger.tasks import add, boom, mark

pytestmark = pytest.mark.django_db(transaction=True)


class Deaf:
    """Nobody calls."""

    def cancelled(self) -> bool:
        return False

    def stopping(self) -> bool:
        return False


@pytest.fixture
def angry_listener() -> Iterator[list[str]]:
    heard: list[str] = []

    def listen(**_: Any) -> None:
        heard.append("started")
        raise RuntimeError("a stranger's error")

    task_started.connect(listen)
    yield heard
    task_started.disconnect(listen)


def claimed(definition: Any, *args: Any, **options: Any) -> Task:
    task = Task.objects.get(id=definition.using(**options).enqueue(*args).id)
    return lifecycle.claim([task.queue], [task.definition], uuid.uuid4())[0]


def test_a_listener_that_raises_does_not_stop_the_task(angry_listener: list[str], redis_client: Any) -> None:
    task = claimed(add, 1, 2)
    assert story.run(task, Deaf()).moved
    assert angry_listener == ["started"]
    assert Task.objects.get(id=task.id).state == "completed"


def test_a_backoff_that_raises_means_a_minute(redis_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_error: BaseException, _result: Any) -> float:
        raise ZeroDivisionError

    task = claimed(boom, max_attempts=2)
    definition = find(task.definition)
    kept = definition.backoff
    object.__setattr__(definition, "backoff", broken)
    try:
        assert story.delay_of(task, ValueError("no")) == 60
    finally:
        object.__setattr__(definition, "backoff", kept)
    assert "backoff" in caplog.text


def test_an_ending_is_written_again_when_the_database_was_away(
    redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = claimed(add, 1, 2)
    tries = []
    finish = lifecycle.finish

    def away_at_first(*args: Any) -> lifecycle.Outcome:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("the server closed the connection")
        return finish(*args)

    monkeypatch.setattr(lifecycle, "finish", away_at_first)
    monkeypatch.setattr(story.time, "sleep", lambda _seconds: None)
    assert story.run(task, Deaf()).moved
    assert len(tries) == 3
    assert Task.objects.get(id=task.id).result == 3


def test_a_task_that_leaves_a_transaction_open_does_not_harm_the_next(redis_client: Any) -> None:
    from django.db import transaction

    task = claimed(add, 1, 2)
    definition = find(task.definition)
    function = definition.func

    def careless(a: int, b: int) -> int:
        transaction.atomic().__enter__()
        return a + b

    object.__setattr__(definition, "func", careless)
    try:
        story.run(task, Deaf())
    finally:
        object.__setattr__(definition, "func", function)
    assert not transaction.get_connection().in_atomic_block
    assert Task.objects.get(id=task.id).state == "completed"


def test_a_claimed_row_is_told_of_without_a_query(redis_client: Any, django_assert_num_queries: Any) -> None:
    from taskcenter.models.engine import Claimed

    attempt = story.Attempt(Claimed.of(claimed(add, 1, 2)), Deaf())
    with django_assert_num_queries(0):
        assert attempt.result.status.name == "RUNNING"
        assert story.perform(attempt) == story.Returned("3")


def test_an_attempt_whose_database_goes_before_it_begins_is_handed_back(
    redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("the server closed the connection")

    task = claimed(mark, 1)
    monkeypatch.setattr(story, "_result_of", away)
    outcome = story.run(task, Deaf())
    assert (outcome.state, Task.objects.get(id=task.id).interrupted) == ("pending", 1)
