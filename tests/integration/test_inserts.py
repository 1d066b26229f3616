"""How tasks are written: each way writes the row that the ORM would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections, transaction
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskcenter import TaskDefinition
from taskcenter.enqueue import _draft, _packed_call, enqueue, enqueue_many
from taskcenter.models import Task, inserts
from tests.factories import make_user
from tests.ledger.tasks import add, echo

pytestmark = pytest.mark.django_db(transaction=True)

OWN = {"id", "created_at", "unique_key"}
"""What no two tasks share."""

TEXT = 'é€😀 "quoted" \\ 100 % \' {x,y} \u2028 \x7f'


@pytest.fixture(params=["as configured", "behind a pooler", "watched", "by the ORM"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    connection.close()  # whatever an earlier test has prepared
    match request.param:
        case "behind a pooler":
            monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        case "by the ORM":
            monkeypatch.setattr(inserts, "_is_plain", lambda _: True)
        case "watched":
            with connection.execute_wrapper(lambda execute, *call: execute(*call)):
                yield
                return
    yield


def fields_of(row: Task) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in Task._meta.concrete_fields}


def rich() -> TaskDefinition:
    return echo.using(
        owner=make_user(),
        title=TEXT,
        tags=[TEXT, "b"],
        metadata={"from": TEXT, "deep": {"list": [1, None, True]}},
        priority=-100,
        timeout=0.25,
        max_attempts=40_000,
        max_crashes=0,
        queue_name="analysis",
        run_after=timezone.now() + timedelta(hours=1),
        unique_key="once",
    )


def as_the_orm_does(definition: TaskDefinition, kwargs: dict[str, Any]) -> Task:
    """The reference: a model instance, saved."""
    delayed = definition.run_after is not None
    task = Task(
        definition=definition.module_path,
        queue=definition.queue_name,
        priority=definition.priority,
        state="scheduled" if delayed else "pending",
        run_after=definition.run_after,
        max_attempts=definition.attempts_allowed,
        max_crashes=definition.crashes_allowed,
        timeout=definition.timeout,
        kwargs=kwargs,
        tags=list(definition.tags),
        metadata=dict(definition.metadata),
        title=definition.title,
        owner=definition.owner,
    )
    task.save()
    return Task.objects.get(id=task.id)


def shared(row: Task) -> dict[str, Any]:
    return {name: value for name, value in fields_of(row).items() if name not in OWN}


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("make", [lambda: add, rich, lambda: _without_key(rich())], ids=["plain", "unique", "rich"])
def test_each_way_writes_the_orm_s_row(make: Any) -> None:
    definition, kwargs = make(), {"text": TEXT, "number": 1e-7, "big": 2**70, "none": None, "list": [[], {}, ""]}
    row, _ = enqueue(definition, [], kwargs)
    assert shared(Task.objects.get(id=row.id)) == shared(as_the_orm_does(definition, kwargs))


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("make", [lambda: add, rich, lambda: _without_key(rich())], ids=["plain", "unique", "rich"])
def test_the_row_given_back_is_the_one_that_is_read(make: Any) -> None:
    row, _ = enqueue(make(), [1, ("two", TEXT)], {"a": {"b": TEXT}})
    found = Task.objects.get(id=row.id)
    assert fields_of(row) == fields_of(found)
    assert {name: type(value) for name, value in fields_of(row).items()} == {
        name: type(value) for name, value in fields_of(found).items()
    }
    assert not row._state.adding
    assert row._state.db == "default"


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("make", [lambda: add, lambda: rich().using(on_conflict="raise")], ids=["plain", "rich"])
def test_many_are_each_written_as_one_is(make: Any) -> None:
    definition = make()
    kwargs = [{"text": TEXT, "number": number} for number in range(inserts.CHUNK + 2)]
    one, _ = enqueue(definition, [], kwargs[-1])
    many = enqueue_many(_without_key(definition), kwargs)
    assert shared(Task.objects.get(id=many[-1].id)) == shared(one)
    assert fields_of(many[-1]) == fields_of(Task.objects.get(id=many[-1].id))
    stored = Task.objects.exclude(id=one.id).order_by("id").values_list("id", "kwargs")
    assert list(stored) == [(row.id, text) for row, text in zip(many, kwargs, strict=True)]


def _without_key(definition: TaskDefinition) -> TaskDefinition:
    options = {"owner", "title", "tags", "metadata", "priority", "timeout", "max_attempts", "max_crashes", "run_after"}
    chosen = {name: getattr(definition, name) for name in options}
    original = echo if definition.func is echo.func else add
    return original.using(queue_name=definition.queue_name, **chosen)


@pytest.mark.usefixtures("_way")
def test_a_json_value_is_found_by_an_exact_look_at_it() -> None:
    row, _ = enqueue(echo, [], {"text": TEXT})
    [other] = enqueue_many(echo, [{"text": TEXT}])
    assert set(Task.objects.filter(kwargs={"text": TEXT})) == {row, other}


@pytest.mark.usefixtures("_way")
def test_a_key_that_is_held_writes_nothing() -> None:
    definition = add.using(unique_key="once")
    row, _ = enqueue(definition, [1, 2], {})
    with transaction.atomic():
        assert enqueue(definition, [3, 4], {}) == (row, False)
        enqueue(add, [], {})
    assert Task.objects.count() == 2


def draft(**changes: Any) -> inserts.Draft:
    call = dict(zip(("args", "kwargs"), _packed_call([1], {}), strict=True))
    return {**_draft(add), **call, "id": Task().id, **changes}


@pytest.mark.usefixtures("_way")
def test_what_the_database_refuses_is_django_s_error_and_spoils_the_block_as_ever() -> None:
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            inserts.insert("default", draft(priority=101))
        with pytest.raises(TransactionManagementError):
            inserts.insert("default", draft())
        transaction.set_rollback(True)
    assert inserts.insert("default", draft())
    assert Task.objects.count() == 1


@pytest.mark.usefixtures("_way")
def test_another_conflict_than_the_key_s_is_an_error() -> None:
    twice = draft()
    inserts.insert("default", twice)
    with pytest.raises(IntegrityError):
        inserts.insert("default", twice)


@pytest.mark.usefixtures("_way")
def test_nobody_hears_of_a_saved_model() -> None:
    heard: list[Any] = []

    def listener(**told: Any) -> None:
        heard.append(told)

    post_save.connect(listener, sender=Task)
    try:
        enqueue(add, [1, 2], {})
        enqueue_many(add, [{"a": 1, "b": 1}])
    finally:
        post_save.disconnect(listener, sender=Task)
    assert heard == []


def test_a_connection_that_was_lost_is_made_anew_outside_a_transaction() -> None:
    enqueue(add, [1, 2], {})
    connection.close()
    enqueue(add, [1, 2], {})
    assert Task.objects.count() == 2


def test_what_is_executed_can_be_captured() -> None:
    with CaptureQueriesContext(connection) as captured:
        enqueue(add, [1, 2], {})
    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["INSERT"]


postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL prepares statements")


def prepared() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [row[0] for row in cursor.fetchall()]


@postgres_only
def test_the_insert_is_prepared_once_and_nothing_else_is() -> None:
    connection.close()
    for _ in range(3):
        enqueue(add, [1, 2], {})
    Task.objects.count()
    [statement] = prepared()
    assert statement.startswith('INSERT INTO "taskcenter_task"')
    assert connection.connection.prepare_threshold is None, "as Django had it"


@postgres_only
def test_outside_of_transactions_it_goes_straight_through_libpq_and_within_one_it_does_not() -> None:
    connection.close()
    with transaction.atomic():
        enqueue(add, [1, 2], {})
    enqueue(add, [1, 2], {})
    with connection.cursor() as cursor:
        cursor.execute("SELECT name LIKE 'taskcenter%' FROM pg_prepared_statements ORDER BY 1")
        assert cursor.fetchall() == [(False,), (True,)]


@postgres_only
def test_after_a_rollback_the_server_is_not_asked_for_what_psycopg_has_deallocated() -> None:
    """It would write an error to its log each time."""
    enqueue(add, [1, 2], {})
    with transaction.atomic():
        enqueue(add, [1, 2], {})
        transaction.set_rollback(True)
    assert inserts._insert_alone(connections["default"], draft())
    assert Task.objects.count() == 2


@postgres_only
def test_a_server_that_has_forgotten_what_was_prepared_is_told_again() -> None:
    enqueue(add, [1, 2], {})
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")
    for _ in range(2):
        enqueue(add, [1, 2], {})
    assert Task.objects.count() == 3


@postgres_only
def test_a_connection_that_has_gone_is_said_by_django_and_nothing_is_written_twice() -> None:
    enqueue(add, [1, 2], {})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    with psycopg.connect(**_as_psycopg_takes_it()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(OperationalError):
        enqueue(add, [1, 2], {})
    connection.close()
    assert Task.objects.count() == 1


def _as_psycopg_takes_it() -> dict[str, Any]:
    settings = connection.settings_dict
    return {"host": settings["HOST"], "user": settings["USER"], "dbname": settings["NAME"]}


def test_a_text_is_never_cut() -> None:
    """libpq takes a NUL for the end of a text."""
    with contextlib.suppress(ValueError, DatabaseError):
        inserts.insert("default", draft(title="before\x00after"))
    assert set(Task.objects.values_list("title", flat=True)) <= {"before\x00after"}


@postgres_only
@pytest.mark.parametrize(
    ("key", "value"), [("DISABLE_SERVER_SIDE_CURSORS", True), ("OPTIONS", {"prepare_threshold": None})]
)
def test_behind_a_pooler_nothing_is_prepared(monkeypatch: pytest.MonkeyPatch, key: str, value: Any) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, key, value)
    enqueue(add, [1, 2], {})
    enqueue_many(add, [{"a": 1, "b": 1}])
    assert prepared() == []
    assert Task.objects.count() == 2


@postgres_only
def test_an_error_leaves_the_threshold_as_it_was() -> None:
    with pytest.raises(DatabaseError):
        inserts.insert("default", draft(priority=101))
    assert connection.connection.prepare_threshold is None
