"""The engine's statements: raw or in the ORM, they give the same answers and write the same rows."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.utils import timezone

from taskcenter import lifecycle
from taskcenter.models import Notification, Queue, Report, Task, TaskEvent, prepared
from taskcenter.models.engine import Claimed, Ended, Engine, Want, engine_of, own_connection
from taskcenter.models.engine.reference import ReferenceEngine
from taskcenter.states import State
from tests.factories import make_task, make_user
from tests.integration.rivals import at_once

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLE = "tests.tasks.sample"


@pytest.fixture(params=["raw", "reference"])
def engine(request: pytest.FixtureRequest) -> Engine:
    raw = engine_of(connection)
    assert not isinstance(raw, ReferenceEngine), "this database has statements of its own"
    return raw if request.param == "raw" else ReferenceEngine(connection)


def want(*queues: str, limit: int = 10, definitions: tuple[str, ...] = (SAMPLE,)) -> Want:
    return Want(queues or ("default",), definitions, WORKER, limit)


WORKER = uuid.uuid4()


def claim(engine: Engine, *queues: str, **options: Any) -> list[Claimed]:
    return engine.turn((), want(*queues, **options)).claimed


def ended(claimed: Claimed, result: str = "1", **options: Any) -> Ended:
    return Ended(claimed, result, **options)


def fresh(task: Any) -> Task:
    return Task.objects.get(id=task.id)


# A slot's own connection (PostgreSQL): straight through libpq.


@pytest.fixture
def own() -> Iterator[Engine]:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server to talk to")
    theirs = own_connection()
    yield engine_of(theirs, is_own=True)
    theirs.close()


def ask(engine: Any, sql: str) -> list[Any]:
    with engine.connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def test_turns_on_a_slot_s_own_connection_are_those_of_any_other(own: Engine) -> None:
    owner = make_user()
    first, second = make_task(owner=owner, priority=1), make_task(timeout=1.5)
    rows = own.turn((), want()).claimed
    assert [row.id for row in rows] == [first.id, second.id]
    by_itself = Task.objects.get(id=second.id)
    assert rows[1] == Claimed.of(by_itself)._replace(
        created_at=rows[1].created_at, started_at=rows[1].started_at, attempted_at=rows[1].attempted_at
    )
    turned = own.turn([ended(row, note="Done.") for row in rows], want())
    assert set(turned.landed) == {first.id, second.id}
    assert Notification.objects.get().text == "Done."
    names = ask(own, "SELECT name FROM pg_prepared_statements")
    assert names
    assert all(name.startswith("taskcenter_") for (name,) in names), "psycopg has prepared them"


def test_a_server_that_forgot_its_statements_is_told_again(own: Engine) -> None:
    make_task(), make_task(), make_task()
    assert own.turn((), want(limit=1)).claimed
    ask(own, "DEALLOCATE ALL")
    assert own.turn((), want(limit=1)).claimed
    assert own.turn((), want(limit=1)).claimed


def test_what_the_server_refuses_is_said_as_django_says_it_and_nothing_is_written(own: Engine) -> None:
    make_task()
    rows = own.turn((), want()).claimed
    with pytest.raises(DataError):
        own.turn([ended(rows[0], result="no json")], None)
    assert fresh(rows[0]).state == State.PROCESSING
    assert own.turn([ended(rows[0])], None).landed


def test_a_connection_that_has_gone_is_said_and_nothing_is_written_twice(own: Engine) -> None:
    make_task(), make_task()
    own.turn((), want(limit=1))
    [(pid,)] = ask(own, "SELECT pg_backend_pid()")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(OperationalError):
        own.turn((), want(limit=1))
    own.connection.close()  # type: ignore[attr-defined]
    assert len(own.turn((), want()).claimed) == 1


def test_a_connection_that_goes_in_the_middle_is_said_as_django_says_it(
    own: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a slot would end of it, as of an error of its own."""
    own.turn((), want())

    def hang_up(_sql: str, server: Any, _registry: Any) -> bytes:
        server.pgconn.finish()
        return b"whatever"

    monkeypatch.setattr(prepared, "_name_of", hang_up)
    with pytest.raises(OperationalError):
        own.turn((), want())


# Claims.


@pytest.mark.parametrize("queues", [("default",), ("default", "analysis")])
def test_highest_priority_first_and_then_oldest(engine: Engine, queues: tuple[str, ...]) -> None:
    old, new = make_task(), make_task()
    best, worst = make_task(priority=7), make_task(priority=-7)
    assert [row.id for row in claim(engine, *queues)] == [best.id, old.id, new.id, worst.id]


def test_the_order_holds_across_queues_and_the_limit_cuts_behind_the_best(engine: Engine) -> None:
    low = make_task(queue="default")
    high = make_task(queue="analysis", priority=5)
    make_task(queue="elsewhere", priority=9)
    assert [row.id for row in claim(engine, "default", "analysis", limit=1)] == [high.id]
    assert [row.id for row in claim(engine, "default", "analysis", limit=1)] == [low.id]
    assert claim(engine, "default", "analysis") == []


@pytest.mark.parametrize("queues", [("default",), ("default", "analysis")])
@pytest.mark.parametrize("limit", [1, 10])
def test_ahead_of_its_time_only_what_was_there_by_then_is_claimed(
    engine: Engine, queues: tuple[str, ...], limit: int
) -> None:
    """Else it would look as if it had begun before it was made, or was due."""
    at = timezone.now() - timedelta(seconds=1)
    old = make_task(created_at=at - timedelta(seconds=1))
    ahead = want(*queues, limit=limit)._replace(at=at)
    for newer in ({"created_at": at + timedelta(seconds=0.5)}, {"run_after": at + timedelta(seconds=0.5)}):
        best = make_task(**{"created_at": at - timedelta(seconds=1), **newer}, priority=9)
        assert engine.turn((), ahead).claimed == [], "the best comes first, or nobody"
        best.delete()
    make_task(priority=-9, queue="elsewhere")
    assert [row.id for row in engine.turn((), ahead).claimed] == [old.id]
    assert fresh(old).attempted_at == fresh(old).started_at == at


def test_a_claim_writes_what_the_fence_needs_and_reads_the_whole_row(engine: Engine) -> None:
    owner = make_user()
    task = make_task(
        args=[1, "ü", None], kwargs={"a": {"b": [1.5, True]}}, metadata={"m": 1}, tags=["x"], title='a "quoted" \\ one',
        owner=owner, timeout=2.5, max_attempts=4, attempt=2, failures=1,
    )  # fmt: skip
    before = timezone.now()
    (row,) = claim(engine)
    stored = fresh(task)
    assert (stored.state, stored.attempt, stored.rev, stored.worker_id) == ("processing", 3, task.rev + 1, WORKER)
    assert before <= stored.attempted_at <= timezone.now()
    assert stored.started_at == stored.attempted_at
    model = row.task()
    for name in Claimed._fields:
        if name not in {"created_at", "started_at", "attempted_at"}:
            assert getattr(model, name) == getattr(stored, name), name
        assert (
            abs(getattr(model, name) - getattr(stored, name)) < timedelta(milliseconds=1) if name.endswith("_at") else 1
        )
    assert model.state == "processing"
    assert model.error_message == "", "what the claim does not read is fetched when it is asked for"


def test_an_earlier_start_is_kept(engine: Engine) -> None:
    began = timezone.now() - timedelta(hours=1)
    task = make_task(started_at=began, attempt=1)
    claim(engine)
    assert fresh(task).started_at == began


@pytest.mark.parametrize("queues", [("default",), ("default", "analysis")])
def test_only_definitions_that_are_known_here_are_claimed(engine: Engine, queues: tuple[str, ...]) -> None:
    make_task(definition="old.code", priority=9)
    known = make_task()
    assert [row.id for row in claim(engine, *queues)] == [known.id]


@pytest.mark.parametrize("queues", [("default",), ("default", "analysis")])
def test_a_paused_queue_gives_nothing(engine: Engine, queues: tuple[str, ...]) -> None:
    make_task()
    Queue.objects.create(name="default", paused_at=timezone.now())
    assert claim(engine, *queues) == []
    Queue.objects.update(paused_at=None)
    assert len(claim(engine, *queues)) == 1


@pytest.mark.parametrize("queues", [("default",), ("default", "analysis")])
def test_max_running_is_never_passed_and_room_is_used_again(engine: Engine, queues: tuple[str, ...]) -> None:
    for _ in range(5):
        make_task()
    Queue.objects.create(name="default", max_running=2)
    first = claimed_in_two(engine, *queues)
    assert len(first) == 2
    assert claimed_in_two(engine, *queues) == []
    turned = engine.turn([ended(first[0])], want(*queues))
    assert len(turned.claimed) == 1, "its end makes room in the same turn"
    Queue.objects.update(max_running=None)
    assert len(claimed_in_two(engine, *queues)) == 2


def claimed_in_two(engine: Engine, *queues: str) -> list[Claimed]:
    """Two claims: the first may only find out that a queue is limited."""
    return claim(engine, *queues) + claim(engine, *queues)


def test_an_unlimited_queue_beside_a_limited_one_goes_on(engine: Engine) -> None:
    limited = [make_task(priority=5) for _ in range(3)]
    free = [make_task(queue="analysis") for _ in range(3)]
    Queue.objects.create(name="default", max_running=1)
    got = {row.id for row in claimed_in_two(engine, "default", "analysis")}
    assert got == {limited[0].id, *(task.id for task in free)}


@pytest.mark.parametrize("trouble", [{"interrupted": 1}, {"crashes": 1}, {"max_crashes": 0}])
def test_of_those_that_must_run_alone_one_is_claimed_and_runs_last(engine: Engine, trouble: dict[str, int]) -> None:
    careful = [make_task(priority=9, attempt=1, **trouble) for _ in range(3)]
    plain = [make_task() for _ in range(2)]
    assert [row.id for row in claim(engine)] == [plain[0].id, plain[1].id, careful[0].id]
    assert [row.id for row in claim(engine)] == [careful[1].id]


def test_scheduled_rows_wait_for_their_promotion(engine: Engine) -> None:
    make_task(State.SCHEDULED, run_after=timezone.now() - timedelta(hours=1))
    assert claim(engine) == []


# Ends.


def test_an_end_keeps_result_report_and_notification_in_one_commit(engine: Engine) -> None:
    owner = make_user()
    task = make_task(owner=owner, failures=1, attempt=1, error_type="X", error_message="before")
    (row,) = claim(engine)
    Report.objects.create(task=task, attempt=row.attempt, title="t", owner=owner)
    turned = engine.turn([ended(row, '{"rows": [1, "ü", "\\"\\\\"]}', note='Said "so" \\ {done}, NULL')], None)
    stored = fresh(task)
    assert turned.landed == {task.id: stored.rev}
    assert (stored.state, stored.result, stored.progress) == ("completed", {"rows": [1, "ü", '"\\']}, 1.0)
    assert (stored.error_type, stored.error_message) == ("", "")
    assert stored.finished_at is not None
    assert Report.objects.get().is_final
    told = Notification.objects.get()
    assert (told.kind, told.channel, told.text, told.recipient) == (
        "completed",
        "app",
        'Said "so" \\ {done}, NULL',
        owner,
    )
    assert engine.turn([ended(row)], None).landed == {}
    assert Notification.objects.count() == 1


@pytest.mark.parametrize("count", [1, 2])
def test_an_end_says_when_its_attempt_really_began(engine: Engine, count: int) -> None:
    """It was claimed a while before: in a batch, or ahead."""
    long_ago = timezone.now() - timedelta(hours=1)
    for _ in range(count):
        make_task()
    rows = claim(engine)
    Task.objects.update(attempted_at=long_ago, started_at=long_ago)
    engine.turn([ended(row, begun=time.monotonic() - 60) for row in rows], None)
    for task in Task.objects.all():
        assert task.started_at == task.attempted_at
        assert task.finished_at is not None
        assert task.attempted_at is not None
        assert 59 < (task.finished_at - task.attempted_at).total_seconds() < 600


def test_no_end_says_that_its_attempt_began_before_its_claim_or_touches_an_earlier_start(engine: Engine) -> None:
    make_task(), make_task()
    one, other = claim(engine)
    earlier = timezone.now() - timedelta(hours=1)
    Task.objects.filter(id=other.id).update(started_at=earlier)
    before = {task.id: task.attempted_at for task in Task.objects.all()}
    engine.turn([ended(one, begun=time.monotonic() - 3600), ended(other, begun=time.monotonic())], None)
    assert fresh(one).attempted_at == fresh(one).started_at == before[one.id]
    assert fresh(other).started_at == earlier
    assert fresh(other).attempted_at >= before[other.id]


def test_many_end_and_the_next_are_claimed_in_one_turn(engine: Engine) -> None:
    for number in range(70):
        make_task(args=[number])
    first = claim(engine, limit=64)
    assert len(first) == 64
    turned = engine.turn([ended(row, str(number)) for number, row in enumerate(first)], want(limit=64))
    assert set(turned.landed) == {row.id for row in first}
    assert len(turned.claimed) == 6
    assert [fresh(row).result for row in first] == list(range(64))


def test_a_late_end_of_an_old_attempt_lands_nowhere(engine: Engine) -> None:
    task = make_task()
    (row,) = claim(engine)
    Task.objects.update(state="pending", worker_id=None)
    (again,) = claim(engine)
    assert engine.turn([ended(row, '"old"')], None).landed == {}
    assert engine.turn([ended(again, '"new"')], None).landed.keys() == {task.id}
    assert fresh(task).result == "new"


def test_an_end_in_a_transaction_that_is_rolled_back_is_no_end(engine: Engine) -> None:
    task = make_task()
    (row,) = claim(engine)
    with transaction.atomic():
        assert engine.turn([ended(row)], None).landed
        transaction.set_rollback(True)
    assert fresh(task).state == "processing"


# Handing back.


def test_what_was_not_begun_is_handed_back_but_not_what_was_asked_to_stop(engine: Engine) -> None:
    task, asked, over = make_task(), make_task(), make_task()
    rows = claim(engine)
    Task.objects.filter(id=asked.id).update(cancel_requested_at=timezone.now())
    engine.turn([ended(rows[2])], None)
    handed = engine.hand_back(rows)
    stored = fresh(task)
    assert [(row.id, row.attempt, row.rev, row.queue) for row in handed] == [(task.id, 1, stored.rev, "default")]
    assert (stored.state, stored.interrupted, stored.worker_id, stored.started_at) == ("pending", 1, None, None)
    assert (fresh(asked).state, fresh(over).state) == ("processing", "completed")
    assert engine.hand_back(rows) == []


# What lifecycle makes of it.


class Refuses:
    """An engine over a database that will not keep one of the results."""

    def __init__(self, inner: Engine, bad: uuid.UUID) -> None:
        self._inner, self._bad = inner, bad

    def turn(self, ended: Any, want: Want | None) -> Any:
        if any(item.claimed.id == self._bad for item in ended):
            raise DataError("unsupported Unicode escape sequence")
        return self._inner.turn(ended, want)


def test_one_result_that_cannot_be_kept_does_not_harm_the_others(engine: Engine) -> None:
    good, bad, waiting = make_task(), make_task(max_attempts=5), make_task()
    rows = claim(engine, limit=2)
    made = lifecycle.turn(Refuses(engine, bad.id), [ended(row) for row in rows], want())  # type: ignore[arg-type]
    assert (fresh(good).state, fresh(bad).state) == ("completed", "failed")
    assert "cannot keep the result" in fresh(bad).error_message
    assert [row.id for row in made.claimed] == [waiting.id]
    assert not TaskEvent.objects.filter(kind="superseded").exists()


def test_an_end_whose_answer_was_lost_counts_as_written_and_a_late_one_as_superseded(engine: Engine) -> None:
    make_task(), make_task()
    mine, other = claim(engine)
    engine.turn([ended(mine)], None)  # and the answer got lost
    Task.objects.filter(id=other.id).update(state="pending", worker_id=None)
    claim(engine)
    made = lifecycle.turn(engine, [ended(mine), ended(other)], None)
    assert [item.claimed.id for item in made.landed] == [mine.id]
    event = TaskEvent.objects.get()
    assert (event.task_id, event.kind, event.attempt) == (other.id, "superseded", 1)


def test_rivals_never_claim_the_same_row() -> None:
    for number in range(40):
        make_task(queue=("default", "analysis")[number % 2], priority=number % 3)

    def some(number: int) -> list[uuid.UUID]:
        engine, got = engine_of(connection), []
        queues = ("default", "analysis") if number % 2 else ("default",)
        while rows := engine.turn((), want(*queues, limit=1 + number)).claimed:
            got += [row.id for row in rows]
        return got

    taken = [task_id for got in at_once(4, some) for task_id in got]
    assert len(taken) == len(set(taken)) == 40
    assert set(Task.objects.values_list("state", "attempt")) == {("processing", 1)}


@pytest.mark.parametrize("queues", [("default",), ("default", "analysis")])
def test_rivals_never_pass_max_running_together(queues: tuple[str, ...]) -> None:
    for _ in range(40):
        make_task()
    Queue.objects.create(name="default", max_running=3)

    def some(_number: int) -> int:
        engine = engine_of(connection)
        return sum(len(engine.turn((), want(*queues, limit=2)).claimed) for _ in range(6))

    assert sum(at_once(4, some)) == 3
    assert Task.objects.processing().count() == 3
